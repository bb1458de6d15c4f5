"""What is counted, and that CloudWatch reads what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import metrics
from replicator import counting
from replicator.counting import Count, Metric
from replicator.errors import ErrorCode
from replicator.events import ModelPackageEvent
from replicator.identifiers import ModelPackageArn
from replicator.ledger import Entry
from replicator.observability import count
from replicator.steps import Action, CopyResult, RegisterAnswer

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/7"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def event(**times: Any) -> str:
    given = {"ModelPackageArn": ARN} | (
        {"LastModifiedTime": times["modified"]} if "modified" in times else {}
    )
    body = {"source": "aws.sagemaker", "detail-type": "SageMaker Model Package State Change",
            "account": "111111111111", "region": "eu-west-1", "detail": given}  # fmt: skip
    return json.dumps(body | ({"time": times["time"]} if "time" in times else {}))


def answer(status: str = "Mirrored", hub_arn: str | None = "arn", **more: Any) -> RegisterAnswer:
    return RegisterAnswer(again=False, status=status, hub_arn=hub_arn, **more)


@pytest.mark.parametrize(
    ("action", "given", "expected"),
    [
        (Action.MIRROR, answer(lag_seconds=3.5), {"VersionsMirrored": 1, "ReplicationLag": 3.5}),
        (Action.MIRROR, answer(), {"VersionsMirrored": 1}),
        (Action.MIRROR, answer("Updated"), {"VersionsMirrored": 1}),
        (Action.UPDATE, answer("Updated", lag_seconds=0.0), {"VersionsUpdated": 1, "ReplicationLag": 0}),
        (Action.MIRROR, answer("Superseded", None), {}),
        (Action.MIRROR, answer("SourceChanged", None), {}),
        (Action.UPDATE, answer("NoMirror", None), {}),
    ],
)
def test_what_register_wrote_is_counted(
    action: Action, given: RegisterAnswer, expected: dict[str, float]
) -> None:
    assert {str(each.metric): each.value for each in counting.registered(action, given)} == expected


def test_refusals_and_failures_are_kept_apart_and_only_ends_are_counted() -> None:
    code = ErrorCode.FOREIGN_REGISTRY
    assert counting.failed("Failed", code) == [Count(Metric.RUNS_FAILED, code=code)]
    assert counting.failed("Refused", code) == [Count(Metric.VERSIONS_REFUSED, code=code)]
    assert [counting.failed(status, code) for status in ("Again", "Superseded", "Recorded")] == [[], [], []]


@pytest.mark.parametrize("outcome", ["started", "counted", "seen", "deferred"])
def test_every_outcome_of_intake_is_counted(outcome: str) -> None:
    (only,) = counting.taken(outcome, None)
    assert only.metric.lower().endswith(outcome)


def test_a_copy_is_counted_when_bytes_travelled() -> None:
    result = CopyResult(
        kind="artifact", uri="s3://a/b", destination="s3://c/d", bytes=9, verified="ETag", method="x"
    )
    assert [each.value for each in counting.copied_artifact(result)] == [1, 9]
    assert counting.copied_artifact(result.model_copy(update={"method": "already there"})) == []
    assert counting.copied_image(5, whole=False) == [Count(Metric.IMAGE_BYTES_COPIED, 5)]
    assert counting.copied_image(0, whole=False) == []
    assert [str(each.metric) for each in counting.copied_image(5, whole=True)] == [
        "ImagesCopied",
        "ImageBytesCopied",
    ]


@pytest.mark.parametrize(
    ("entry", "seconds"),
    [
        ({"event": event(time="2026-05-04T11:59:00Z")}, 60),
        ({"event": event(time="2026-05-04T11:58:00Z", modified="2026-05-04T11:59:30.500Z")}, 29.5),
        ({"event": event(time="2026-05-04T12:00:01Z")}, 0),
        ({"event": event()}, None),
        ({"event": ModelPackageEvent.about(ModelPackageArn.parse(ARN)).to_message()}, None),
        ({"event": "{}"}, None),
        ({}, None),
        ({"event": event(time="2026-05-04T11:59:00Z"), "code": "THROTTLED"}, None),
    ],
)
def test_the_lag_is_from_the_event_where_that_tells_of_a_delay(
    entry: dict[str, Any], seconds: float | None
) -> None:
    assert counting.lag(Entry(ARN, **entry), NOW) == seconds


def test_a_code_belongs_to_the_metrics_by_code_and_to_no_other() -> None:
    for metric in Metric:
        right, wrong = (
            (ErrorCode.THROTTLED, None) if metric in counting.BY_CODE else (None, ErrorCode.THROTTLED)
        )
        Count(metric, code=right)
        with pytest.raises(ValueError, match=metric):
            Count(metric, code=wrong)


def test_cloudwatch_reads_each_value_once_for_each_set_of_dimensions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "a-hub")
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    count(
        [
            Count(Metric.REPLICATION_LAG, 2.5),
            Count(Metric.REPLICATION_LAG, 3.5),
            Count(Metric.VERSIONS_MIRRORED),
            Count(Metric.RUNS_FAILED, code=ErrorCode.THROTTLED),
            Count(Metric.RUNS_FAILED, code=ErrorCode.SOURCE_ARCHIVED),
        ]
    )
    read = [each for line in capsys.readouterr().out.splitlines() for each in metrics.read(line)]
    assert {namespace for namespace, _ in read} == {"ModelRegistryReplicator"}
    assert all(data["Timestamp"] > before for _, data in read)
    found = [
        (
            data["MetricName"],
            {each["Name"]: each["Value"] for each in data["Dimensions"]},
            data["Values"],
            data["Unit"],
        )
        for _, data in read
    ]
    ours = {"service": "a-hub"}
    assert found == [
        ("ReplicationLag", ours, [2.5, 3.5], "Seconds"),
        ("VersionsMirrored", ours, [1.0], "Count"),
        ("RunsFailed", ours, [1.0], "Count"),
        ("RunsFailed", ours | {"code": "THROTTLED"}, [1.0], "Count"),
        ("RunsFailed", ours, [1.0], "Count"),
        ("RunsFailed", ours | {"code": "SOURCE_ARCHIVED"}, [1.0], "Count"),
    ]


def test_nothing_to_count_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    count([])
    assert capsys.readouterr().out == ""
