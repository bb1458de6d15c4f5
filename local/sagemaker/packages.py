"""What a model package is made of: the checks at registration, and the ways in which it is described."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from local.evidence import Evidence, Rule
from local.sagemaker.validation import service_model
from local.sagemaker.values import Document, Group, Hooks, Kind, Package, Reference, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-version-described",
        "A new version shows the digest of its image, its status and no name, and no time of modification.",
        Evidence.RECORDED,
        "sagemaker/describe.json",
    ),
    Rule(
        "sagemaker-no-tags-on-version",
        "Tags on a version are a ValidationException.",
        Evidence.RECORDED,
        "sagemaker/errors.json",
    ),
    Rule(
        "sagemaker-no-additional-source",
        "AdditionalS3DataSource in InferenceSpecification is a ValidationException.",
        Evidence.RECORDED,
        "sagemaker/errors.json",
    ),
    Rule(
        "sagemaker-source-uri-alone",
        "CreateModelPackage refuses SourceUri beside InferenceSpecification.",
        Evidence.REPORTED,
        "aws/sagemaker-python-sdk#4492",
    ),
    Rule(
        "sagemaker-both-names",
        "CreateModelPackage with the names of a package and of a group, or with neither, is a ValidationException.",
        Evidence.REPORTED,
        "getmoto/moto#7165",
    ),
    Rule(
        "sagemaker-pending-by-default",
        "A version that is registered without an approval status is PendingManualApproval.",
        Evidence.RECORDED,
        "sagemaker/describe.json",
    ),
)

# Members of CreateModelPackage that are no members of the package: the first two name it, Tags belong to the
# resource and ClientToken to the request.
_NOT_KEPT = {"ModelPackageName", "ModelPackageGroupName", "Tags", "ClientToken"}


def check_creation(request: Document) -> None:
    """Refuse what CreateModelPackage refuses although the service model allows it.

    The sentences are as reported in public, where they were; ``SourceUri`` beside an inference specification
    and a card that is not JSON are known to be refused, but not in which words.
    """
    name, group = request.get("ModelPackageName"), request.get("ModelPackageGroupName")
    if name and group:  # Both sentences: https://github.com/getmoto/moto/pull/7165
        raise invalid("Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                      "Cannot determine which one to use.")  # fmt: skip
    if not name and not group:
        raise invalid("Missing ARN.")
    if group and request.get("Tags"):  # https://github.com/aws/aws-cdk/issues/33699
        raise invalid(TAGS_ON_VERSION)
    # https://github.com/aws/sagemaker-python-sdk/pull/4492
    if "SourceUri" in request and "InferenceSpecification" in request:
        raise invalid("SourceUri and InferenceSpecification cannot both be specified.")
    check_specification(request.get("InferenceSpecification"))
    check_card(request.get("ModelCard"))


TAGS_ON_VERSION = (
    "Tags are not supported in Model Package versions. Please add them to the Model Package Group."
)


def check_specification(specification: Document | None) -> None:
    """Refuse ``AdditionalS3DataSource`` in the main specification: https://github.com/boto/boto3/issues/4510."""
    for container in (specification or {}).get("Containers", []):
        if "AdditionalS3DataSource" in container:
            raise invalid("AdditionalS3DataSource is not allowed in InferenceSpecification")


def check_card(card: Document | None) -> None:
    """Refuse a model card whose content is not a JSON object.

    The content must follow the model package model card schema (embedded documentation of ``ModelCardContent``);
    only the outermost level of that is checked here.
    """
    if card is None or "ModelCardContent" not in card:
        return
    try:
        good = isinstance(json.loads(card["ModelCardContent"]), dict)
    except ValueError:
        good = False
    if not good:
        raise invalid(
            "Model card content does not follow the model package model card schema: not a JSON object."
        )


def containers(members: Document) -> Iterator[Document]:
    """Walk the containers of the inference specification and of the additional ones."""
    for specification in [
        members.get("InferenceSpecification", {}),
        *members.get("AdditionalInferenceSpecifications", []),
        *members.get("AdditionalInferenceSpecificationsToAdd", []),
    ]:
        yield from specification.get("Containers", [])


