"""A model package as `DescribeModelPackage` gives it: walked by the field map, and rewritten.

One walker serves every purpose: finding the locations, writing the mirror, and reading a mirror back for
comparison. It prunes empty structures, lists and maps on the way, because Describe returns empty
structures that Create refuses.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicator import fields
from replicator.fields import Card, Decided, Drop, Each, Image, Keep, Location, ReadOnly, Refuse, Text, Values
from replicator.identifiers import ImageReference, InvalidIdentifierError, S3Uri
from replicator.steps import ArtifactCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replicator.fields import Node, Rule

# S3Uri, S3ModelUri, Url: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
LOCATION_MAX = 1024
_LONGEST_PATH = 120
"""Of a member that is named in a message: a run's state has little room."""

type Description = Mapping[str, Any]
"""What `DescribeModelPackage` answers, without ``ResponseMetadata``."""


class _Omitted:
    """The mark of a member that the mirror does not have."""


OMITTED = _Omitted()


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a rule stands for."""

    path: str
    rule: Rule
    value: Any
    beside: Mapping[str, Any]
    """The structure that the member is in."""


def transform(
    node: Node,
    value: Any,
    visit: Callable[[Found], Any],
    path: str = "",
    beside: Mapping[str, Any] | None = None,
) -> Any:
    """Rebuild ``value`` along the map; ``visit`` says what takes the place of each value under a rule.

    Returns `OMITTED` where nothing is left. A member that the map does not know is visited with a `Drop`
    rule, so that it cannot vanish unseen.
    """
    if isinstance(node, dict):
        members = {
            name: transform(
                node.get(name, _UNKNOWN), member, visit, f"{path}.{name}" if path else name, value
            )
            for name, member in value.items()
        }
        return {name: member for name, member in members.items() if member is not OMITTED} or OMITTED
    if isinstance(node, Each):
        elements = [
            transform(node.node, element, visit, f"{path}[{i}]", None) for i, element in enumerate(value)
        ]
        # A structure in a list stays although it is empty: the list may be required, and its order counts.
        kept = [
            {} if element is OMITTED and isinstance(old, dict) else element
            for old, element in zip(value, elements, strict=True)
        ]
        return [element for element in kept if element is not OMITTED] or OMITTED
    if isinstance(node, Values):
        entries = {k: visit(Found(f"{path}{{{k}}}", node.rule, v, value)) for k, v in value.items()}
        return {k: v for k, v in entries.items() if v is not OMITTED} or OMITTED
    return visit(Found(path, node, value, beside or {}))


_UNKNOWN = Drop("this release of the replicator does not know it")


def walk(description: Description) -> Iterator[Found]:
    """Give every value of a description with its path and rule, and the artifacts that a card names."""
    found: list[Found] = []
    transform(fields.PACKAGE, description, found.append)
    for each in found:
        yield each
        if isinstance(each.rule, Card):
            for i, artifact in enumerate(_artifacts(_json(each.value)) or []):
                if isinstance(artifact, str):
                    yield Found(f"{each.path}#model_overview.model_artifact[{i}]", Text(), artifact, {})


def s3_location(found: Found) -> S3Uri | None:
    """Say which S3 location a value is; None for one that is not a location.

    Raises `InvalidIdentifierError` for a member that can only hold a location and holds something else.
    """
    if isinstance(found.rule, Location):
        return S3Uri.parse(found.value)
    if isinstance(found.rule, Text | fields.SourceUri) and str(found.value).startswith("s3://"):
        try:
            location = S3Uri.parse(found.value)
        except InvalidIdentifierError:
            return None
        return location if location.key else None
    return None


def one_spelling(found: Found) -> str:
    """Return the text by which a location or an image is remembered: one for all the ways to spell it.

    S3 takes ``s3://bucket/key`` and several ``https://`` forms for one object. Were each remembered by itself, a
    package could have bytes looked at once more, and other bytes mirrored, by spelling a location in another way.
    """
    text = str(found.value)
    if isinstance(found.rule, Image):
        return text
    try:
        return str(S3Uri.parse(text))
    except InvalidIdentifierError:
        return text


def artifact_copy(found: Found, location: S3Uri, destination: str, registered_at: str | None) -> ArtifactCopy:
    """Say how a location is copied: as the object, prefix or manifest that its member means.

    Parameters
    ----------
    destination
        Key prefix in the hub's bucket.
    registered_at
        When the package was registered; see `ArtifactCopy`.
    """
    rule = found.rule
    if not isinstance(rule, Location):
        return ArtifactCopy(
            uri=str(location),
            type="prefix" if location.key.endswith("/") else "object",
            registered_at=registered_at,
            destination=destination,
            longest=rule.longest if isinstance(rule, Text) else LOCATION_MAX,
            named=False,
            member=found.path[:_LONGEST_PATH],
        )
    by_type = rule.type == "S3DataType"
    is_prefix = by_type and found.beside.get("S3DataType") == "S3Prefix"
    etag = found.beside.get(rule.etag) if rule.etag else None
    return ArtifactCopy(
        uri=str(location),
        type="prefix" if is_prefix else "manifest" if rule.type == "manifest" else "object",
        etag=etag.strip('"') if etag and not is_prefix else None,
        registered_at=registered_at,
        runs=found.path.startswith(_WHAT_RUNS),
        destination=destination,
        named=by_type,
        base=_base(found, destination, registered_at) if rule.type == "manifest" else None,
    )


_WHAT_RUNS = ("InferenceSpecification.", "AdditionalInferenceSpecifications[")
"""Where the locations are that an endpoint reads: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html."""


def _base(found: Found, destination: str, registered_at: str | None) -> ArtifactCopy | None:
    """Give the copy of ``S3Uri`` beside a manifest."""
    uri = found.beside.get("S3Uri")
    if not uri:
        return None
    beside = Found(found.path, Location("S3DataType", etag="ETag"), uri, found.beside)
    return artifact_copy(beside, S3Uri.parse(uri), destination, registered_at)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The members that a mirror is created with, apart from those that `replicator.mirror` decides."""

    members: dict[str, Any]
    dropped: dict[str, str]
    """Path of each member that the mirror does not have, and why."""


