"""The eight guarantees of docs/design.md, each as a function that raises `Broken` when it does not hold.

They read what an operator could read: the ledger, the registries, buckets, open uploads, repositories and dead
letters, and for the seventh the log of requests. Nothing of the replicator's own code judges here: source and
mirror are walked side by side, and whatever is a location in the source is fetched on both sides.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.landscape import HUB
from replicator.identifiers import version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.faults.models import Version
    from tests.faults.wire import Call
    from tests.faults.world import World

SOURCE = "replicator:source-arn"
_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.[^/]+/(?P<name>[^:@]+)[:@](?P<reference>.+)")
_OWNED_BY_AWS = frozenset({"141502667606"})
_WRITTEN = frozenset({"PUT", "POST", "PATCH", "DELETE"})
# What describes the package itself and not the model: it differs by nature, or is the operator's choice.
_OWN = frozenset(
    {
        "ModelPackageArn", "ModelPackageGroupName", "ModelPackageVersion", "CreationTime", "LastModifiedTime",
        "CreatedBy", "LastModifiedBy", "ModelPackageStatus", "ModelPackageStatusDetails", "ModelApprovalStatus",
        "ResponseMetadata", "CustomerMetadataProperties", "ModelDataETag", "ImageDigest", "ETag", "ManifestEtag",
        "MetadataProperties",
    }
)  # fmt: skip


class Broken(AssertionError):
    """A guarantee does not hold; the message begins with its number."""


def _must(number: int, holds: Any, message: Callable[[], str] | str) -> None:
    if not holds:
        raise Broken(f"guarantee {number}: {message if isinstance(message, str) else message()}")


@dataclass
class Operator:
    """What an operator reads, of one version.

    Parameters
    ----------
    edited
        Members of the mirror that a person changed in the hub: they stay as they are.
    statuses
        The approval statuses that are let through.
    rejected
        Whether a source that is gone was rejected before, and an event told of that.
    replaced
        Whether the source came to point to something else. If it is rejected then, that is not copied any more.
    """

    world: World
    version: Version
    edited: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset({"Approved"})
    rejected: bool = False
    replaced: bool = False
    _objects: dict[str, bytes] = field(default_factory=dict)

    def client(self, service: str, account: str = HUB) -> Any:
        return self.world.aws.client(service, account)

    @property
    def source(self) -> dict[str, Any] | None:
        """The version in its spoke, or None when it is not there any more."""
        return self._described(self.version.scientist.account, self.version.arn)

    @property
    def mirrors(self) -> list[dict[str, Any]]:
        """Every package of the hub's group that names the version as its source."""
        try:
            pages = list(
                self.client("sagemaker")
                .get_paginator("list_model_packages")
                .paginate(ModelPackageGroupName=self.version.hub_group)
            )
        except ClientError:
            return []
        arns = [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]
        found = [self._described(HUB, arn) for arn in arns]
        return [
            each
            for each in found
            if each and each.get("CustomerMetadataProperties", {}).get(SOURCE) in (self.version.arn, None)
        ]

    def _described(self, account: str, arn: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client("sagemaker", account).describe_model_package(
                ModelPackageName=arn
            )
        except ClientError as error:
            if "does not exist" not in str(error) and "not found" not in str(error).lower():
                raise
            return None
        return {name: value for name, value in found.items() if name != "ResponseMetadata"}

    @property
    def entry(self) -> dict[str, Any]:
        """The ledger's item."""
        return self.world.entry(self.version.arn)

    @property
    def open_uploads(self) -> list[str]:
        """The keys of the multipart uploads under the group's prefix that are open."""
        prefix = f"models/{self.version.scientist.account}/{self.version.group}/"
        found = self.client("s3").list_multipart_uploads(Bucket=self.world.hub_bucket, Prefix=prefix)
        return [str(each["Key"]) for each in found.get("Uploads", [])]

    @property
    def holds_slot(self) -> bool:
        """Whether the version holds one of its spoke's slots."""
        return version_key(self.version.arn) in self.world.slots(self.version.scientist.account)

    @property
    def letters(self) -> list[dict[str, str]]:
        """The dead letters about the version: code, reason and body."""
        return [
            each
            for each in self.world.dead_letters()
            if each.get("source_arn") == self.version.arn or self.version.arn in each["body"]
        ]


def nothing_lost(seen: Operator) -> None:
    """1: a version ends mirrored, refused with a reason, or as a dead letter with a reason."""
    entry, letters, source = seen.entry, seen.letters, seen.source
    arn = seen.version.arn
    for letter in letters:
        _must(
            1, letter.get("code") and letter.get("reason"), f"a dead letter of {arn} says no reason: {letter}"
        )
    if not entry and not letters:
        _must(1, not source or source["ModelApprovalStatus"] not in seen.statuses, f"{arn} is nowhere")
        return
    state = entry.get("state")
    _must(1, state != "RUNNING", f"{arn} is RUNNING, and nothing runs: {entry}")
    if state == "FAILED":
        _must(1, letters, f"{arn} is FAILED without a dead letter: {entry}")
        _must(1, entry.get("code"), f"{arn} is FAILED without a code: {entry}")
    elif source and source["ModelApprovalStatus"] in seen.statuses and not letters:
        _must(1, entry.get("hub_arn"), f"{arn} is {state} and has no mirror: {entry}")
        there = [each["ModelPackageArn"] for each in seen.mirrors]
        _must(
            1, entry["hub_arn"] in there, f"the mirror of {arn} that the ledger names is not there: {entry}"
        )


def nothing_doubled(seen: Operator) -> None:
    """2: at most one mirror of a version."""
    found = [each["ModelPackageArn"] for each in seen.mirrors]
    _must(2, len(found) <= 1, f"{seen.version.arn} has {len(found)} mirrors: {found}")


def same_bytes(seen: Operator) -> None:
    """3: whatever the mirror points to is byte for byte what the source points to."""
    source = seen.source
    if source is None or (seen.replaced and source["ModelApprovalStatus"] == "Rejected"):
        return
    for mirror in seen.mirrors:
        for path, before, after in _pairs(source, mirror):
            if isinstance(before, str) and before.startswith("s3://"):
                _same_objects(seen, path, before, after)
            elif isinstance(before, str) and (image := _IMAGE.fullmatch(before)):
                if image["account"] in _OWNED_BY_AWS:
                    _must(3, before == after, f"{path}: {before} became {after}")
                else:
                    _same_image(seen, path, before, after)


def same_state(seen: Operator) -> None:
    """4: the mirror shows the newest state of the source that the policy lets through."""
    source, entry = seen.source, seen.entry
    if entry.get("state") != "IDLE" or seen.letters:
        return
    for mirror in seen.mirrors:
        # Of a source that is gone only a rejection is known; all else of its mirror stays as it is.
        status = source["ModelApprovalStatus"] if source else "Rejected" if seen.rejected else None
        if status == "Rejected":
            _must(
                4,
                mirror["ModelApprovalStatus"] == "Rejected",
                f"the rejection of {seen.version.arn} is not in the hub",
            )
            continue
        if source is None or status not in seen.statuses:
            continue
        for path, before, after in _pairs(source, mirror):
            location = isinstance(before, str) and (before.startswith("s3://") or _IMAGE.fullmatch(before))
            if path.split(".")[0] not in seen.edited and not location:
                _must(4, before == after, f"{path} is {before!r} in the spoke and {after!r} in the hub")
        shown = mirror.get("CustomerMetadataProperties", {})
        for key, value in source.get("CustomerMetadataProperties", {}).items():
            if "CustomerMetadataProperties" not in seen.edited:
                _must(
                    4, shown.get(key) == value, f"metadata {key} is {value!r}, in the hub {shown.get(key)!r}"
                )


def no_litter(seen: Operator) -> None:
    """5: no multipart upload and no half image is left; nothing is held for a run that is over."""
    world, account = seen.world, seen.version.scientist.account
    left = seen.open_uploads
    _must(5, not left, f"multipart uploads are left open: {left}")
    ecr = seen.client("ecr")
    for name in world.hub_repositories(account):
        named: set[str] = set()
        details = ecr.describe_images(repositoryName=name)["imageDetails"]
        for image in details:
            named |= set(_digests_in(_manifest(ecr, name, image["imageDigest"])))
        for image in details:
            whole = image.get("imageTags") or image["imageDigest"] in named
            _must(5, whole, f"a half image is left in {name}: {image['imageDigest']} has no tag")
    held = {name: seen.entry[name] for name in ("unsettled",) if name in seen.entry}
    _must(5, not held, f"the ledger's item of {seen.version.arn} still holds {held}")
    _must(5, not seen.holds_slot, f"{seen.version.arn} still holds a slot")


def own_prefix_only(world: World, calls: Sequence[Call], account: str) -> None:
    """6: nothing is written outside the spoke's own prefix, repositories and groups."""
    for call in calls:
        request = call.request
        if request.method not in _WRITTEN:
            continue
        if call.service == "s3":
            # Provenance is register's alone, and lies where no copy role may write.
            folder = "provenance" if call.function == "register" else "models"
            own = f"/{world.hub_bucket}/{folder}/{account}/"
            _must(6, request.path.startswith(own), f"{call} writes {request.path}, outside {own}")
        elif call.service == "registry":
            own = f"{world.namespace}/{account}/"
            _must(
                6, (request.repository or "").startswith(own), f"{call} writes {request.path}, outside {own}"
            )
    _own_inventory(world)


def _own_inventory(world: World) -> None:
    """Whatever there is in the hub lies under a spoke's account."""
    spokes = "|".join(sorted({stack.account for stack in world.landscape.spokes.values()}))
    s3 = world.aws.client("s3", HUB)
    top = s3.list_objects_v2(Bucket=world.hub_bucket, Delimiter="/")
    keys = [each["Key"] for each in top.get("Contents", [])]
    folders = [each["Prefix"] for each in top.get("CommonPrefixes", [])]
    _must(
        6, not keys and set(folders) <= {"models/", "provenance/"}, f"the hub's bucket has {keys + folders}"
    )
    for folder in folders:
        below = s3.list_objects_v2(Bucket=world.hub_bucket, Prefix=folder, Delimiter="/")
        for found in [each["Prefix"] for each in below.get("CommonPrefixes", [])]:
            _must(6, re.fullmatch(f"{folder}({spokes})/", found), f"the hub's bucket has {found}")
    for name in world.hub_repositories(""):
        own = f"{re.escape(world.namespace)}/({spokes})/.+"
        _must(6, re.fullmatch(own, name), f"the hub has the repository {name}")


def no_confused_deputy(
    world: World, calls: Sequence[Call], account: str, allowed: frozenset[str] = frozenset()
) -> None:
    """7: nothing is read from an account that is neither the hub nor the event's, nor allowed for it."""
    for found, call in world.accounts_read(list(calls)).items():
        _must(7, found in {HUB, account, *allowed}, f"{call} reads from account {found}")


def no_going_back(observed: Sequence[int]) -> None:
    """8: of a growing number in the source's metadata, the mirror never shows a smaller one than before."""
    for before, after in itertools.pairwise(observed):
        _must(8, after >= before, f"the mirror went back from revision {before} to {after}: {list(observed)}")


def check(seen: Operator, calls: Sequence[Call], observed: Sequence[int] = ()) -> None:
    """Check all eight for one version."""
    for guarantee in (nothing_lost, nothing_doubled, same_bytes, same_state, no_litter):
        guarantee(seen)
    account = seen.version.scientist.account
    own_prefix_only(seen.world, calls, account)
    no_confused_deputy(seen.world, calls, account)
    no_going_back(observed)


# Walking


def _pairs(source: Any, mirror: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Give every leaf of the source with what is at the same place of the mirror."""
    if isinstance(source, dict):
        for key, value in source.items():
            if key in _OWN:
                continue
            inner = mirror.get(key) if isinstance(mirror, dict) else None
            yield from _pairs(value, inner, f"{path}.{key}" if path else key)
    elif isinstance(source, list) and source and isinstance(source[0], dict):
        for number, value in enumerate(source):
            inner = mirror[number] if isinstance(mirror, list) and number < len(mirror) else None
            yield from _pairs(value, inner, f"{path}[{number}]")
    else:
        yield path, source, mirror


def _same_objects(seen: Operator, path: str, before: str, after: Any) -> None:
    own = f"s3://{seen.world.hub_bucket}/models/{seen.version.scientist.account}/"
    _must(
        3,
        isinstance(after, str) and after.startswith(own),
        f"{path}: {before} became {after}, not a copy of the hub",
    )
    there = _objects(seen.client("s3", seen.version.scientist.account), before)
    here = _objects(seen.client("s3"), after)
    _must(3, there, f"{path}: there is nothing at {before}")
    _must(3, there.keys() == here.keys(), f"{path}: {sorted(there)} became {sorted(here)}")
    for name, digest in there.items():
        _must(3, here[name] == digest, f"{path}: {after}{name} has other bytes than {before}{name}")


def _objects(client: Any, location: str) -> dict[str, str]:
    """Give the digest of each object, by its name below the location; that of a single object is empty."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    keys = [key]
    if key.endswith("/"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    found = {}
    for each in keys:
        try:
            body = client.get_object(Bucket=bucket, Key=each)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            continue
        found[each.removeprefix(key)] = hashlib.sha256(body).hexdigest()
    return found


def _same_image(seen: Operator, path: str, before: str, after: Any) -> None:
    source, copy = _IMAGE.fullmatch(before), _IMAGE.fullmatch(str(after))
    _must(3, copy and copy["account"] == HUB, f"{path}: {before} became {after}, not a copy of the hub")
    if source is None or copy is None:
        return
    reader = seen.client("ecr", source["account"])
    there = _manifest(reader, source["name"], source["reference"])
    here = _manifest(seen.client("ecr"), copy["name"], copy["reference"])
    _must(3, there is not None, f"{path}: {before} is not in its registry")
    _must(3, there == here, f"{path}: the manifest of {after} is not that of {before}")
    for digest in _digests_in(there):
        held = seen.world.blob(HUB, copy["name"], digest)
        _must(3, held is not None, f"{path}: {digest} of {after} is not in the hub")
        actual = f"sha256:{hashlib.sha256(held or b'').hexdigest()}"
        _must(3, actual == digest, f"{path}: {digest} of {after} has the bytes of {actual}")


def _manifest(ecr: Any, name: str, reference: str) -> str | None:
    wanted = {"imageDigest": reference} if ":" in reference else {"imageTag": reference}
    found = ecr.batch_get_image(repositoryName=name, imageIds=[wanted])["images"]
    return str(found[0]["imageManifest"]) if found else None


def _digests_in(manifest: str | None) -> list[str]:
    content = json.loads(manifest or "{}")
    parts = [content.get("config"), *content.get("layers", []), *content.get("manifests", [])]
    return [part["digest"] for part in parts if part]
