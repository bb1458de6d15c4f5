"""The error codes of registries: what a refusal means is decided by these, never by the text beside them.

The OCI Distribution specification names the codes, and Amazon ECR uses them, one of them in a sense of its own:
`Code.BLOB_UPLOAD_INVALID`.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from replicator.redaction import redacted

MOST_SAID = 500
"""Characters of a registry's own text that a message holds."""


class Code(StrEnum):
    """A code that a decision depends on. A registry may answer with others."""

    BLOB_UNKNOWN = "BLOB_UNKNOWN"
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID"
    """Amazon ECR: the content has another digest than the one that completes the upload, which the specification
    calls ``DIGEST_INVALID`` (dotnet/sdk-container-builds#424); an upload without parts (radius-project/radius#7855);
    a part that is too small, or that does not follow the part before it (GoogleContainerTools/kaniko#607)."""
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
    DENIED = "DENIED"
    DIGEST_INVALID = "DIGEST_INVALID"
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
    NAME_UNKNOWN = "NAME_UNKNOWN"
    TOOMANYREQUESTS = "TOOMANYREQUESTS"
    UNAUTHORIZED = "UNAUTHORIZED"


ACCESS = frozenset({Code.DENIED, Code.UNAUTHORIZED})
ABSENT = frozenset({Code.BLOB_UNKNOWN, Code.MANIFEST_UNKNOWN, Code.NAME_UNKNOWN})
"""What was asked for is not there."""
NOT_YET = ABSENT | {Code.MANIFEST_BLOB_UNKNOWN, Code.BLOB_UPLOAD_UNKNOWN}
"""To a request that writes: what it builds on is not there, or not visible yet, so that it has to be made again."""


def codes_of(body: bytes) -> frozenset[str]:
    """Return the codes in the body of an answer, none where it is not an error document."""
    return frozenset(code for error in _errors(body) if isinstance(code := error.get("code"), str))


def text_of(body: bytes) -> str:
    """Return the registry's own words for a person, cut to what a message can hold."""
    errors = _errors(body)
    if errors:
        said = "; ".join(f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors)
        return said[:MOST_SAID]
    # Object storage repeats the token that it refuses. Half of one would not look like one.
    return redacted(body.decode("utf-8", "replace"))[:120].replace("\n", " ").strip()


def _errors(body: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
