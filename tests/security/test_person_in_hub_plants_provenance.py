"""A person with one narrow right in the hub lets register adopt a package that was never replicated.

The asset: what a mirror is made of. What holds: a mirror names its source and its hub in its metadata, in the group of
the source; a document has no say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.landscape import BREAK_GLASS
from replicator.operations.grouping import SOURCE_TAG
from tests.integration.conftest import SPOKE_A, SPOKE_B, Landscape, wait_for
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub


@pytest.mark.parametrize("key", ["provenance/{a}/{g}/1.json", "models/{a}/{g}/1/provenance.json"])
@pytest.mark.parametrize("named", [{}, {"replicator:source-arn": "{arn}"}], ids=["nothing", "source"])
def test_a_package_that_a_document_names_is_not_adopted(
    deployment: Landscape, hub: Hub, spoke: DataScientist, named: dict[str, str], key: str
) -> None:
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    group = f"planted-{spoke.group}"
    hub.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    planted = hub.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": AWS_IMAGE}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        CustomerMetadataProperties={"a": "1"} | {k: v.format(arn=arn) for k, v in named.items()},
    )["ModelPackageArn"]
    body = json.dumps({"hubModelPackageArn": planted}).encode()
    place = key.format(a=SPOKE_A, g=spoke.group)
    # Since they cannot, with the one role that may.
    hub.client("s3", BREAK_GLASS).put_object(
        Bucket=deployment.hub.resources["HubBucket"], Key=place, Body=body
    )
    spoke.approve(arn)
    wait_for(lambda: hub.entry(arn).get("hub_arn"), seconds=60, what="the mirror")
    mirror = hub.mirror(arn)
    assert mirror["ModelPackageArn"] != planted
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"


SOURCE, OTHER_VERSION = "{arn}", "{arn}2"
IN_ITS_GROUP: dict[str, tuple[bool, dict[str, str]]] = {
    "all metadata, no document": (False, {"replicator:source-arn": SOURCE, "replicator:hub": "{hub}"}),
    "a document, no hub": (True, {"replicator:source-arn": SOURCE}),
    "a document, another hub": (True, {"replicator:source-arn": SOURCE, "replicator:hub": "second-hub"}),
    "a document, another version": (
        True,
        {"replicator:source-arn": OTHER_VERSION, "replicator:hub": "{hub}"},
    ),
    "a document, no metadata": (True, {}),
}
"""Whether a provenance document names the package, and its metadata."""


@pytest.mark.parametrize("what", IN_ITS_GROUP)
def test_a_package_in_the_group_of_the_source_is_not_adopted(
    deployment: Landscape, hub: Hub, spoke: DataScientist, what: str
) -> None:
    documented, metadata = IN_ITS_GROUP[what]
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    group = f"{SPOKE_A}-{spoke.group}"
    tags = [{"Key": SOURCE_TAG, "Value": f"{SPOKE_A}/{spoke.group}"}]
    hub.sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    planted = hub.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": AWS_IMAGE}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        CustomerMetadataProperties={"a": "1"}
        | {key: value.format(arn=arn, hub=hub.namespace) for key, value in metadata.items()},
    )["ModelPackageArn"]
    if documented:
        hub.client("s3", BREAK_GLASS).put_object(
            Bucket=deployment.hub.resources["HubBucket"],
            Key=f"provenance/{SPOKE_A}/{spoke.group}/1.json",
            Body=json.dumps({"hubModelPackageArn": planted}).encode(),
        )
    spoke.approve(arn)
    mirror = hub.mirror(arn)
    assert mirror["ModelPackageArn"] != planted
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
    assert hub.sagemaker.describe_model_package(ModelPackageName=planted)["ModelApprovalStatus"] == "Approved"


@pytest.mark.parametrize("tag", ["none", "another group's", "another spoke's"])
def test_a_group_that_was_made_before_the_hub_makes_it_is_not_used(
    hub: Hub, spoke: DataScientist, tag: str
) -> None:
    source = {
        "none": "",
        "another group's": f"{SPOKE_A}/other",
        "another spoke's": f"{SPOKE_B}/{spoke.group}",
    }[tag]
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    group = f"{SPOKE_A}-{spoke.group}"
    tags = [{"Key": SOURCE_TAG, "Value": source}] if source else []
    hub.sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    spoke.approve(arn)
    entry = hub.settled(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "GROUP_NAME_TAKEN")
    assert hub.mirrors(group) == []
