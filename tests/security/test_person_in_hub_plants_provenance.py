"""A person with one narrow right in the hub lets register adopt a package that was never replicated.

The asset: what a mirror is made of. What holds: a mirror names its source and its hub in its metadata, in the group of
the source; a document has no say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.landscape import BREAK_GLASS
from tests.integration.conftest import SPOKE_A, Landscape, wait_for
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
