"""Amazon S3 as it answers, on the buckets that moto keeps: ``with faithful_s3() as rules: ...``.

moto finds out which operation a request is and keeps buckets and objects; what the operations on objects refuse and
answer is written here, one module for each subject, each with its `RULES` and their evidence.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

from local.s3 import completion, copying, errors, listing, objects, uploads
from local.s3.rules import S3Rules, check_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["S3Rules", "faithful_s3"]


@contextmanager
def faithful_s3(rules: S3Rules | None = None) -> Iterator[S3Rules]:
    """Patch moto's S3 while the context lasts.

    Parameters
    ----------
    rules
        The limits; S3's own by default. They may be changed while the server runs.
    """
    rules = rules or S3Rules()
    with ExitStack() as stack:
        for owner, name, wrap in patches(rules):
            stack.enter_context(mock.patch.object(owner, name, wrap(getattr(owner, name))))
        yield rules


def patches(rules: S3Rules) -> list[tuple[Any, str, Callable[[Any], Any]]]:
    """Return what of moto is replaced: its owner, its name, and what makes the new one of the old."""

    def instead(new: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda old: functools.wraps(old)(lambda self, *args, **more: new(self))

    return [
        (S3Response, "serialized", errors.answering_errors),
        (S3Response, "_authenticate_and_authorize_s3_action", lambda old: _guarded(old, rules)),
        (S3Response, "put_object", instead(lambda request: objects.put_object(request, rules))),
        (S3Response, "get_object", instead(objects.get_object)),
        (S3Response, "head_object", _head_object),
        (S3Response, "get_object_attributes", instead(objects.get_object_attributes)),
        (S3Response, "copy_object", instead(lambda request: copying.copy_object(request, rules))),
        (S3Response, "upload_part", instead(uploads.upload_part)),
        (S3Response, "upload_part_copy", instead(lambda request: uploads.upload_part_copy(request, rules))),
        (S3Response, "list_parts", instead(uploads.list_parts)),
        (S3Response, "list_multipart_uploads", instead(uploads.list_uploads)),
        (S3Response, "_key_response_post", lambda old: _key_response_post(old, rules)),
        (S3Response, "list_objects_v2", instead(lambda request: listing.list_objects_v2(request, rules))),
        (
            S3Response,
            "list_object_versions",
            instead(lambda request: listing.list_object_versions(request, rules)),
        ),
        (S3Response, "_bucket_response_put", _put_bucket_policy),
        (S3Response, "_handle_range_header", _range),
        (S3Backend, "delete_object", objects.noting_deletion),
        (S3Backend, "get_object_tagging", objects.of_its_bucket),
        (S3Backend, "put_object_tagging", objects.of_its_bucket),
    ]


def _guarded(old: Any, rules: S3Rules) -> Any:
    @functools.wraps(old)
    def authorize(self: Any, bucket_name: str | None = None, key_name: str | None = None, **more: Any) -> Any:
        answer = old(self, bucket_name=bucket_name, key_name=key_name, **more)
        check_request(self, bucket_name, key_name, rules)
        return answer

    return authorize


def _head_object(old: Any) -> Any:
    @functools.wraps(old)
    def head_object(self: Any, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
        self._set_action("KEY", "HEAD", query)
        self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=key_name)
        return objects.head_object(self)

    return head_object


def _key_response_post(old: Any, rules: S3Rules) -> Any:
    @functools.wraps(old)
    def respond(self: Any, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        if not ("uploads" in query or query.get("uploadId")):
            return old(self, request, body, bucket_name, query, key_name)
        self._set_action("KEY", "POST", query)
        self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=key_name)
        return uploads.create(self) if "uploads" in query else completion.complete(self, body, rules)

    return respond


def _put_bucket_policy(old: Any) -> Any:
    """Answer PutBucketPolicy without content, as recorded in ``s3/owners-heads-ranges.json``."""

    @functools.wraps(old)
    def respond(self: Any, request: Any, bucket_name: str, querystring: Any) -> Any:
        answer = old(self, request, bucket_name, querystring)
        return (204, {}, b"") if "policy" in querystring else answer

    return respond


def _range(old: Any) -> Any:
    """Ignore a range without a unit, as recorded in ``s3/owners-heads-ranges.json``."""

    @functools.wraps(old)
    def respond(self: Any, request: Any, headers: Any, content: Any) -> Any:
        if "=" not in request.headers["range"]:
            return 200, headers, content
        return old(self, request, headers, content)

    return respond
