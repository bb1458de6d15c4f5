"""What an operator sees in CloudWatch, from what the shipped functions wrote into their logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import SPOKE_A, SPOKE_B, Landscape, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


class Watch:
    """Reads sums of a hub's metrics, each as the difference since it began: other tests write them too."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._before: dict[tuple[str, str | None], float] = {}

    def begin(self, *names: str, code: str | None = None) -> None:
        for name in names:
            for each in {None, code}:
                self._before[name, each] = self._now(name, each)

    def since(self, name: str, code: str | None = None) -> float:
        return self._now(name, code) - self._before[name, code]

    def _now(self, name: str, code: str | None) -> float:
        dimensions = {"service": self._hub.namespace} | ({"code": code} if code else {})
        now = datetime.now(UTC)
        answer = self._hub.client("cloudwatch").get_metric_statistics(
            Namespace="ModelRegistryReplicator",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - timedelta(hours=2),
            EndTime=now + timedelta(minutes=1),
            Period=10_800,
            Statistics=["Sum"],
        )
        return float(sum(point["Sum"] for point in answer["Datapoints"]))


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def watch(hub: Hub) -> Watch:
    return Watch(hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("model"))


def test_a_mirrored_version_is_counted_once_with_its_lag_and_its_bytes(
    hub: Hub, watch: Watch, scientist: DataScientist
) -> None:
    names = ["VersionsMirrored", "VersionsUpdated", "ReplicationLag", "ArtifactsCopied", "ArtifactBytesCopied",
             "ImagesCopied", "ImageBytesCopied", "EventsStarted"]  # fmt: skip
    watch.begin(*names)
    model = scientist.put("model.tar.gz")
    scientist.push()
    arn = scientist.register({"Image": scientist.image, "ModelDataUrl": model})
    scientist.approve(arn)
    hub.mirror(arn)
    wait_for(lambda: watch.since("VersionsMirrored"), what="the metric")
    assert watch.since("VersionsMirrored") == 1
    assert 0 < watch.since("ReplicationLag") < 120
    assert watch.since("ArtifactsCopied") == watch.since("ImagesCopied") == 1
    assert watch.since("ArtifactBytesCopied") == len(scientist.artifacts[model])
    assert watch.since("ImageBytesCopied") > 0
    assert watch.since("EventsStarted") >= 1

    hub.send(json.dumps(scientist.event(arn)))
    scientist.reject(arn)
    wait_for(lambda: hub.mirror(arn)["ModelApprovalStatus"] == "Rejected", what="the rejection")
    wait_for(lambda: watch.since("VersionsUpdated"), what="the metric")
    assert (watch.since("VersionsMirrored"), watch.since("VersionsUpdated")) == (1, 1)
    assert watch.since("ArtifactsCopied") == watch.since("ImagesCopied") == 1


def test_a_failed_run_is_counted_by_its_code_and_its_redrive_has_no_lag(
    hub: Hub, watch: Watch, scientist: DataScientist
) -> None:
    code = "SOURCE_OBJECT_MISSING"
    watch.begin("RunsFailed", "VersionsRefused", code=code)
    watch.begin("ReplicationLag", "VersionsMirrored")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.remove("model.tar.gz")
    scientist.approve(arn)
    hub.dead_letter(arn)
    wait_for(lambda: watch.since("RunsFailed", code), what="the metric")
    assert watch.since("RunsFailed", code) == watch.since("RunsFailed") == 1
    assert watch.since("VersionsRefused", code) == watch.since("VersionsRefused") == 0
    assert watch.since("VersionsMirrored") == 0

    scientist.bring_back("model.tar.gz")
    hub.redrive(source_arn=arn)
    wait_for(lambda: watch.since("VersionsMirrored"), what="the metric")
    assert watch.since("VersionsMirrored") == 1
    assert watch.since("ReplicationLag") == 0


def test_a_refusal_is_no_failure(hub: Hub, watch: Watch, scientist: DataScientist) -> None:
    code = "FOREIGN_REGISTRY"
    watch.begin("RunsFailed", "VersionsRefused", code=code)
    other = DataScientist(scientist.aws, SPOKE_B, scientist.group)
    other.push()
    arn = scientist.register({"Image": other.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    hub.dead_letter(arn)
    wait_for(lambda: watch.since("VersionsRefused", code), what="the metric")
    assert watch.since("VersionsRefused", code) == watch.since("VersionsRefused") == 1
    assert watch.since("RunsFailed", code) == watch.since("RunsFailed") == 0


def test_what_intake_rejects_is_counted_by_code(hub: Hub, watch: Watch, fresh: Callable[[str], str]) -> None:
    watch.begin("EventsRejected", code="MALFORMED_EVENT")
    watch.begin("EventsRejected", code="UNVERSIONED")
    unversioned = f"arn:aws:sagemaker:eu-west-1:{SPOKE_A}:model-package/{fresh('alone')}"
    event = {
        "source": "aws.sagemaker", "detail-type": "SageMaker Model Package State Change",
        "account": SPOKE_A, "region": "eu-west-1", "detail": {"ModelPackageArn": unversioned},
    }  # fmt: skip
    hub.send(fresh("no JSON"), json.dumps(event))
    for code in ("MALFORMED_EVENT", "UNVERSIONED"):
        wait_for(lambda code=code: watch.since("EventsRejected", code), what=code)  # type: ignore[misc]
        assert watch.since("EventsRejected", code) == 1
    assert watch.since("EventsRejected") == 2


def test_dashboard_and_alarms_are_deployed_with_the_hub(hub: Hub) -> None:
    cloudwatch = hub.client("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=hub.namespace)["DashboardBody"])
    (shown,) = [each["properties"]["alarms"] for each in body["widgets"] if each["type"] == "alarm"]
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix=hub.namespace)["MetricAlarms"]
    assert {each["AlarmArn"] for each in alarms} == set(shown)
    (queues,) = [each for each in body["widgets"] if each["properties"].get("title") == "Waiting messages"]
    assert queues["properties"]["metrics"][0][3] == f"{hub.namespace}-intake"
