"""What SageMaker's events say was updated, and what a description of a new version holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.sagemaker import Caller, Hooks, SageMakerRegistry
from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, replays

if TYPE_CHECKING:
    from tests.recorded.replay import Replay

CALLER = Caller(ACCOUNT, "eu-north-1", f"arn:aws:iam::{ACCOUNT}:role/pipeline", "AROA")
DIGEST = f"sha256:{'0' * 64}"
CONTAINER = {"Image": "image:1", "ModelDataUrl": "s3://bucket/model.tar.gz"}
CREATION: dict[str, Any] = {
    "ModelPackageGroupName": "Churn",
    "ModelApprovalStatus": "PendingManualApproval",
    "InferenceSpecification": {
        "Containers": [CONTAINER],
        "SupportedTransformInstanceTypes": ["ml.m5.large"],
        "SupportedRealtimeInferenceInstanceTypes": ["ml.t2.medium", "ml.m5.large"],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    },
    "MetadataProperties": {"GeneratedBy": "pipeline/1"},
}


class Spoke:
    """A registry with one new version, and the details of its events."""

    def __init__(self) -> None:
        self.details: list[dict[str, Any]] = []
        self.registry = SageMakerRegistry(
            Hooks(emit=lambda *event: self.details.append(event[4]), resolve_image=lambda *_: DIGEST)
        )
        self.handle("CreateModelPackageGroup", ModelPackageGroupName="Churn")
        self.arn = self.handle("CreateModelPackage", **CREATION)["ModelPackageArn"]

    def handle(self, operation: str, **members: Any) -> dict[str, Any]:
        """Answer a request."""
        return self.registry.handle(operation, CALLER, members)

    def updated(self, **members: Any) -> list[str]:
        """Update the version; give what the event says of it."""
        self.handle("UpdateModelPackage", ModelPackageArn=self.arn, **members)
        fields: list[str] = self.details[-1]["UpdatedModelPackageFields"]
        return fields


@replays("sagemaker/events.json", "metadata")
def test_an_update_of_metadata(replay: Replay) -> None:
    replay.compare("metadata", Spoke().updated(CustomerMetadataProperties={"a": "1"}))


@replays("sagemaker/events.json", "approval")
def test_an_approval(replay: Replay) -> None:
    replay.compare("approval", Spoke().updated(ModelApprovalStatus="Approved"))


@replays("sagemaker/events.json", "life-cycle")
def test_a_transition_of_the_life_cycle(replay: Replay) -> None:
    stage = {"Stage": "Dev", "StageStatus": "Approved"}
    replay.compare("life-cycle", Spoke().updated(ModelLifeCycle=stage))


@replays(
    "sagemaker/describe.json",
    "version",
    differing=[Differing("describe/CreatedBy", "the recorded version was registered by a pipeline")],
)
def test_a_new_version(replay: Replay) -> None:
    spoke = Spoke()
    for name, value in {
        "group": "Churn", "arn": spoke.arn, "image": CONTAINER["Image"], "model": CONTAINER["ModelDataUrl"],
        "digest": DIGEST, "pipeline": "pipeline/1",
    }.items():  # fmt: skip
        replay.bind(f"<{name}>", value)
    replay.compare("describe", spoke.handle("DescribeModelPackage", ModelPackageName=spoke.arn))
