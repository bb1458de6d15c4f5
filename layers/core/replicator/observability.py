"""Logger and metrics: used by the handlers, never by the modules below them.

Traces are those that Lambda and Step Functions write themselves (``Tracing: Active``). The X-Ray SDK, which would add
a segment for each AWS call, took 170 to 290 ms of every function's start; see docs/performance.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.counting import Count

NAMESPACE = "ModelRegistryReplicator"
"""Of the metrics in CloudWatch."""

logger = Logger(service="model-registry-replicator")


def count(counts: Iterable[Count]) -> None:
    """Write metrics into the function's log at once, from where CloudWatch takes them.

    Call it when what is counted has happened, as the last thing: what is tried again is then counted once, by the
    invocation that came through. The template names the stack in ``POWERTOOLS_SERVICE_NAME``, so that two hubs in
    one account keep apart.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    counts = list(counts)
    service = os.environ.get("POWERTOOLS_SERVICE_NAME", "registry-replicator")
    for code in dict.fromkeys(each.code for each in counts):
        written = EphemeralMetrics(namespace=NAMESPACE, service=service)
        for each in counts:
            if each.code == code:
                written.add_metric(each.metric, each.metric.unit, each.value)
        if code is not None:
            written.add_dimensions(service=service, code=code)
        written.flush_metrics()
