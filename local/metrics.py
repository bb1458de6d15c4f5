"""CloudWatch's metrics from what functions write into their logs, in the embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Not like the real service: there, they come a little later, and what breaks a limit of the format is left out
without a word.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import MetricDatumBase, cloudwatch_backends

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "cloudwatch-embedded-format",
        "A line of a log in the embedded metric format becomes metrics.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html",
    ),
    Rule(
        "cloudwatch-dimensions",
        "Statistics are of the metric with exactly the dimensions that are asked for.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension",
    ),
)


RULES: tuple[Rule, ...] = (
    Rule(
        "cloudwatch-embedded-metrics",
        "What a function logs in the embedded metric format becomes metrics.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html",
    ),
    Rule(
        "cloudwatch-exact-dimensions",
        "A statistic is of the metric with exactly the dimensions that are asked for.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension",
    ),
)


_moto_filter = MetricDatumBase.filter


def install(aws: LocalAws) -> None:
    """Let statistics be of the metric with exactly the dimensions that are asked for; ListMetrics is as before.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension
    """

    def only(
        datum: MetricDatumBase,
        namespace: str | None,
        name: str | None,
        dimensions: Any,
        *more: Any,
        **named: Any,
    ) -> bool:
        statistics = namespace is None and name is None
        if statistics and len(dimensions) != len(datum.dimensions):
            return False
        return bool(_moto_filter(datum, namespace, name, dimensions, *more, **named))

    aws.patch(MetricDatumBase, "filter", only)


def take(account: str, region: str, line: str) -> None:
    """Put the metrics of a line of a log into CloudWatch; do nothing for a line that has none."""
    for namespace, data in read(line):
        cloudwatch_backends[account][region].put_metric_data(namespace, [data])


def read(line: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each metric of a line, as PutMetricData takes it, with its namespace."""
    if not line.startswith("{") or '"_aws"' not in line:
        return
    try:
        root = json.loads(line)
        # moto compares times without a zone
        time = datetime.fromtimestamp(root["_aws"]["Timestamp"] / 1000, UTC).replace(tzinfo=None)
        for directive in root["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = [{"Name": name, "Value": root[name]} for name in names]
                for metric in directive["Metrics"]:
                    values = root[metric["Name"]]
                    yield (
                        directive["Namespace"],
                        {
                            "MetricName": metric["Name"],
                            "Unit": metric.get("Unit", "None"),
                            "Timestamp": time,
                            "Dimensions": dimensions,
                            "Values": values if isinstance(values, list) else [values],
                        },
                    )
    except (ValueError, KeyError, TypeError):
        return
