"""The field map: what becomes of every member of a model package, decided member by member.

The map has the shape of the package. A dict is a structure, `Each` a list, `Values` a map, and what
stands for a member is its rule. A contract test compares it with the service model of the installed
botocore and fails, naming the path, when Create, Describe or Update has a member that is not decided here.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Keep:
    """The mirror has the same value."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The mirror does not have it."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """SageMaker sets it; nobody can write it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The replicator sets it itself."""

    how: str


@dataclass(frozen=True, slots=True)
class Location:
    """An S3 location: copied, and rewritten to where it went."""

    type: Literal["object", "S3DataType", "manifest"] = "object"
    """One object; as the member ``S3DataType`` beside it says; or a manifest of what lies below ``S3Uri``."""
    etag: str | None = None
    """The member beside it that holds the ETag which SageMaker recorded."""


@dataclass(frozen=True, slots=True)
class Text:
    """Free text: when the whole value is an S3 location, it is copied and rewritten, else kept."""

    longest: int = 1024


@dataclass(frozen=True, slots=True)
class SourceUri:
    """Like `Text`, but an ARN is dropped: SageMaker reads one as "clone this"."""


@dataclass(frozen=True, slots=True)
class Card:
    """The JSON text of a model card: the artifacts that it names are copied, and rewritten inside it."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: copied and rewritten, unless the registry is one that AWS owns."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A package that has it cannot be mirrored; see `replicator.refusals`."""


type Rule = Keep | Drop | ReadOnly | Decided | Location | Text | SourceUri | Card | Image | Refuse
type Node = Rule | dict[str, Node] | Each | Values


@dataclass(frozen=True, slots=True)
class Each:
    """A list, every element of which is treated alike."""

    node: Node


@dataclass(frozen=True, slots=True)
class Values:
    """A map from text to text, every value of which is treated alike."""

    rule: Rule


KEEP = Keep()
_ETAG = Drop("it belongs to the source's object; it is what the copy is pinned by, and the copy has its own")
_DIGEST = Drop(
    "it stands in the mirror's Image, as repository@digest, and SageMaker shows the mirror's own beside it"
)

_S3_MODEL_DATA: Node = {
    "S3Uri": Location("S3DataType", etag="ETag"),
    "S3DataType": KEEP,
    "CompressionType": KEEP,
    "ModelAccessConfig": {"AcceptEula": Refuse()},
    "HubAccessConfig": {"HubContentArn": Refuse()},
    "ManifestS3Uri": Location("manifest", etag="ManifestEtag"),
    "ETag": _ETAG,
    "ManifestEtag": _ETAG,
}

_CONTAINER: Node = {
    "ContainerHostname": KEEP,
    "Image": Image(),
    "ImageDigest": _DIGEST,
    "ModelDataUrl": Location("object", etag="ModelDataETag"),
    "ModelDataETag": _ETAG,
    "ModelDataSource": {"S3DataSource": _S3_MODEL_DATA},
    "ProductId": Refuse(),
    "Environment": Values(Text()),
    "ModelInput": {"DataInputConfig": KEEP},
    "Framework": KEEP,
    "FrameworkVersion": KEEP,
    "NearestModelName": KEEP,
    "AdditionalModelDataSources": Each({"ChannelName": KEEP, "S3DataSource": _S3_MODEL_DATA}),
    "AdditionalS3DataSource": {
        "S3DataType": KEEP,
        "S3Uri": Location("S3DataType", etag="ETag"),
        "CompressionType": KEEP,
        "ETag": _ETAG,
    },
    "IsCheckpoint": KEEP,
    "BaseModel": {"HubContentName": KEEP, "HubContentVersion": KEEP, "RecipeName": KEEP},
}

_INFERENCE: dict[str, Node] = {
    "Containers": Each(_CONTAINER),
    "SupportedTransformInstanceTypes": Each(KEEP),
    "SupportedRealtimeInferenceInstanceTypes": Each(KEEP),
    "SupportedContentTypes": Each(KEEP),
    "SupportedResponseMIMETypes": Each(KEEP),
}
_ADDITIONAL: Node = Each({"Name": KEEP, "Description": KEEP, **_INFERENCE})

