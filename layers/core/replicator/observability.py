"""Logger, tracer and metrics: made once here, used by the handlers, never by the modules below them."""

from aws_lambda_powertools import Logger, Metrics, Tracer

NAMESPACE = "ModelRegistryReplicator"

logger = Logger(service="model-registry-replicator")
tracer = Tracer(service="model-registry-replicator")
metrics = Metrics(namespace=NAMESPACE, service="model-registry-replicator")