def by_digest(found: Found) -> str:
    """Return an image as ``repository@digest`` where its digest was recorded; tags move, also those of AWS's images."""
    digest = found.beside.get("ImageDigest")
    if not digest:
        return str(found.value)
    try:
        image = ImageReference.parse(found.value)
    except InvalidIdentifierError:
        return str(found.value)
    return f"{image.host}/{image.repository}@{digest.lower()}"


def other_digests(mirror: Description) -> list[str]:
    """Return the path of each image for which SageMaker shows another digest than the one it was registered by."""
    found = [each for each in walk(mirror) if isinstance(each.rule, Image)]
    return [each.path for each in found if contradicts(each)]


def contradicts(found: Found) -> bool:
    """Whether an image names one digest and the member beside it another. SageMaker takes capitals in both."""
    named = str(found.value).partition("@")[2]
    recorded = found.beside.get("ImageDigest")
    return bool(named) and bool(recorded) and named.lower() != str(recorded).lower()


def rewrite(
    description: Description, locations: Mapping[str, str], *, images_by_digest: bool = False
) -> Rewritten:
    """Rewrite a description into what Create takes.

    Parameters
    ----------
    description
        Of the source, or of a mirror that is to be compared; then ``locations`` is empty.
    locations
        From a location or image as the package spells it to the one that takes its place. What is not in
        it stays as it is.
    images_by_digest
        Whether an image that stays where it is is named by the digest that was recorded of it.
    """
    dropped: dict[str, str] = {}

    def visit(found: Found) -> Any:
        match found.rule:
            case Keep():
                return found.value
            case Drop(reason):
                dropped[found.path] = reason
                return OMITTED
            case Decided() | ReadOnly():
                return OMITTED
            case Refuse():
                return found.value
            case Card():
                return _rewrite_card(found.value, locations)
            case fields.SourceUri() if found.value.startswith("arn:"):
                dropped[found.path] = "SageMaker reads an ARN here as an order to clone that package or model"
                return OMITTED
            case Image() if images_by_digest and found.value not in locations:
                return by_digest(found)
            case Location() | Text() | Image() | fields.SourceUri():
                return locations.get(one_spelling(found), found.value)

    members = transform(fields.PACKAGE, description, visit)
    return Rewritten({} if members is OMITTED else members, dropped)


