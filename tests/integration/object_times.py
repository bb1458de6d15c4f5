"""When S3 received an object, set by a test: S3 itself lets nobody choose it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from moto.s3.models import s3_backends

if TYPE_CHECKING:
    from datetime import datetime


def received_at(account: str, bucket: str, key: str, time: datetime) -> None:
    """Say that S3 received the newest version of an object at a time."""
    found = s3_backends[account]["aws"].get_object(bucket, key)
    assert found is not None
    found.last_modified = time.astimezone(UTC).replace(tzinfo=None)
