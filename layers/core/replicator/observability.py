"""Logger and metrics: used by the handlers, never by the modules below them.

Traces are those that Lambda and Step Functions write themselves (``Tracing: Active``). The X-Ray SDK, which would add
a segment for each AWS call, took 170 to 290 ms of every function's start; see docs/performance.md.
"""

from __future__ import annotations

import json
import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from replicator.errors import ErrorCode, PermanentError, ReplicationError
from replicator.redaction import redacted
from replicator.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replicator.counting import Count

NAMESPACE = "ModelRegistryReplicator"
"""Of the metrics in CloudWatch."""


def _serialized(record: dict[str, Any]) -> str:
    # A log is read on terminals too: "aws logs tail" prints it as it is. Such characters occur in JSON's strings only.
    return visible(json.dumps(record, default=str, separators=(",", ":"), ensure_ascii=False))


logger = Logger(service="model-registry-replicator", json_serializer=_serialized)


def without_secrets[**P, T](handler: Callable[P, T]) -> Callable[P, T]:
    """Wrap a handler so that an error that nobody foresaw says no secret.

    The runtime writes what a handler raises into the log, and answers with it. Errors of ours are clean already.
    """

    @wraps(handler)
    def wrapped(*args: P.args, **more: P.kwargs) -> T:
        try:
            return handler(*args, **more)
        except ReplicationError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if redacted(said) == said:
                raise
            raise PermanentError(ErrorCode.UNEXPECTED, said) from None

    return wrapped


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
