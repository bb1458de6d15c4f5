"""How many AWS calls a run makes: a bound for each, so that nobody adds one without noticing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bench.counted import CountedCalls, counting
from tests.integration.conftest import SPOKE_A, Landscape
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_FOR_A_FIRST_MIRROR = 39
MOST_FOR_A_DUPLICATE = 3


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("model"))


@pytest.fixture
def counted(deployment: Landscape) -> Iterator[CountedCalls]:
    with counting(deployment.aws) as calls:
        yield calls


def first_mirror(hub: Hub, scientist: DataScientist, counted: CountedCalls) -> tuple[str, dict[str, int]]:
    """Approve a version with one artifact and one image; give its ARN and the calls of each function."""
    if not scientist.artifacts:
        scientist.push()
    arn = scientist.register({"Image": scientist.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    counted.clear()
    scientist.approve(arn)
    hub.mirror(arn)
    return arn, dict(counted.by_function())


def test_a_first_mirror_of_one_artifact_and_one_image(
    hub: Hub, scientist: DataScientist, counted: CountedCalls
) -> None:
    _, by_function = first_mirror(hub, scientist, counted)
    assert set(by_function) == {"intake", "plan", "copy-artifact", "copy-image", "register"}
    assert sum(by_function.values()) <= MOST_FOR_A_FIRST_MIRROR, counted.calls


def test_a_duplicate_event(hub: Hub, scientist: DataScientist, counted: CountedCalls) -> None:
    arn, _ = first_mirror(hub, scientist, counted)
    stale = scientist.event(arn)
    counted.clear()
    answer = hub.client("lambda").invoke(
        FunctionName=f"{hub.namespace}-intake",
        Payload=json.dumps(
            {
                "Records": [
                    {"messageId": "1", "receiptHandle": "1", "body": json.dumps(stale), "attributes": {}}
                ]
            }
        ).encode(),
    )
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    assert 1 <= counted.total() <= MOST_FOR_A_DUPLICATE, counted.calls


def test_a_hub_group_of_a_thousand_versions_costs_no_more(
    hub: Hub, scientist: DataScientist, counted: CountedCalls
) -> None:
    _, before = first_mirror(hub, scientist, counted)
    mirror_group = f"{SPOKE_A}-{scientist.group}"
    for _ in range(1000):
        add_version(hub, mirror_group)
    _, after = first_mirror(hub, scientist, counted)
    # The group is there the second time, and nothing pages through what it holds.
    assert sum(after.values()) <= sum(before.values()), counted.calls
    assert after["register"] <= before["register"], counted.calls


def add_version(hub: Hub, group: str) -> None:
    container = {"Image": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"}
    hub.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
