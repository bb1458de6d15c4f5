"""Claims about the SageMaker Model Registry. All versions are made in a throwaway group of the spoke."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from local.images import build_image, push
from tools.real_checks.checks import Check, NotTriedError, check, expect, refused
from tools.real_checks.world import document

if TYPE_CHECKING:
    from tools.real_checks.world import World

API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
_MIRROR, _REGISTERING = "layers/core/replicator/mirror.py", "layers/core/replicator/aws/registry.py"
METADATA = "CustomerMetadataProperties"


@check(
    "client-token-repeats",
    "A repeated CreateModelPackage with the same ClientToken answers with the first version and makes no other.",
    source=f"{API}API_CreateModelPackage.html (a token that guarantees idempotency; its life is not documented)",
    relies=_MIRROR,
    makes="1 version",
)
def client_token_repeats(world: World) -> str:
    """Create twice."""
    token = str(uuid.uuid4())
    first, second = world.register(ClientToken=token), world.register(ClientToken=token)
    return expect(first == second, f"{first}, then {second}")


@check(
    "client-token-conflicts",
    "The same ClientToken with other parameters is a ConflictException.",
    source="inferred: the one modelled error of the operation that fits",
    relies="local/sagemaker/store.py",
    makes="1 version",
)
def client_token_conflicts(world: World) -> str:
    """Create, then create something else."""
    token = str(uuid.uuid4())
    world.register(ClientToken=token)
    other = world.registration(ClientToken=token, ModelPackageDescription="another")
    return refused(world.spoke.client("sagemaker").create_model_package, "ConflictException", **other)


@check(
    "metadata-merges",
    "An update merges CustomerMetadataProperties into what is there; removals come before additions.",
    source="inferred from CustomerMetadataPropertiesToRemove, which would have no use otherwise",
    relies=_MIRROR,
    makes="1 version",
)
def metadata_merges(world: World) -> str:
    """Add one key, then remove and set another in one call."""
    arn = world.register(**{METADATA: {"a": "1", "b": "1"}})
    world.update(arn, **{METADATA: {"c": "1"}})
    world.update(arn, **{METADATA: {"b": "2"}, f"{METADATA}ToRemove": ["a", "b"]})
    shown = world.describe(arn)[METADATA]
    return expect(shown == {"b": "2", "c": "1"}, json.dumps(shown))


@check(
    "metadata-limit",
    "The limit of 50 entries holds for what an update leaves, not for what it brings.",
    source="inferred from the limit of CustomerMetadataMap",
    relies="layers/core/replicator/provenance.py",
    makes="1 version",
)
def metadata_limit(world: World) -> str:
    """Bring the 51st entry by itself."""
    arn = world.register(**{METADATA: {f"k{i}": "x" for i in range(50)}})
    return refused(world.update, "ValidationException", arn=arn, CustomerMetadataProperties={"more": "x"})


@check(
    "source-uri-with-specification",
    "Create refuses SourceUri beside an InferenceSpecification; an update sets it afterwards.",
    source="https://github.com/aws/sagemaker-python-sdk/pull/4492",
    relies=_MIRROR,
    makes="1 version",
)
def source_uri_with_specification(world: World) -> str:
    """Create with both, then create and update."""
    uri = f"s3://{world.buckets['spoke']}/code/"
    create = world.spoke.client("sagemaker").create_model_package
    said = refused(create, "ValidationException", **world.registration(SourceUri=uri))
    arn = world.register()
    world.update(arn, SourceUri=uri)
    return expect(world.describe(arn).get("SourceUri") == uri, said)


@check(
    "unknown-version",
    'Describe of a version that does not exist is a ValidationException that says "does not exist".',
    source=f"{API}API_DescribeModelPackage.html models no error for it",
    relies=_REGISTERING,
)
def unknown_version(world: World) -> str:
    """Describe a version that never was."""
    sagemaker = world.spoke.client("sagemaker")
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=world.group)["ModelPackageGroupArn"]
    package = arn.replace(":model-package-group/", ":model-package/") + "/9999"
    return refused(
        sagemaker.describe_model_package,
        "ValidationException",
        says="does not exist",
        ModelPackageName=package,
    )


@check(
    "new-version",
    "A version registered without a status is PendingManualApproval.",
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html (the console's behaviour)",
    relies="local/sagemaker/packages.py",
    makes="1 version",
)
def new_version(world: World) -> str:
    """Register, describe; whether there is a LastModifiedTime, of which recordings differ, is told."""
    shown = world.describe(world.register())
    status, modified = shown.get("ModelApprovalStatus"), shown.get("LastModifiedTime")
    return expect(status == "PendingManualApproval", f"{status}, modified {modified}")


@check(
    "version-numbers",
    "The number of a deleted version is not given again.",
    source="inferred; nothing is documented",
    relies="docs/what-is-not-copied.md",
    makes="2 versions",
)
def version_numbers(world: World) -> str:
    """Register, delete, register."""
    first = world.register()
    world.spoke.client("sagemaker").delete_model_package(ModelPackageName=first)
    second = world.register()
    numbers = [int(arn.rpartition("/")[2]) for arn in (first, second)]
    return expect(numbers[1] == numbers[0] + 1, f"{numbers[0]}, then {numbers[1]}")


@check(
    "tags-on-version",
    "Create refuses Tags on a version in a group.",
    source="https://github.com/aws/aws-cdk/issues/33699",
    relies="layers/core/replicator/fields.py",
)
def tags_on_version(world: World) -> str:
    """Create with a tag."""
    request = world.registration(Tags=[{"Key": "a", "Value": "b"}])
    return refused(world.spoke.client("sagemaker").create_model_package, "ValidationException", **request)


@check(
    "describe-etag",
    "Describe shows ModelDataETag of a ModelDataUrl, as S3 gives it.",
    source=f"{API}API_ModelPackageContainerDefinition.html",
    relies="layers/core/replicator/package.py",
    makes="1 version",
)
def describe_etag(world: World) -> str:
    """Compare with the ETag that S3 answered."""
    container = _container(world.describe(world.register()))
    shown = container.get("ModelDataETag")
    if shown is None:
        raise NotTriedError(
            "Describe shows no ModelDataETag; then the pin is the ETag at the time of the copy"
        )
    return expect(shown.strip('"') == world.model_etag, f"{shown}, S3 {world.model_etag}")


@check(
    "image-digest",
    "ImageDigest is resolved once, at registration: moving the tag afterwards does not change it.",
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html shows it; when is inferred",
    relies="layers/core/replicator/plan.py",
    makes="1 version; moves a tag in the throwaway repository and back",
)
def image_digest(world: World) -> str:
    """Register by tag, move the tag, describe."""
    arn, registry = world.register(), world.registry(world.spoke)
    target = (registry.endpoint, registry.authorization, world.image_repository, "1")
    other = build_image({"etc/replicator-check": b"another image"})
    push(other, *target)
    shown = _container(world.describe(arn)).get("ImageDigest")
    push(world.image, *target)
    return expect(shown == world.image.digest, f"{shown}, registered {world.image.digest}")


@check(
    "artifact-is-looked-at",
    "Registration looks at the artifact: one that is missing is refused.",
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html (the registry must read it)",
    relies="template.yaml, RegisterRole",
)
def artifact_is_looked_at(world: World) -> str:
    """Register with an object that is not there."""
    request = world.registration()
    request["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] += ".missing"
    return refused(world.spoke.client("sagemaker").create_model_package, "ValidationException", **request)


@check(
    "metadata-only",
    "Describe with IncludedData=MetadataOnly cuts the content of the model card down.",
    source=f"{API}API_DescribeModelPackage.html",
    relies=_REGISTERING,
    makes="1 version",
)
def metadata_only(world: World) -> str:
    """Compare the card with and without."""
    content = json.dumps({"model_overview": {"model_creator": "x"}, "intended_uses": {"risk_rating": "Low"}})
    arn = world.register(ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"})
    sagemaker = world.spoke.client("sagemaker")
    cut = sagemaker.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly")
    shown = cut.get("ModelCard", {}).get("ModelCardContent", "")
    return expect("model_creator" not in shown, shown or "no content")


@check(
    "card-status-alone",
    "An update with ModelCardStatus alone leaves the content of the card.",
    source="inferred; the documentation of ModelCardStatus speaks of the status only",
    relies="local/sagemaker/updates.py",
    makes="1 version",
)
def card_status_alone(world: World) -> str:
    """Set the status, compare the content."""
    content = json.dumps({"model_overview": {"model_creator": "x"}})
    arn = world.register(ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"})
    world.update(arn, ModelCard={"ModelCardStatus": "PendingReview"})
    card = world.describe(arn)["ModelCard"]
    same = json.loads(card.get("ModelCardContent", "null")) == json.loads(content)
    return expect(same and card["ModelCardStatus"] == "PendingReview", json.dumps(card))


@check(
    "group-policy-organization",
    'PutModelPackageGroupPolicy takes Principal "*" with the condition aws:PrincipalOrgID.',
    source="https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html shows accounts only",
    relies="layers/core/replicator/consumers.py",
    makes="a policy on the throwaway group",
)
def group_policy_organization(world: World) -> str:
    """Put one, as the register function does for ConsumerOrganizationId."""
    if world.organization is None:
        raise NotTriedError("give --organization o-...")
    sagemaker = world.spoke.client("sagemaker")
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=world.group)["ModelPackageGroupArn"]
    policy = document(
        {
            "Sid": "ReadGroup",
            "Principal": {"AWS": "*"},
            "Action": ["sagemaker:DescribeModelPackageGroup"],
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": world.organization}},
        }
    )
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=world.group, ResourcePolicy=policy)
    kept = sagemaker.get_model_package_group_policy(ModelPackageGroupName=world.group)["ResourcePolicy"]
    return expect(world.organization in kept, "taken, and given back")


def _container(description: dict[str, Any]) -> dict[str, Any]:
    return dict(description["InferenceSpecification"]["Containers"][0])


CHECKS: tuple[Check, ...] = (
    client_token_repeats,
    client_token_conflicts,
    metadata_merges,
    metadata_limit,
    source_uri_with_specification,
    unknown_version,
    new_version,
    version_numbers,
    tags_on_version,
    describe_etag,
    image_digest,
    artifact_is_looked_at,
    metadata_only,
    card_status_alone,
    group_policy_organization,
)