_REPORT: Node = {"ContentType": KEEP, "ContentDigest": KEEP, "S3Uri": Location()}
_QUALITY: Node = {"Statistics": _REPORT, "Constraints": _REPORT}

_IDENTITY: Node = ReadOnly()

RUNS = frozenset({"InferenceSpecification", "AdditionalInferenceSpecifications", "SourceUri"})
"""What runs when a version is deployed: an approval in the hub holds for these, and for no others.

They have the images, the model data, the environment and where they come from. Of the other fields that an update
takes, metadata, card and description are about the model, and `ModelLifeCycle` is a decision of its own: a person's
in the hub stays.
"""

PACKAGE: dict[str, Node] = {
    "ModelPackageName": Drop("a version in a group has no name of its own"),
    "ModelPackageGroupName": Decided("the group name template names the group in the hub"),
    "ModelPackageDescription": KEEP,
    "ModelPackageRegistrationType": KEEP,
    "InferenceSpecification": _INFERENCE,
    "AdditionalInferenceSpecifications": _ADDITIONAL,
    "ValidationSpecification": Drop("it would run a transform job in the hub, with a role of the spoke"),
    "SourceAlgorithmSpecification": Drop(
        "it names an algorithm of the spoke's account; the inference specification says all that is needed"
    ),
    "CertifyForMarketplace": Drop("it does not apply to a version in a group"),
    "Tags": Drop("SageMaker refuses tags on a version in a group"),
    "ModelApprovalStatus": Decided("the operator's policy; a rejection always goes through"),
    "ApprovalDescription": Decided("only an update takes it, so a second call writes it"),
    "MetadataProperties": {"CommitId": KEEP, "Repository": KEEP, "GeneratedBy": KEEP, "ProjectId": KEEP},
    "ModelMetrics": {
        "ModelQuality": _QUALITY,
        "ModelDataQuality": _QUALITY,
        "Bias": {"Report": _REPORT, "PreTrainingReport": _REPORT, "PostTrainingReport": _REPORT},
        "Explainability": {"Report": _REPORT},
    },
    "DriftCheckBaselines": {
        "Bias": {
            "ConfigFile": _REPORT,
            "PreTrainingConstraints": _REPORT,
            "PostTrainingConstraints": _REPORT,
        },
        "Explainability": {"Constraints": _REPORT, "ConfigFile": _REPORT},
        "ModelQuality": _QUALITY,
        "ModelDataQuality": _QUALITY,
    },
    "ClientToken": Decided(
        "made from the source ARN, so that a repeated create answers with the first mirror"
    ),
    "Domain": KEEP,
    "Task": KEEP,
    "SamplePayloadUrl": Location(),
    "CustomerMetadataProperties": Values(Text(longest=256)),
    "SkipModelValidation": KEEP,
    "SourceUri": SourceUri(),
    "SecurityConfig": {"KmsKeyId": Decided("the hub's key takes the place of the spoke's")},
    "ModelCard": {"ModelCardContent": Card(), "ModelCardStatus": KEEP},
    "ModelLifeCycle": {"Stage": KEEP, "StageStatus": KEEP, "StageDescription": KEEP},
    "ManagedStorageType": Refuse(),
    # Describe only
    "ModelPackageVersion": Decided("the hub counts its own; the source's stands in the provenance"),
    "ModelPackageArn": Decided("the hub's own; the source's stands in the provenance"),
    "CreationTime": _IDENTITY,
    "ModelPackageStatus": _IDENTITY,
    "ModelPackageStatusDetails": _IDENTITY,
    "CreatedBy": _IDENTITY,
    "LastModifiedTime": _IDENTITY,
    "LastModifiedBy": _IDENTITY,
    # Update only
    "CustomerMetadataPropertiesToRemove": Decided("what the spoke removed since"),
    "AdditionalInferenceSpecificationsToAdd": Decided("what the spoke added since"),
}
