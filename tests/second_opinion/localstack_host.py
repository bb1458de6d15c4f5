"""Runs LocalStack on this machine, without Docker and without a token. Started by `tests.second_opinion.parts`.

It runs in the interpreter of the second opinion's own environment, so it imports nothing of the project::

    python localstack_host.py PORT FOLDER [smallest part of an upload in bytes]

``FOLDER`` gets everything that it writes. One thing is corrected: LocalStack looks for both buckets of UploadPartCopy
in the caller's account only, and S3 finds a bucket wherever it is. Without that no multipart copy between
accounts could be tried at all.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any


def set_up(port: str, folder: str) -> None:
    """Say what LocalStack reads from its environment when it is imported."""
    os.environ |= {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": "s3,events,stepfunctions,lambda,sts,iam,logs,cloudwatch",
        "EAGER_SERVICE_LOADING": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        # Keys are not in its KMS: these tests ask how S3 copies, not whether a key exists.
        "S3_SKIP_KMS_KEY_VALIDATION": "1",
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": folder,
    }


class _Buckets:
    """The buckets of all accounts, as S3 finds them."""

    def __init__(self, store: Any, of: Any) -> None:
        self._store = store
        self._of = of

    def get(self, name: str, default: Any = None) -> Any:
        found = self._store.buckets.get(name)
        account = None if found else self._store.global_bucket_map.get(name)
        return self._of(account).buckets.get(name, default) if account else found


class _Provider:
    """The provider of S3, but for the buckets that it finds."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def get_store(self, account: str, region: str) -> Any:
        store = self._provider.get_store(account, region)
        buckets = _Buckets(store, lambda account: self._provider.get_store(account, region))
        return type("Store", (), {"buckets": buckets})()


def correct(folder: str, smallest_part: int | None) -> None:
    """Let parts be copied across accounts, and parts of an upload be as small as a test's."""
    from localstack.services.s3 import models, provider

    # Otherwise one folder for all that run on this machine, and they delete each other's objects.
    provider.DEFAULT_S3_TMP_DIR = f"{folder}/s3"
    if smallest_part is not None:
        models.S3_UPLOAD_PART_MIN_SIZE = smallest_part
    theirs = provider.S3Provider.upload_part_copy
    inner = theirs
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__

    @functools.wraps(theirs)
    def upload_part_copy(self: Any, context: Any, request: Any) -> Any:
        return inner(_Provider(self), context, request)

    for name in ("operation", "expand_parameters", "pass_context"):
        if hasattr(theirs, name):
            setattr(upload_part_copy, name, getattr(theirs, name))
    provider.S3Provider.upload_part_copy = upload_part_copy


def main() -> None:
    """Serve until the process is stopped."""
    port, folder, *smallest = sys.argv[1:]
    set_up(port, folder)
    correct(folder, int(smallest[0]) if smallest else None)
    from localstack.runtime.main import main as serve

    serve()


if __name__ == "__main__":
    main()