def _rewrite_card(content: str, locations: Mapping[str, str]) -> str:
    """Rewrite ``model_overview.model_artifact`` of a card; byte for byte the same when nothing changes.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html
    """
    card = _json(content)
    artifacts = _artifacts(card)
    if artifacts is None:
        return content
    rewritten = [
        locations.get(one_spelling(Found("", Text(), a, {})), a) if isinstance(a, str) else a
        for a in artifacts
    ]
    if rewritten == artifacts:
        return content
    card["model_overview"]["model_artifact"] = rewritten
    return _spliced(content, artifacts, rewritten, card) or json.dumps(card, ensure_ascii=content.isascii())


CARD_MAX = 1_000_000
"""Characters of a model card that is read. SageMaker documents 100,000 at most."""
CARD_LEVELS = 100
"""Lists and objects inside each other in a model card that is read. Python gives up at some thousands."""


def readable_card(content: str) -> bool:
    """Whether a model card is small and flat enough to be read."""
    if len(content) > CARD_MAX:
        return False
    level, in_text, escaped = 0, False, False
    for character in content:
        if in_text:
            in_text, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character == '"':
            in_text = True
        else:
            level += (character in "[{") - (character in "]}")
            if level > CARD_LEVELS:
                return False
    return True


def _json(content: str) -> Any:
    if not readable_card(content):
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None


def _artifacts(card: Any) -> list[Any] | None:
    overview = card.get("model_overview") if isinstance(card, dict) else None
    artifacts = overview.get("model_artifact") if isinstance(overview, dict) else None
    return artifacts if isinstance(artifacts, list) else None


_MOST_PLACES = 20


def _spliced(content: str, old: list[Any], new: list[Any], card: dict[str, Any]) -> str | None:
    """Change one list in the text of a card and leave the rest to the byte, so that it grows by no more."""
    # Each place is as long to look at as the card, and a hostile one has thousands of them.
    places = re.finditer(r'"model_artifact"\s*:\s*(?=\[)', content)
    for found in islice(places, _MOST_PLACES):
        try:
            there, end = json.JSONDecoder().raw_decode(content, found.end())
        except ValueError:
            continue
        text = json.dumps(new, ensure_ascii=content.isascii(), separators=(",", ":"))
        changed = content[: found.end()] + text + content[end:]
        if there == old and json.loads(changed) == card:
            return changed
    return None


def digest(value: Any) -> str:
    """Give a short, stable digest of a JSON value, in which times count as ISO text."""

    def plain(other: Any) -> str:
        if isinstance(other, datetime):
            return other.isoformat()
        raise TypeError(f"not a JSON value: {other!r}")

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def created(description: Description) -> str | None:
    """Give the time of creation: what tells a version from another one that took its ARN later."""
    return _instant(description.get("CreationTime"))


def modified(description: Description) -> str | None:
    """Return the time of the last change; of a version that was never changed, that of its creation."""
    return _instant(description.get("LastModifiedTime")) or created(description)


def _instant(time: Any) -> str | None:
    return time.astimezone(UTC).isoformat() if isinstance(time, datetime) else time


# What changes without the package changing: who and when, and the steps of SageMaker's own validation.
_VOLATILE = {
    "LastModifiedTime",
    "LastModifiedBy",
    "CreatedBy",
    "ModelPackageStatusDetails",
    "ResponseMetadata",
}


GONE = "gone"
"""The fingerprint of a source that is not there any more. No digest is spelled so."""


def fingerprint(description: Description | None) -> str:
    """Give the digest of all that a mirror can depend on; `GONE` when there is no source any more."""
    if description is None:
        return GONE
    return digest({name: value for name, value in description.items() if name not in _VOLATILE})
