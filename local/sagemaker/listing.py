"""Filters, order and pages of the List operations."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Protocol

from local.sagemaker.values import Document, Reference, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# What a page holds when the request does not say. The service model gives only the bounds; 10 is inferred from
# what the console and the command line show, and makes a caller that does not page notice.
DEFAULT_PAGE = 10


class Listed(Protocol):
    """What groups and packages have in common for a list."""

    @property
    def reference(self) -> Reference: ...  # noqa: D102
    @property
    def created(self) -> datetime: ...  # noqa: D102


def matches(item: Listed, request: Document) -> bool:
    """Whether an item passes the filters that both lists have.

    ``CreationTimeAfter`` and ``CreationTimeBefore`` are exclusive: "after" and "before" is all that is
    documented. A version has no name of its own, so ``NameContains`` looks at its group's name (inferred).
    """
    after, before = request.get("CreationTimeAfter"), request.get("CreationTimeBefore")
    return (
        (after is None or item.created > after)
        and (before is None or item.created < before)
        and request.get("NameContains", "") in item.reference.title
    )


def page[T: Listed](items: Sequence[T], request: Document) -> tuple[list[T], str | None]:
    """Sort the items and cut out the page that the request asks for; answers it and the next token.

    A token holds the place where the page before ended, so items that come or go between two calls neither
    repeat nor hide others.
    """
    descending = request.get("SortOrder") == "Descending"
    by_name = request.get("SortBy") == "Name"

    def key(item: T) -> list[str | int | float]:
        reference, created = item.reference, item.created.timestamp()
        first: list[str | int | float] = [reference.name, created] if by_name else [created, reference.name]
        return [*first, reference.version or 0, reference.arn]

    ordered = sorted(items, key=key, reverse=descending)
    query = _fingerprint(request)
    if token := request.get("NextToken"):
        last = _open(token, query)
        ordered = [item for item in ordered if (key(item) < last if descending else key(item) > last)]
    size = request.get("MaxResults", DEFAULT_PAGE)
    found = ordered[:size]
    more = len(ordered) > size
    return found, _seal(key(found[-1]), query) if more else None


def _fingerprint(request: Document) -> str:
    rest = {name: str(value) for name, value in request.items() if name not in {"NextToken", "MaxResults"}}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _seal(key: list[str | int | float], query: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([query, key]).encode()).decode()


def _open(token: str, query: str) -> list[str | int | float]:
    try:
        sealed, key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        sealed, key = None, []
    if sealed != query:
        raise invalid("Invalid NextToken: it was not returned for a request with these parameters.")
    return list(key)
