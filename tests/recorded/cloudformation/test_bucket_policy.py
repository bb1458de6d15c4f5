"""A stack never replaces a bucket policy that it did not write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from local.resources import ExistsError, _keep_from_replacing
from tests.recorded.replay import replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded.replay import Replay

POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", '
)


@replays("cloudformation/bucket-policy.json", "cdk-serverless-clamscan")
def test_a_policy_that_is_there(
    replay: Replay, client: Callable[[str], Any], fresh: Callable[[str], str]
) -> None:
    s3, bucket = client("s3"), fresh("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=f'{POLICY}"Resource": "arn:aws:s3:::{bucket}/*"}}]}}')
    stack: Any = SimpleNamespace()
    with pytest.raises(ExistsError) as caught:
        _keep_from_replacing(s3, stack, bucket)
    replay.bind("<bucket>", bucket)
    replay.compare("reason", str(caught.value))
