"""Logger and metrics: made once here, used by the handlers, never by the modules below them.

Traces are those that Lambda and Step Functions write themselves (``Tracing: Active``). The X-Ray SDK, which would add
a segment for each AWS call, took 170 to 290 ms of every function's start; see docs/performance.md.
"""

from aws_lambda_powertools import Logger, Metrics

NAMESPACE = "ModelRegistryReplicator"

logger = Logger(service="model-registry-replicator")
metrics = Metrics(namespace=NAMESPACE, service="model-registry-replicator")
