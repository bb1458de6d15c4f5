"""Texts that two readers understand differently, or that no reader gets to the end of.

The assets: the hub's word about a version (approved or not, from where), and an execution that ends with a reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from replicator.identifiers import ModelPackageArn
from replicator.plan import plan
from replicator.steps import Action
from tests.integration.conftest import SPOKE_A
from tests.integration.registry_world import Runner, World, the_policy
from tests.security.conftest import AWS_IMAGE
from tests.unit.packages import SPOKE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub


AWS_OWNED = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7"


def a_container(spoke: DataScientist, **members: Any) -> dict[str, Any]:
    return {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz"), **members}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_card_that_is_nested_without_end_has_a_code(hub: Hub, spoke: DataScientist, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    content = f'{{"model_overview": {opening * 9_000}1{closing * 9_000}}}'
    arn = spoke.register(
        a_container(spoke), ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"}
    )
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "LIMIT_EXCEEDED"
    assert "ModelCard.ModelCardContent" in letter["reason"]


def test_a_stage_does_not_say_approved_beside_a_pending_mirror(hub: Hub, spoke: DataScientist) -> None:
    stage = {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "by QA"}
    arn = spoke.register(a_container(spoke), ModelLifeCycle=stage)
    spoke.approve(arn)
    mirror = hub.mirror(arn)
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
    assert mirror["ModelLifeCycle"] == {**stage, "StageStatus": "PendingApproval"}
    provenance = json.loads(hub.read(mirror["CustomerMetadataProperties"]["replicator:provenance"]))
    assert "ModelLifeCycle.StageStatus" in provenance["notCopied"]


def test_metadata_in_the_replicators_name_is_not_carried_over(hub: Hub, spoke: DataScientist) -> None:
    forged = {
        "replicator:source-arn": f"arn:aws:sagemaker:{hub.aws.region}:{SPOKE_A}:model-package/other/9",
        "replicator:source-deleted": "2020-01-01T00:00:00Z",
        "replicator:image-1": "sha256:forged",
        "replicator:anything": "x",
    }
    arn = spoke.register(a_container(spoke), CustomerMetadataProperties={**forged, "mine": "1"})
    spoke.approve(arn)
    metadata = hub.mirror(arn)["CustomerMetadataProperties"]
    assert metadata["mine"] == "1"
    assert metadata["replicator:source-arn"] == arn
    assert not set(forged.values()) & set(metadata.values())


def test_a_value_that_ends_with_a_line_break_is_nothing_to_another_location() -> None:
    """Pins were once kept under the location and a line break: such a value took the place of one.

    Without the copying: moto's S3 takes no such key.
    """
    world = World()
    group, location = world.group(), f"s3://models-of-{SPOKE}/model.tar.gz"
    # What is copied for the value goes to the hub, so the value would be read as the pin of the other.
    container = {"Image": AWS_OWNED, "ModelDataUrl": location, "ModelDataETag": "e1"}
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{**container, "Environment": {"A": f"{location}\n"}}],
            "SupportedContentTypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    runner = Runner(world, arn, the_policy())
    try:
        runner.settle()
        entry = world.ledger.get(arn)
        assert entry is not None
        assert set(entry.locations) == {location, f"{location}\n"}
        assert entry.pins == {location: "e1"}
        source = world.describe(world.scientist, arn)
        again = plan(ModelPackageArn.parse(arn), {**source, "Task": "OTHER"}, entry.known, runner.policy)
        assert (again.action, again.copies) == (Action.UPDATE, [])
        source["InferenceSpecification"]["Containers"][0]["ModelDataETag"] = "e2"
        other = plan(ModelPackageArn.parse(arn), source, entry.known, runner.policy)
        assert [copy.uri for copy in other.copies] == [location]
    finally:
        world.stop()


@pytest.mark.parametrize(
    "named",
    [
        "arn:aws:sagemaker:{region}:\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661:model-package/{group}/1",
        "arn:aws:sagemaker:{region}:{account}:model-package/{group}/\uff11",
        "arn:aws:sagemaker:{region}:{account}:model-package/{group}/1\u0662",
        "arn:aws-cn:sagemaker:{region}:{account}:model-package/{group}/1",
        "arn:aws-x:sagemaker:{region}:{account}:model-package/{group}/1",
    ],
)
def test_an_arn_that_aws_would_not_write_is_malformed(hub: Hub, spoke: DataScientist, named: str) -> None:
    arn = named.format(region=hub.aws.region, account=SPOKE_A, group=spoke.group)
    body = json.dumps(spoke.event(arn))
    hub.send(body)
    assert hub.code_of(body) == "MALFORMED_EVENT"


def test_hub_content_of_another_region_is_not_taken_for_the_hubs_own(hub: Hub, spoke: DataScientist) -> None:
    content = "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/m/1.0.0"
    source = {
        "S3Uri": spoke.put("model.tar.gz"),
        "S3DataType": "S3Object",
        "CompressionType": "Gzip",
        "HubAccessConfig": {"HubContentArn": content},
    }
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataSource": {"S3DataSource": source}})
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "PRIVATE_HUB_CONTENT"
    assert content in letter["reason"]