def new_members(request: Document) -> Document:
    """Take from a creation request what the package keeps, with the defaults that Describe shows.

    ``CertifyForMarketplace`` false is in the documented descriptions and events of versions:
    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html.
    That an omitted approval status is ``PendingManualApproval`` is inferred from the console's behaviour in
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html.
    """
    members = {name: deepcopy(value) for name, value in request.items() if name not in _NOT_KEPT}
    members.setdefault("CertifyForMarketplace", False)
    if "ModelPackageGroupName" in request:
        members.setdefault("ModelApprovalStatus", "PendingManualApproval")
    return members


def record_digests(members: Document, owner: Reference, hooks: Hooks) -> None:
    """Fill in ``ImageDigest`` where the request gave none: Describe and events show it although nobody gave it.

    The documented description has it: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html.
    That it is looked up once, at registration, and not at each Describe is inferred.
    """
    for container in containers(members):
        image = container.get("Image")
        if not image or "ImageDigest" in container:
            continue
        digest = image.partition("@")[2]
        if not digest and hooks.resolve_image:
            digest = hooks.resolve_image(owner.account, owner.region, image) or ""
        if digest:
            container["ImageDigest"] = digest


def check_locations(members: Document, owner: Reference, hooks: Hooks) -> None:
    """Refuse artifacts and images that cannot be read, when the server lent a way to look.

    That the registry's account must be able to read both is documented for registering from another account
    (https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html). Which locations are looked at
    is not, nor the sentences: those here are what CreateModel answers
    (https://github.com/aws-ia/ecs-blueprints/issues/223, aws/amazon-sagemaker-examples/issues/195).
    """
    if not hooks.exists:
        return
    for container in containers(members):
        source = container.get("ModelDataSource", {}).get("S3DataSource", {})
        found: list[tuple[Kind, Any, str]] = [
            ("artifact", container.get("ModelDataUrl"), "Could not find model data at {}."),
            ("artifact", source.get("S3Uri"), "Could not find model data at {}."),
            ("image", container.get("Image"), 'ECR image "{}" is invalid.'),
        ]
        for kind, location, sentence in found:
            if location and not hooks.exists(owner.account, owner.region, kind, location):
                raise invalid(sentence.format(location))


def _identity(package: Package) -> Document:
    # Real descriptions of versions have no ModelPackageName, although the model marks it required:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html (sample), and
    # https://github.com/aws/sagemaker-python-sdk/issues/5606 (summaries).
    reference = package.reference
    if package.versioned:
        return {"ModelPackageGroupName": reference.title, "ModelPackageVersion": reference.version}
    return {"ModelPackageName": reference.title}


def describe(package: Package, now: datetime, included: str = "AllData") -> Document:
    """Describe a package as DescribeModelPackage does."""
    description = deepcopy(package.members) | _identity(package)
    description |= {
        "ModelPackageArn": package.reference.arn,
        "CreationTime": package.created,
        "CreatedBy": package.created_by.as_user_context(),
        "ModelPackageStatus": package.status(now),
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }
    if package.modified and package.modified_by:
        description["LastModifiedTime"] = package.modified
        description["LastModifiedBy"] = package.modified_by.as_user_context()
    if included == "MetadataOnly" and "ModelCardContent" in description.get("ModelCard", {}):
        card = description["ModelCard"]
        card["ModelCardContent"] = _sanitized(card["ModelCardContent"])
    return description


def _sanitized(content: str) -> str:
    # "Sanitized to include only a small set of unencrypted metadata fields" (embedded documentation of
    # IncludedData); that the risk rating is that set is inferred.
    rating = json.loads(content).get("intended_uses", {}).get("risk_rating")
    return json.dumps({"intended_uses": {"risk_rating": rating}} if rating else {})


def summarize(package: Package, now: datetime, shape: str) -> Document:
    """Cut a description down to the members of a summary shape of the installed service model."""
    members = service_model().shape_for(shape).members  # type: ignore[attr-defined]
    return {name: value for name, value in describe(package, now).items() if name in members}


def describe_group(group: Group) -> Document:
    """Describe a group as DescribeModelPackageGroup does."""
    return deepcopy(group.members) | {
        "ModelPackageGroupName": group.reference.title,
        "ModelPackageGroupArn": group.reference.arn,
        "CreationTime": group.created,
        "CreatedBy": group.created_by.as_user_context(),
        "ModelPackageGroupStatus": "Completed",
    }
