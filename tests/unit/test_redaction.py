"""No secret in a text of ours, whoever wrote it first."""

from __future__ import annotations

import json

import pytest

from replicator.aws.oci_http import TransientError
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import InvalidIdentifierError, S3Uri
from replicator.observability import without_secrets
from replicator.redaction import redacted

SECRET = "IQoJb3JpZ2luX2VjEJr"
LEAKS = [
    f"https://b.s3.amazonaws.com/k?X-Amz-Security-Token={SECRET}&X-Amz-Expires=60",
    f"HTTPS://b.s3.amazonaws.com/k?x={SECRET}",
    f"https://user:{SECRET}@registry.example/v2/",
    f"https://user:{SECRET}@b@registry.example/v2/",
    f"s3://key:{SECRET}@bucket/k",
    f"URL can't contain control characters. '/layer?X-Amz-Signature={SECRET}' (found at least ' ')",
    f"/layer?AWSAccessKeyId=AKIA&Signature={SECRET}",
    f"?X-Amz-Credential%3D{SECRET}",
    f"Invalid header value b'Basic QVdT{SECRET}=='",
    f"authorization: bearer {SECRET}.{SECRET}",
    f"<Error><Code>ExpiredToken</Code><Token-0>{SECRET}</Token-0></Error>",
    json.dumps({"url": f"https://b.s3.amazonaws.com/k?a=1&token={SECRET}"}).replace("&", "\\u0026"),
    f"proxy_password={SECRET}",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_secret_is_taken_out_wherever_a_text_becomes_ours(text: str) -> None:
    assert SECRET not in redacted(text)
    assert SECRET not in str(PermanentError(ErrorCode.UNEXPECTED, text))
    assert SECRET not in PermanentError(ErrorCode.UNEXPECTED, text).message
    assert SECRET not in TransientError(ErrorCode.SERVICE_UNAVAILABLE, text).message
    assert SECRET not in str(TransientError(ErrorCode.SERVICE_UNAVAILABLE, text))
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sagemaker:us-east-1:111111111111:model-package/churn/3",
        "s3://bucket/a b/k?versionId=3#x@y",
        "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn:1@sha256:" + "ab" * 32,
        "getting a token for the registry of churn: AWS says AccessDeniedException: no basic authentication",
        '{"id": "a", "detail": {"ModelPackageArn": "arn"}}',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_json_is_still_the_same_json_without_the_secret() -> None:
    body = {"a": f"https://h/k?token={SECRET}", "b": [1, 'say "https://u:p@h/x?y"'], "c": "\\"}
    found = json.loads(redacted(json.dumps(body)))
    assert found["a"].startswith("https://h/k?")
    assert found["b"][0] == 1
    assert found["c"] == "\\"


def test_half_a_password_is_none_either() -> None:
    with pytest.raises(InvalidIdentifierError) as caught:
        S3Uri.parse(f"https://user:{SECRET * 40}@b.s3.amazonaws.com/k")
    assert SECRET not in str(caught.value)


def test_an_error_that_nobody_foresaw_says_no_secret() -> None:
    @without_secrets
    def handler(text: str) -> None:
        raise ValueError(text)

    with pytest.raises(PermanentError) as caught:
        handler(LEAKS[0])
    assert caught.value.code is ErrorCode.UNEXPECTED
    assert caught.value.__suppress_context__
    assert SECRET not in str(caught.value)
    with pytest.raises(ValueError, match="harmless"):
        handler("harmless")


@pytest.mark.parametrize("part", ["https://", "://", "<", "<token>", "token=", "basic ", "?", "@", "a"])
def test_a_long_text_takes_no_longer_than_it_is(part: str) -> None:
    # 200,000 characters are done in a moment; a quadratic pattern would need hours and meet the time-out.
    assert redacted(part * (200_000 // len(part)))
