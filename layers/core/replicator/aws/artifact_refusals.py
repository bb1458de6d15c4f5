"""Why an artifact cannot be copied, in sentences for the person who can change that. Pure."""

from __future__ import annotations

import json

from replicator.errors import ErrorCode, PermanentError


def missing(uri: str) -> PermanentError:
    """Say that there is no such object (or bucket)."""
    return PermanentError(
        ErrorCode.SOURCE_OBJECT_MISSING,
        f"{uri} is not there. If the bucket keeps versions, delete the object's delete marker, then redrive. An object "
        f"that is written again is not what was registered: register and approve a new version of the package.",
    )


def empty(uri: str) -> PermanentError:
    """Say that a prefix has no objects."""
    return PermanentError(
        ErrorCode.SOURCE_PREFIX_EMPTY,
        f"there are no objects under {uri}. If the bucket keeps versions, delete the delete markers, then redrive. "
        f"Else upload the model, and register and approve a new version of the package.",
    )


def unordered(uri: str, why: str) -> PermanentError:
    """Say that a bucket does not list its objects in order."""
    return PermanentError(
        ErrorCode.INVALID_LOCATION,
        f"{uri} is not listed in the order of its keys ({why}), as a directory bucket does it: it cannot be "
        f"copied as a whole. Put the model into a general purpose bucket and register it again.",
    )


def unwritable(uri: str) -> PermanentError:
    """Say that a key has a character with which S3's answers cannot be read."""
    return PermanentError(
        ErrorCode.INVALID_LOCATION,
        f"{uri!r} has a control character in its key, which no answer of S3 can hold. Give the object another "
        f"key and register the model again.",
    )


def archived(uri: str, storage_class: str, account: str) -> PermanentError:
    """Say that an object has to be restored first."""
    return PermanentError(
        ErrorCode.SOURCE_ARCHIVED,
        f"{uri} is archived ({storage_class}) and cannot be read. Restore it in account {account}, "
        f"then redrive.",
    )


def changed(uri: str, why: str) -> PermanentError:
    """Say that an object is not the one that was registered, or that was there a moment ago."""
    return PermanentError(
        ErrorCode.SOURCE_CHANGED,
        f"{uri} is not what it was when it was registered or first looked at ({why}). Its bytes may not be "
        f"what was approved: register and approve a new version of the package.",
    )


def undecryptable(uri: str, answer: str) -> PermanentError:
    """Say that the key of the source is the trouble."""
    return PermanentError(
        ErrorCode.SOURCE_ACCESS_DENIED,
        f"{uri} cannot be decrypted with its KMS key: enable the key, or cancel its deletion, then redrive. "
        f"S3 says: {answer}",
    )


def keyless(source: str, copy: str, answer: str, account: str) -> PermanentError:
    """Say that a copy fails at a KMS key: the source's, where the answer names its account; else either."""
    if f":{account}:key/" in answer:
        return undecryptable(source, answer)
    return PermanentError(
        ErrorCode.HUB_REFUSED,
        f"S3 cannot copy {source} to {copy} because of a KMS key, that of the source or that of the hub. Enable the "
        f"key, or cancel its deletion, then redrive. S3 says: {answer}",
    )


def unexplained(uri: str, account: str, answer: str) -> PermanentError:
    """Say what it may be that HeadObject is answered with 400, and GetObject not with a reason that is known."""
    return PermanentError(
        ErrorCode.SOURCE_ACCESS_DENIED,
        f"S3 does not describe {uri}: it answers HeadObject with 400 Bad Request. Most likely the object is encrypted "
        f"with a key that every request has to bring along (SSE-C): such an object cannot be mirrored. In account "
        f"{account}, write it again under a key of S3 or KMS and register the model again; `aws s3api get-object` "
        f"says more if it is something else. S3 says: {answer}",
    )


def owner_mismatch(uri: str, account: str) -> PermanentError:
    """Say that the bucket is in an account that has no part in this."""
    return PermanentError(
        ErrorCode.SOURCE_OWNER_MISMATCH,
        f"{uri}: the bucket does not belong to account {account}, which registered the package. Put the "
        f"artifact into a bucket of that account and register it again.",
    )


