"""Lists of objects and of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from moto.s3.models import FakeDeleteMarker

from local.evidence import Evidence, Rule
from local.s3 import checksums, objects, storage
from local.s3.errors import S3Error, invalid_argument
from local.s3.uploads import owner_id
from local.s3.xml import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.s3.objects import Answer
    from local.s3.rules import S3Rules

RULES = (
    Rule(
        "s3-list-objects",
        "ListObjectsV2 tells algorithm and type of each checksum, and answers in pages.",
        Evidence.RECORDED,
        "s3/listings-and-metadata.json",
    ),
    Rule(
        "s3-list-versions",
        "ListObjectVersions goes on after the version of a key that the markers name; a version without a key is 400 "
        "InvalidArgument.",
        Evidence.RECORDED,
        "s3/listings-and-metadata.json",
    ),
)

_LONGEST_PAGE = 1000
_XML = {"Content-Type": "application/xml"}


def list_objects_v2(request: Any, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    bucket, ask = _asked(request)
    token = request.querystring.get("continuation-token", [None])[0]
    start = ask["start-after"] if token is None else _place_of(token)
    keys = (name for name in sorted(bucket.keys) if name.startswith(ask["prefix"]))
    live = (bucket.keys[name] for name in keys if not isinstance(bucket.keys[name], FakeDeleteMarker))
    most = _most(request)
    longest = min(most, rules.longest_page)
    page, common, last, truncated = _page(live, ask, longest, lambda key: key.name > start, start)
    write = ask["write"]
    owner = {"Owner": {"ID": owner_id(bucket.account_id)}} if ask["fetch-owner"] == "true" else {}
    told = {
        "Name": bucket.name,
        "Prefix": write(ask["prefix"]),
        "Delimiter": write(ask["delimiter"]) or None,
        "MaxKeys": most,
        "EncodingType": ask["encoding-type"] or None,
        "KeyCount": len(page) + len(common),
        "IsTruncated": truncated,
        "ContinuationToken": token,
        "NextContinuationToken": _token_of(last) if truncated else None,
        "StartAfter": write(ask["start-after"]) or None if token is None else None,
        "Contents": [{**_described(key, write), **owner} for key in page],
        "CommonPrefixes": [{"Prefix": write(each)} for each in common],
    }
    return 200, _XML, document("ListBucketResult", told)


def list_object_versions(request: Any, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html."""
    bucket, ask = _asked(request)
    key, version = ask["key-marker"], ask["version-id-marker"]
    if version and not key:
        message = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(message, "version-id-marker", version)
    most = _most(request)
    longest = min(most, rules.longest_page)
    page, common, last, truncated = _page(
        _versions(bucket, ask["prefix"]),
        ask,
        longest,
        _later_than(bucket, key, version),
        "" if version else key,
    )
    write, owner = ask["write"], {"Owner": {"ID": owner_id(bucket.account_id)}}
    told = {
        "Name": bucket.name,
        "Prefix": write(ask["prefix"]),
        "Delimiter": write(ask["delimiter"]) or None,
        "KeyMarker": write(key),
        "VersionIdMarker": version,
        "NextKeyMarker": write(last) if truncated else None,
        "NextVersionIdMarker": page[-1].version_id if truncated and page and page[-1].name == last else None,
        "MaxKeys": most,
        "EncodingType": ask["encoding-type"] or None,
        "IsTruncated": truncated,
        "Version": [
            {**_described(each, write), **_numbered(bucket, each), **owner}
            for each in page
            if not isinstance(each, FakeDeleteMarker)
        ],
        "DeleteMarker": [
            {
                "Key": write(each.name),
                "LastModified": objects.time_of(each),
                **_numbered(bucket, each),
                **owner,
            }
            for each in page
            if isinstance(each, FakeDeleteMarker)
        ],
        "CommonPrefixes": [{"Prefix": write(each)} for each in common],
    }
    return 200, _XML, document("ListVersionsResult", told)


def _asked(request: Any) -> tuple[Any, dict[str, Any]]:
    names = (
        "prefix",
        "delimiter",
        "start-after",
        "fetch-owner",
        "encoding-type",
        "key-marker",
        "version-id-marker",
    )
    ask: dict[str, Any] = {name: request.querystring.get(name, [""])[0] for name in names}
    ask["write"] = (lambda text: quote(text, safe="/")) if ask["encoding-type"] == "url" else str
    return storage.find_bucket(request.backend, request.bucket_name), ask


def _most(request: Any) -> int:
    text = request.querystring.get("max-keys", [str(_LONGEST_PAGE)])[0]
    if not text.isdigit():
        raise invalid_argument("Provided max-keys not an integer or within integer range", "max-keys", text)
    return int(text)


def _page(
    things: Iterator[Any], ask: dict[str, Any], most: int, is_later: Callable[[Any], bool], start: str
) -> tuple[list[Any], list[str], str, bool]:
    """Return things and common prefixes of a page, the last of both, and whether there are more."""
    prefix, delimiter = ask["prefix"], ask["delimiter"]
    page, common, last = list[Any](), list[str](), ""
    for thing in things:
        if not is_later(thing):
            continue
        rest = thing.name[len(prefix) :]
        rolled = (
            f"{prefix}{rest.partition(delimiter)[0]}{delimiter}" if delimiter and delimiter in rest else None
        )
        if rolled and (rolled == start or rolled in common):
            continue
        if len(page) + len(common) == most:
            return page, common, last, most > 0
        if rolled:
            common.append(rolled)
        else:
            page.append(thing)
        last = rolled or thing.name
    return page, common, last, False


def _versions(bucket: Any, prefix: str) -> Iterator[Any]:
    """Return the versions of all keys, the latest of each first."""
    for name in sorted(bucket.keys):
        if name.startswith(prefix):
            yield from reversed(bucket.keys.getlist(name))


def _later_than(bucket: Any, key: str, version: str) -> Callable[[Any], bool]:
    if not version:
        return lambda thing: thing.name > key
    ids = [str(each.version_id) for each in reversed(bucket.keys.getlist(key, []))]
    if version not in ids:
        raise invalid_argument("Invalid version id specified", "version-id-marker", version)
    later = set(ids[ids.index(version) + 1 :])
    return lambda thing: thing.name > key or (thing.name == key and str(thing.version_id) in later)


def _described(key: Any, write: Callable[[str], str]) -> dict[str, Any]:
    checksum = checksums.of_key(key)
    return {
        "Key": write(key.name),
        "LastModified": objects.time_of(key),
        "ETag": key.etag,
        "ChecksumAlgorithm": checksum and checksum.algorithm,
        "ChecksumType": checksum and checksum.type,
        "Size": key.size,
        "StorageClass": key.storage_class,
    }


def _numbered(bucket: Any, thing: Any) -> dict[str, Any]:
    return {"VersionId": str(thing.version_id), "IsLatest": bucket.keys[thing.name] is thing}


def _token_of(place: str) -> str:
    """Return a token that means nothing to a client."""
    return f"1{place.encode().hex()}"


def _place_of(token: str) -> str:
    try:
        if not token.startswith("1"):
            raise ValueError
        return bytes.fromhex(token[1:]).decode()
    except ValueError:
        message = "The continuation token provided is incorrect"
        raise S3Error("InvalidArgument", message, ArgumentName="continuation-token") from None
