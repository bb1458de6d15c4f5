"""A local SageMaker model registry that behaves as the documentation says the real one does.

It answers the operations on model packages and model package groups, for every account and region, over
SageMaker's own wire protocol; everything else of SageMaker goes on to moto. Where the real service's
behaviour is known only from documentation or from what people report, the place says so.
"""

from local.sagemaker.middleware import SageMakerMiddleware
from local.sagemaker.registry import SageMakerRegistry
from local.sagemaker.values import ArnSpelling, Caller, Hooks, ServiceError

__all__ = ["ArnSpelling", "Caller", "Hooks", "SageMakerMiddleware", "SageMakerRegistry", "ServiceError"]