def denied(
    *, uri: str, bucket_arn: str, account: str, copy_role: str, spoke_role: str, answer: str
) -> PermanentError:
    """Say which two roles were turned away, and both ways to let one in."""
    # What spoke.yaml and docs/deploy.md have, in one statement.
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": copy_role.partition(":role/")[0] + ":root"},
        "Action": [
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:GetObjectTagging",
            "s3:GetObjectVersionTagging",
            "s3:ListBucket",
            "s3:ListBucketVersions",
        ],
        "Resource": [f"{bucket_arn}/*", bucket_arn],
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": copy_role},
            "StringEquals": {"aws:PrincipalTag/spoke": account},
        },
    }
    return PermanentError(
        ErrorCode.SOURCE_ACCESS_DENIED,
        f"{uri} can be read neither by the hub's role {copy_role} nor by {spoke_role}, or account {account} "
        f"does not own the bucket. Either add to the bucket's policy {json.dumps(statement)} and "
        f"kms:Decrypt for the same role to the policy of its key; or let {spoke_role} read the bucket and "
        f"decrypt with its key (parameters of spoke.yaml). Then redrive. S3 says: {answer}",
    )


def mismatch(source: str, copy: str, by: str) -> PermanentError:
    """Say that a copy has other bytes than its source."""
    return PermanentError(
        ErrorCode.CHECKSUM_MISMATCH,
        f"the copy {copy} does not have the bytes of {source} ({by}). It is not used, and not overwritten. Look at who "
        f"else writes to the hub's bucket. If no mirror names {copy}, delete it there and redrive.",
    )


def taken(source: str, copy: str) -> PermanentError:
    """Say that other bytes are where a copy has to go."""
    return PermanentError(
        ErrorCode.HUB_REFUSED,
        f"{copy} is there already and is not the copy of {source}: it has another size, checksum or pin. Bytes in the "
        f"hub are never overwritten, for a mirror may name them. Find out who wrote it. If no mirror names it, delete "
        f"it in the hub and redrive.",
    )


def stray(source: str, copy: str) -> PermanentError:
    """Say that something lies among the copies of a prefix that is none of them."""
    return PermanentError(
        ErrorCode.HUB_REFUSED,
        f"{copy} lies among the copies of {source} and is the copy of nothing there, so the mirror would have it "
        f"and its source has not. Find out who wrote it, delete it in the hub, then redrive.",
    )


def key_too_long(source: str, key: str, longest: int) -> PermanentError:
    """Say that there is no room for a key below the hub's prefix."""
    return PermanentError(
        ErrorCode.LIMIT_EXCEEDED,
        f"{source} would become the key {key} in the hub ({len(key.encode())} bytes), and there is room for a key "
        f"or location of {longest}. Use a shorter key and register the artifact again.",
    )


def too_large(uri: str, why: str) -> PermanentError:
    """Say that an object cannot be copied in parts."""
    return PermanentError(ErrorCode.LIMIT_EXCEEDED, f"{uri} is too large to copy: {why}.")


def too_large_to_stream(uri: str, largest: int) -> PermanentError:
    """Say that an object of this size can only be copied by S3 itself."""
    return PermanentError(
        ErrorCode.LIMIT_EXCEEDED,
        f"{uri} is larger than the {largest} bytes that can be copied through the function, and S3 may not copy "
        f"it itself: let the hub's copy role read the bucket (bucket policy) and decrypt with its key (a customer "
        f"managed one), then redrive.",
    )


def no_progress(uri: str, moved: int, total: int) -> PermanentError:
    """Say that a whole invocation went by and nothing came of it."""
    return PermanentError(
        ErrorCode.NO_PROGRESS,
        f"copying {uri} stands still at {moved} of {total} bytes. Look at the function's log and at the "
        f"throttling metrics of both buckets, then redrive: what is finished is kept, and a large object that was "
        f"under way begins anew.",
    )


def unreadable_manifest(uri: str, why: str) -> PermanentError:
    """Say that a manifest cannot be followed."""
    return PermanentError(
        ErrorCode.INVALID_LOCATION,
        f"the manifest {uri} cannot be mirrored: {why}. Only what lies below the data source's own location is "
        "copied. Register the version again with a manifest that lists nothing else.",
    )
