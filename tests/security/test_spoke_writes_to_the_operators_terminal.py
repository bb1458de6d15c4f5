"""A spoke writes to the terminal of the hub's operator.

The attacker: who may register packages and write artifacts in a spoke, or send to a queue. The asset: what the operator
sees, and the operator's terminal. What holds: in every output, what a spoke wrote is shown character by character;
nothing in it moves the cursor, turns a line round, becomes a link or a style, or ends the command.
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.observability import logger
from tests.integration.conftest import HUB
from tests.security.conftest import AWS_IMAGE
from tools import reconcile, redrive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

HOSTILE = {
    "closes a style that was not opened": "[/x]",
    "a style": "[bold red]",
    "a link": "[link=https://example.com]click[/link]",
    "a symbol": ":boom:",
    "clears the screen": "\x1b[2J\x1b[H",
    "C1": "\x9b2J",
    "a title": "\x1b]0;owned\x07",
    "a link of the terminal": "\x1b]8;;https://example.com\x1b\\click\x1b]8;;\x1b\\",
    "a line of its own": "\n0 sent back, 0 deleted, 0 kept in the dead-letter queue.",
    "writes over": "fine\r                ",
    "turned round": "\u202egz.rat\u202c",
    "isolated": "\u2067abc\u2069",
    "nothing to see": "a\u200bb\ufeff\u2060c",
    "a line separator": "\u2028x\u2029",
    "tags": "\U000e0041\U000e0042",
    "backspace": "secret\x08\x08\x08\x08\x08\x08",
}
TEXTS = pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def harmless(said: str, *, styles: bool = False) -> str:
    """Check what a command printed, and give it; styles are those that the command itself writes."""
    plain = _STYLES.sub("", said) if styles else said
    steering = [
        char for char in plain if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} and char != "\n"
    ]
    assert steering == [], plain
    assert "click" not in plain or "link=" in plain or "\\u001b]8" in plain, "it became a link"
    return plain


@pytest.fixture
def operator(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Give the hub to the commands, as the AWS CLI would reach it."""
    for name, value in {**hub.aws.environment(HUB), "COLUMNS": "200", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    nobody = boto3.Session(aws_access_key_id="nobody", aws_secret_access_key="nobody")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", nobody)
    return hub


def test_messages_in_the_dead_letter_queue(
    operator: Hub, fresh: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the queue, the redrive function and the command: every hostile text in every attribute at once."""
    url, marks = operator.stack.outputs["DeadLetterQueueUrl"], []
    for text in HOSTILE.values():
        marks.append(fresh("mark"))
        sent = "".join(c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff"))
        attributes = {name: f"{marks[-1]} {sent}" for name in ("code", "reason", "source_arn")}
        operator.sqs.send_message(
            QueueUrl=url,
            MessageBody=f"{marks[-1]} {sent}",
            MessageAttributes={n: {"DataType": "String", "StringValue": v} for n, v in attributes.items()},
        )
    try:
        assert redrive.main(["--namespace", operator.namespace, "--dry-run"]) == 0
        said = harmless(capsys.readouterr().out, styles=True)
        assert not [mark for mark in marks if mark not in said], "a message hides others"
        assert "[/x]" in said
        assert "[bold red]" in said
        assert ":boom:" in said
        letters = operator.redrive(dry_run=True)["letters"]
        (one,) = [each for each in letters if f"{marks[2]} " in each["reason"]]
        words = ["--namespace", operator.namespace, "--delete", "--message-id", one["message_id"]]
        assert redrive.main(words) == 0
        assert "[link=https://example.com]click[/link]" in harmless(capsys.readouterr().out, styles=True)
    finally:
        operator.sqs.purge_queue(QueueUrl=url)


@pytest.mark.parametrize(
    "name", ["[/x].tar.gz", "\u202egz.tar", "m\x9b2J.tar.gz", "[link=https://example.com]a"]
)
def test_an_object_that_is_not_there(
    operator: Hub, spoke: DataScientist, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Through the whole path: the name of an object gets into ledger, dead letter, log and table."""
    there = {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put(name)}
    arn = spoke.register(there)
    spoke.client("s3").delete_object(Bucket=spoke.bucket, Key=f"{spoke.group}/{name}")
    spoke.approve(arn)
    entry = operator.settled(arn)
    assert entry["state"] == "FAILED"
    harmless(entry["reason"])
    assert redrive.main(["--namespace", operator.namespace, "--dry-run", "--source-arn", arn]) == 0
    harmless(capsys.readouterr().out, styles=True)


@TEXTS
def test_a_finding_of_reconcile(text: str) -> None:
    said = reconcile.line(
        {"kind": "DRIFTED", "source_arn": f"arn{text}", "account": None, "detail": text, "enqueued": True}
    )
    assert "\n" not in harmless(said)


@TEXTS
def test_an_error_of_ours(text: str) -> None:
    error = PermanentError(ErrorCode.SOURCE_OBJECT_MISSING, f"s3://b/{text} is not there.")
    assert "\n" not in harmless(str(error))


@TEXTS
def test_a_line_of_a_functions_log(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    logger.warning("left behind %s", text, extra={"reason": text, "at": datetime.now(UTC)})
    (line,) = harmless(written.getvalue()).splitlines()
    said = json.loads(line)
    assert (said["message"], said["reason"]) == (f"left behind {text}", text)
