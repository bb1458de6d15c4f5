"""Letters of every author and release are read, and mended where intake would not understand them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.events import ModelPackageEvent
from replicator.identifiers import ModelPackageArn
from replicator.operations.dead_letters import Letter, send, sendable
from replicator.operations.redriving import RedriveRequest

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/3"
ABOUT = ModelPackageEvent.about(ModelPackageArn.parse(ARN)).to_message()
QUEUE = "arn:aws:sqs:eu-west-1:999999999999:registry-replicator-intake"


def letter(body: Any, origin: str | None = None, **attributes: Any) -> Letter:
    message: Any = {
        "MessageId": "id",
        "ReceiptHandle": "handle",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": "1767225600000"},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }
    if origin:
        message["Attributes"]["DeadLetterQueueSourceArn"] = origin
    return Letter.read(message)


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ({"source_arn": ARN}, {}),  # record-failure's, when the ledger had no event
        ({"source_arn": ARN}, {"source_arn": ARN, "code": "THROTTLED"}),
        ({"detail": {"ModelPackageArn": ARN}}, {}),  # without the members that intake asks for now
        ("not json", {"source_arn": ARN}),
        ("", {"source_arn": ARN}),
    ],
)
def test_what_intake_cannot_read_is_asked_for_in_todays_words(body: Any, attributes: dict[str, str]) -> None:
    found = letter(body, **attributes)
    assert found.source_arn == ARN
    assert found.account == "111111111111"
    assert found.body_again() == ABOUT


@pytest.mark.parametrize(
    "body",
    [
        ABOUT,
        json.dumps({**json.loads(ABOUT), "a member of a newer release": 1}),
        json.dumps({**json.loads(ABOUT), "source": "aws.s3", "detail-type": "Object Created"}),
        json.dumps({**json.loads(ABOUT), "account": "222222222222"}),
        # Without its kind this is no event, but its envelope is of another account than its ARN.
        json.dumps({"account": "222222222222", "detail": {"ModelPackageArn": ARN}}),
        json.dumps({"source_arn": "arn:aws:s3:::no-model-package"}),
        json.dumps({"source_arn": ["not", "a", "text"]}),
        json.dumps(["a", "list"]),
        "not json",
        "[" * 100_000,
    ],
)
def test_everything_else_is_sent_back_as_it_is(body: str) -> None:
    assert letter(body).body_again() == body


def test_a_letter_that_sqs_moved_says_so() -> None:
    found = letter(ABOUT, origin=QUEUE)
    assert found.code == "INTAKE_FAILED"
    assert QUEUE in found.reason


def test_a_letter_without_a_word_is_unknown_and_still_belongs_to_its_spoke() -> None:
    found = letter({"account": "222222222222"}, colour="green")
    assert (found.code, found.account, found.source_arn) == ("UNKNOWN", "222222222222", None)


def test_the_account_of_a_forged_event_is_the_one_that_sent_it() -> None:
    found = letter({**json.loads(ABOUT), "account": "222222222222"}, code="ACCOUNT_MISMATCH", source_arn=ARN)
    assert found.account == "222222222222"


def test_a_letter_of_somebody_elses_making_stays_short() -> None:
    found = letter("x", code="C" * 1000, reason="R" * 100_000, source_arn="A" * 100_000)
    assert max(map(len, (found.code, found.reason, found.source_arn or ""))) == 1024


REFUSED = "\x00\x01\x08\x0b\x0c\x1f\ud800\udfff\ufffe\uffff"


def test_what_sqs_refuses_is_spelled_out_and_nothing_else() -> None:
    taken = "\t\n\r ~\x7f\x85é\ud7ff\ue000\ufffd\U00010000\U0001ffff\U0010ffff"
    assert sendable(taken) == taken
    assert sendable("model\x01.tar.gz") == r"model\u0001.tar.gz"
    assert sendable(REFUSED) == r"\u0000\u0001\u0008\u000b\u000c\u001f\ud800\udfff\ufffe\uffff"


def test_a_body_with_what_sqs_refuses_stays_the_same_json() -> None:
    body = json.dumps({"id": "a\ufffe\uffff\ud800b"}, ensure_ascii=False)
    assert sendable(body) != body
    assert json.loads(sendable(body)) == json.loads(body)


@pytest.mark.parametrize("asked", [ARN, ARN.replace("churn", "Churn")])
def test_a_redrive_chooses_a_version_in_any_spelling_of_its_arn(asked: str) -> None:
    request = RedriveRequest(source_arn=asked)
    assert request.chooses(letter({"source_arn": ARN}))
    assert not request.chooses(letter({"source_arn": ARN.replace("/3", "/4")}))
    assert not request.chooses(letter("not json"))


SECRET = "IQoJb3JpZ2luX2VjEJr"


def test_what_is_sent_says_no_secret_and_neither_does_what_is_read() -> None:
    sent: list[dict[str, Any]] = []
    queue: Any = SimpleNamespace(send_message=lambda **request: sent.append(request))
    leak = f"https://u:{SECRET}@h/k?X-Amz-Signature={SECRET}"
    body = json.dumps({"detail": {"ModelPackageArn": ARN, "ModelDataUrl": leak}})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    send(queue, "url", body, code="UNEXPECTED", reason=leak, source_arn=leak, now=now)
    assert SECRET not in str(sent)
    assert json.loads(sent[0]["MessageBody"])["detail"]["ModelPackageArn"] == ARN
    found = letter(body, ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE=leak, source_arn=leak)
    assert SECRET not in str(found)
