"""The function: its environment, its input and its output, over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest

from functions.copy_artifact.handler import handler
from replicator.errors import ErrorCode, PermanentError
from replicator.observability import logger
from replicator.steps import CopyAnswer
from tests.integration.artifact_world import (
    DESTINATION,
    HUB_BUCKET,
    PACKAGE,
    REGION,
    SETTINGS,
    SPOKE_BUCKET,
    World,
)


@dataclass
class Context:
    """What the handler uses of Lambda's context."""

    milliseconds: int = 600_000
    function_name: str = "copy-artifact"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111111111111:function:copy-artifact"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def aws(aws: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in SETTINGS.model_dump().items():
        monkeypatch.setenv(name.upper(), value if isinstance(value, str) else ",".join(value))
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "a-hub")
    credentials = aws.own.get_credentials()
    assert credentials is not None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token or "")
    return aws


def event(uri: str, **more: Any) -> dict[str, Any]:
    copy = {"kind": "artifact", "uri": uri, "type": "object", "etag": None, "destination": DESTINATION}
    return {"source_arn": PACKAGE, "copy": copy, **more}


def invoke(event: dict[str, Any], milliseconds: int = 600_000) -> dict[str, Any]:
    context: Any = Context(milliseconds)
    return handler(event, context)


def test_it_answers_what_the_state_machine_hands_on(
    aws: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = StringIO()
    monkeypatch.setattr(logger.handlers[0], "stream", log)
    uri = aws.put("model.tar.gz", b"a model")
    answer = invoke(event(uri))
    assert json.loads(json.dumps(answer)) == answer
    read = CopyAnswer.model_validate(answer)
    assert read.done
    assert read.result is not None
    assert read.result.uri == uri
    assert aws.bytes_at(read.result.destination) == b"a model"
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["message"], line["source_arn"]) for line in logged] == [("copied", PACKAGE)]
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (written,) = metrics
    (directive,) = written.pop("_aws")["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("ModelRegistryReplicator", [["service"]])
    assert written == {"service": "a-hub", "ArtifactsCopied": [1.0], "ArtifactBytesCopied": [7.0]}
    assert invoke(event(uri))["result"]["method"] == "already there"
    assert "_aws" not in capsys.readouterr().out


def test_an_error_has_its_code_in_front(aws: World) -> None:
    with pytest.raises(PermanentError) as caught:
        invoke(event(f"s3://{SPOKE_BUCKET}/nowhere"))
    assert str(caught.value).startswith("SOURCE_OBJECT_MISSING: s3://")
    assert type(caught.value).__name__ == "PermanentError"


def test_without_time_it_answers_progress_and_then_says_there_was_none(aws: World) -> None:
    uri = aws.put("model.tar.gz", b"a model")
    answer = invoke(event(uri), milliseconds=30_000)
    assert answer == {
        "done": False,
        "result": None,
        "progress": {
            "moved": 0,
            "total": 7,
            "objects": 0,
            "cursor": None,
            "streams": 4,
            "stopped": None,
            "unconfirmed": [],
        },
    }
    with pytest.raises(PermanentError) as caught:
        invoke(event(uri, progress=answer["progress"]), milliseconds=30_000)
    assert caught.value.code == ErrorCode.NO_PROGRESS


def test_a_missing_variable_is_named(aws: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_BUCKET")
    with pytest.raises(PermanentError, match="HUB_BUCKET"):
        invoke(event("s3://bucket/key"))


def test_what_is_no_location_is_said_to_be_none(aws: World) -> None:
    for uri in ("https://example.com/model.tar.gz", "s3://UPPER/key", f"s3://{SPOKE_BUCKET}"):
        with pytest.raises(PermanentError) as caught:
            invoke(event(uri))
        assert caught.value.code == ErrorCode.INVALID_LOCATION
        assert uri in caught.value.message


def test_the_default_numbers_of_the_engine_hold(aws: World) -> None:
    """S3's own limits, with the engine's own numbers, as far as memory allows to hold an object."""
    aws.rules.largest_copy, aws.rules.smallest_part = 5 * 1024**3, 5 * 1024**2
    body = bytes(range(256)) * 4096 * 12
    answer = CopyAnswer.model_validate(invoke(event(aws.put("model.tar.gz", body))))
    assert answer.result is not None
    assert (answer.result.bytes, answer.result.verified) == (len(body), "CRC64NVME")
    assert aws.listed()[0].startswith(DESTINATION)
    assert answer.result.destination.startswith(f"s3://{HUB_BUCKET}/")
