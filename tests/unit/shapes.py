"""Random model packages, drawn from the service model of the installed botocore.

`values` draws anything that a shape allows: every combination of members, structures that are empty, texts
and lists at their limits. What the model calls a text and SageMaker reads as a location, an image or a model
card is drawn from `_SPECIAL`, by the name of its shape, so that the same location often stands in several
places. A member that AWS adds to the model is drawn too, without a change here.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import regex
from hypothesis import strategies as st

from replicator.constraints import violations
from tests.unit.packages import SPOKE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import ServiceModel, Shape
    from hypothesis.strategies import DrawFn, SearchStrategy

BUCKET = f"sagemaker-us-east-1-{SPOKE}"
REGISTRY = f"{SPOKE}.dkr.ecr.us-east-1.amazonaws.com"
FRIEND = "333333333333"
"""An account whose images the operator allows."""
AWS_OWNED = "683313688378"

_LONG = f"s3://{BUCKET}/" + "long/" * 190 + "model.tar.gz"
OBJECTS = [
    f"s3://{BUCKET}/churn/model.tar.gz",
    f"s3://{BUCKET}/churn/report.json",
    f"s3://{BUCKET}/dt=2020/a+b c~.json",
    f"s3://{BUCKET}/modèle/été.tar.gz",
    f"https://s3.us-east-1.amazonaws.com/{BUCKET}/by/path.tar.gz",
    f"https://{BUCKET}.s3.amazonaws.com/by/host.tar.gz",
    "s3://jumpstart-cache-prod-us-east-1/model/infer.tar.gz",
    _LONG + "x" * (1024 - len(_LONG)),
]
PREFIXES = [f"s3://{BUCKET}/raw/", f"s3://{BUCKET}/a/b=c/", "s3://jumpstart-cache-prod-us-east-1/raw/"]
IMAGES = [
    f"{REGISTRY}/churn:1",
    f"{REGISTRY}/churn@sha256:{'cd' * 32}",
    f"{REGISTRY}/team/" + "deep/" * 30 + "serve:1",
    f"{FRIEND}.dkr.ecr.us-east-1.amazonaws.com/base:2",
    f"{AWS_OWNED}.dkr.ecr.us-east-1.amazonaws.com/xgboost:1.7",
]
NOWHERE = ["https://example.com/model.tar.gz", "s3://arn:aws:s3:us-east-1:111111111111:accesspoint/ap/key"]
"""Legal to the model, but nothing that can be copied."""

# Members with which a package cannot be mirrored, or only if the operator says so: drawn once in a while, so
# that most packages get past them.
_RARE = {"ProductId", "ManagedStorageType", "HubAccessConfig", "ModelAccessConfig"}


@cache
def model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def input_of(operation: str) -> Any:
    return model().operation_model(operation).input_shape


def output_of(operation: str) -> Any:
    return model().operation_model(operation).output_shape


def values(shape: Shape) -> SearchStrategy[Any]:
    """Draw any value that a shape allows."""
    return _values(shape.name, shape)


@cache
def _values(name: str, shape: Any) -> SearchStrategy[Any]:
    if name in _SPECIAL:
        return _SPECIAL[name]
    match shape.type_name:
        case "structure":
            return _structure(shape)
        case "list":
            return _list(shape)
        case "map":
            return _map(shape)
        case "string":
            return _text(shape)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.datetimes(timezones=st.timezones())
        case _:
            least = shape.metadata.get("min", 0)
            return st.integers(least, least + 1000)


def _structure(shape: Any) -> SearchStrategy[dict[str, Any]]:
    @st.composite
    def draw_members(draw: DrawFn) -> dict[str, Any]:
        found = {}
        for name, member in shape.members.items():
            # One in thirty, one in two; and of the package itself two of three.
            odds = 29 if name in _RARE else 2 if shape.name == "CreateModelPackageInput" else 1
            drawn = draw(st.integers(0, odds))
            if name in shape.required_members or (drawn > 0 if odds == 2 else drawn == odds):
                found[name] = draw(values(member))
        return _fitting(found)

    return draw_members()


def _fitting(members: dict[str, Any]) -> dict[str, Any]:
    """Make members fit each other: prefixes end with a slash, one object has one ETag, one image one digest."""
    if "S3DataType" in members and "S3Uri" in members and members["S3Uri"] not in NOWHERE:
        chosen = sum(members["S3Uri"].encode())
        prefix = members["S3DataType"] == "S3Prefix"
        members["S3Uri"] = (PREFIXES if prefix else OBJECTS)[
            chosen % (len(PREFIXES) if prefix else len(OBJECTS))
        ]
    if "ManifestS3Uri" in members:
        members["ManifestS3Uri"] = f"s3://{BUCKET}/{_hash(members['S3Uri'])[:8]}.csv"
    for etag, uri in (
        ("ETag", "S3Uri"),
        ("ManifestEtag", "ManifestS3Uri"),
        ("ModelDataETag", "ModelDataUrl"),
    ):
        if etag in members:
            members[etag] = f'"{_hash(members[uri])[:32]}"' if uri in members else '"e"'
    if "ImageDigest" in members:
        image = members.get("Image", "")
        members["ImageDigest"] = image.partition("@")[2] or f"sha256:{_hash(image)}"
    return members


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _list(shape: Any) -> SearchStrategy[list[Any]]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 5)
    some = st.lists(values(shape.member), min_size=least, max_size=min(most, 3))
    # The same element again and again up to the limit costs no more than one.
    full = values(shape.member).map(lambda element: _copies(element, most))
    return st.one_of(*[some] * (9 if shape.member.type_name == "structure" else 3), full)


def _copies(element: Any, count: int) -> list[Any]:
    if isinstance(element, dict) and "Name" in element:
        return [{**element, "Name": f"{element['Name'][:50]}-{i}"} for i in range(count)]
    return [element] * count


def _map(shape: Any) -> SearchStrategy[dict[str, str]]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 5)
    some = st.dictionaries(values(shape.key), values(shape.value), min_size=least, max_size=min(most, 4))
    full = values(shape.value).map(lambda value: {f"key_{i}": "v" if i else value for i in range(most)})
    return st.one_of(some, some, some, full)


# The classes of characters that the patterns of the model name, in some characters of each.
_CLASSES = {"L": "aZßéΩ漢", "M": "\u0301", "Z": " \u00a0", "S": "+$€~", "N": "7٣½", "P": "!%&(),-./:;?@_"}


def _python(pattern: str) -> str:
    pattern = regex.sub(r"\$\{\d+,\d+\}$", "", pattern)
    return str(regex.sub(r"\\p\{(\w)\}", lambda found: regex.escape(_CLASSES[found[1]]), pattern))


def _text(shape: Any) -> SearchStrategy[str]:
    if enum := shape.metadata.get("enum"):
        return st.sampled_from(enum)
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 200)
    pattern = shape.metadata.get("pattern")
    some: SearchStrategy[str] = st.text("aZ0 é漢-", min_size=least, max_size=min(most, 30))
    if pattern and pattern not in (".*", r"[\S\s]*", r"[\S\s]+"):
        # Only letters that every class of Java's patterns knows too.
        some = st.from_regex(_python(pattern), fullmatch=True, alphabet=_alphabet(pattern))
    return st.one_of(some, some, some.map(lambda text: stretched(text, most, pattern))).filter(
        lambda text: least <= len(text) <= most and _matches(pattern, text)
    )


def _alphabet(pattern: str) -> SearchStrategy[str]:
    more = "".join(_CLASSES.values()) if r"\p" in pattern else ""
    return st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from(more or "a")


def _matches(pattern: str | None, text: str) -> bool:
    whole = pattern and regex.sub(r"\$\{\d+,\d+\}$", "", pattern)
    return not whole or regex.fullmatch(whole, text) is not None


def stretched(text: str, length: int, pattern: str | None) -> str:
    """Repeat one character of a text until it is as long as allowed; the text itself if none will do."""
    for i, character in enumerate(text):
        longer = text[:i] + character * (length - len(text)) + text[i:]
        if len(longer) == length and _matches(pattern, longer):
            return longer
    return text


def _card() -> SearchStrategy[str]:
    overview = st.fixed_dictionaries(
        {},
        optional={
            "model_artifact": st.lists(_location(), max_size=3),
            "model_name": st.text("aé", max_size=9),
        },
    )
    card = st.fixed_dictionaries(
        {},
        optional={
            "model_overview": overview,
            "intended_uses": st.just({"risk_rating": "Low", "x": 1.0}),
            "training_details": st.just({"training_job_details": {"training_datasets": [OBJECTS[0]]}}),
            "additional_information": st.integers(0, 90_000).map(
                lambda n: {"ethical_considerations": "é" * n}
            ),
        },
    )
    return st.builds(
        lambda content, ascii_, compact: json.dumps(
            content, ensure_ascii=ascii_, separators=(",", ":") if compact else None
        ),
        card,
        st.booleans(),
        st.booleans(),
    ).filter(lambda text: len(text) <= 100_000)


def _location() -> SearchStrategy[str]:
    return st.sampled_from(OBJECTS * 8 + PREFIXES * 4)


def _free_text(limit: int, allowed: str) -> SearchStrategy[str]:
    locations = [text for text in OBJECTS + PREFIXES if len(text) <= limit and regex.fullmatch(allowed, text)]
    words = st.text("az09 ._:/=+-@", min_size=1, max_size=20)
    return st.one_of(words, words.map(lambda text: text[:1] * limit), st.sampled_from(locations))


_PATHS = st.one_of(st.sampled_from(OBJECTS), st.sampled_from(OBJECTS * 20 + NOWHERE))
_METADATA = r"[\p{L}\p{Z}\p{N}_.:\/=+\-@]*"
_SPECIAL: Mapping[str, SearchStrategy[Any]] = {
    "Url": _PATHS,
    "S3ModelUri": _PATHS,
    "S3Uri": _PATHS,
    "ContainerImage": st.sampled_from(IMAGES),
    "ImageDigest": st.just(""),  # see _fitting
    "EnvironmentValue": _free_text(1024, r"[\S\s]*"),
    "CustomerMetadataValue": _free_text(256, _METADATA),
    "CustomerMetadataKey": st.one_of(
        st.text("az09 ._:/=+-@", min_size=1, max_size=20),
        st.sampled_from(["k" * 128, "replicator:source-arn", "model.artifact"]),
    ),
    "ModelPackageSourceUri": st.sampled_from(
        [*PREFIXES[:1], OBJECTS[0], "git@example.com:a/b", f"arn:aws:sagemaker:us-east-1:{SPOKE}:model/m"]
    ),
    "ModelCardContent": _card(),
    "HubContentArn": st.sampled_from(
        [
            "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/m/1.0.0",
            f"arn:aws:sagemaker:us-east-1:{SPOKE}:hub-content/own/Model/m/1.0.0",
        ]
    ),
}

_DECIDED_HERE = {"ModelPackageName", "ModelPackageGroupName", "Tags", "ClientToken"}


@st.composite
def creations(draw: DrawFn) -> dict[str, Any]:
    """Draw what a spoke registers a version with, as far as SageMaker takes it, without the group."""
    found: dict[str, Any] = {
        name: value
        for name, value in draw(values(input_of("CreateModelPackage"))).items()
        if name not in _DECIDED_HERE
    }
    if "InferenceSpecification" not in found and draw(st.integers(0, 5)) < 5:
        found.pop("SourceAlgorithmSpecification", None)  # else most packages would be refused
    names: set[str] = set()
    specifications = found.get("AdditionalInferenceSpecifications", [])
    for i, specification in enumerate(specifications):
        if specification["Name"] in names:
            specification["Name"] = f"again-{i}"
        names.add(specification["Name"])
    # https://github.com/boto/boto3/issues/4510
    for container in found.get("InferenceSpecification", {}).get("Containers", []):
        container.pop("AdditionalS3DataSource", None)
    return found


@st.composite
def descriptions(draw: DrawFn, arn: str, group: str, version: int) -> dict[str, Any]:
    """Draw what DescribeModelPackage answers for a version, with all that only it knows."""
    described = output_of("DescribeModelPackage")
    found = draw(creations())
    for name, member in described.members.items():
        if name not in input_of("CreateModelPackage").members and draw(st.booleans()):
            found[name] = draw(values(member))
    found |= {"ModelPackageGroupName": group, "ModelPackageVersion": version, "ModelPackageArn": arn}
    found["ModelPackageStatus"] = "Completed"
    found["ModelApprovalStatus"] = "Approved"
    return found


def problems(operation: str, request: dict[str, Any]) -> list[str]:
    """Say what the service model has against a request."""
    return list(violations(input_of(operation), request))
