"""Redrive over real queues of the local AWS: killed after every call, in steps, ten thousand letters."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from moto.sqs.models import Message, sqs_backends

from replicator.events import ModelPackageEvent
from replicator.identifiers import ModelPackageArn
from replicator.operations import redriving
from replicator.operations.redriving import Redrive, RedriveAnswer, RedriveRequest
from tests.integration.conftest import receive_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ACCOUNT = "333333333331"
REGION = "eu-west-1"


def arn_of(number: int, account: str = "111111111111") -> str:
    return f"arn:aws:sagemaker:{REGION}:{account}:model-package/churn/{number}"


def event(arn: str) -> str:
    return ModelPackageEvent.about(ModelPackageArn.parse(arn)).to_message()


class Letters:
    """A dead-letter queue and an intake queue that nobody takes anything from."""

    def __init__(self, aws: LocalAws, fresh: Callable[[str], str]) -> None:
        # A client of its own, because tests tamper with its calls.
        self.aws, self.sqs = aws, aws.session(ACCOUNT).client("sqs")
        self.dead, self.intake = (
            self.sqs.create_queue(QueueName=fresh(kind), Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
            for kind in ("dead", "intake")
        )

    def put(self, body: str, **attributes: str) -> str:
        typed = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
        sent = self.sqs.send_message(QueueUrl=self.dead, MessageBody=body, MessageAttributes=typed)
        return str(sent["MessageId"])

    def put_many(self, count: int, **attributes: str) -> None:
        """Put letters into the queue without a request for each."""
        queue = sqs_backends[ACCOUNT][REGION].get_queue(self.dead.rpartition("/")[2])
        typed = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
        for number in range(1, count + 1):
            message = Message(f"letter-{number}", event(arn_of(number)), {})
            message.message_attributes = typed
            message.mark_sent()
            queue.add_message(message)

    def redrive(self, streams: int = 2, **request: Any) -> RedriveAnswer:
        now = datetime.now(UTC)
        return self.redriver(streams).run(RedriveRequest(**request), now)

    def redriver(self, streams: int = 2, *, to: str | None = None) -> Redrive:
        return Redrive(self.sqs, self.dead, to or self.intake, streams)

    def counts(self, url: str) -> tuple[int, int]:
        """Give how many messages are visible and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def bodies(self, url: str) -> list[str]:
        self.aws.make_visible(ACCOUNT, url)
        return [message["Body"] for message in receive_all(self.aws, ACCOUNT, url)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local SQS has one server, so nothing is gained by waiting for the others."""
    monkeypatch.setattr(redriving, "WAIT_SECONDS", 0)


@pytest.fixture
def letters(local_aws: LocalAws, fresh: Callable[[str], str]) -> Letters:
    return Letters(local_aws, fresh)


def test_a_list_shows_every_letter_and_gives_all_back(letters: Letters) -> None:
    letters.put(event(arn_of(1)), code="THROTTLED", reason="try later", source_arn=arn_of(1))
    letters.put("not json", code="MALFORMED_EVENT", reason="the message is not JSON")
    letters.put(event(arn_of(2)), ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="no", TARGET_ARN="arn:target")
    letters.put(json.dumps({"source_arn": arn_of(3, "222222222222")}), Fehler="anders benannt")
    time.sleep(1)
    answer = letters.redrive(dry_run=True)
    assert (answer.redriven, answer.kept, answer.new, answer.more, answer.unlisted) == (0, 4, 0, False, 0)
    assert {code: total.found for code, total in answer.codes.items()} == {
        "THROTTLED": 1, "MALFORMED_EVENT": 1, "NO_PERMISSIONS": 1, "UNKNOWN": 1
    }  # fmt: skip
    shown = {letter.code: letter for letter in answer.letters}
    assert shown["THROTTLED"].reason == "try later"
    assert shown["THROTTLED"].source_arn == arn_of(1)
    assert shown["THROTTLED"].body is None
    assert 1 <= shown["THROTTLED"].age_seconds < 60
    assert shown["MALFORMED_EVENT"].body == "not json"
    assert shown["NO_PERMISSIONS"].reason == "EventBridge could not deliver the event to arn:target: no"
    assert shown["NO_PERMISSIONS"].source_arn == arn_of(2)
    assert (shown["UNKNOWN"].source_arn, shown["UNKNOWN"].account) == (
        arn_of(3, "222222222222"), "222222222222"
    )  # fmt: skip
    assert letters.counts(letters.dead) == (4, 0)
    assert letters.counts(letters.intake) == (0, 0)


def test_a_letter_that_sqs_moved_says_where_from_and_is_sent_back(
    letters: Letters, fresh: Callable[[str], str]
) -> None:
    names = {"QueueUrl": letters.dead, "AttributeNames": ["QueueArn"]}
    dead = letters.sqs.get_queue_attributes(**names)["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    queue = letters.sqs.create_queue(QueueName=fresh("queue"), Attributes={"RedrivePolicy": policy})[
        "QueueUrl"
    ]
    letters.sqs.send_message(QueueUrl=queue, MessageBody=event(arn_of(1)))
    assert letters.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in letters.sqs.receive_message(QueueUrl=queue)
    (listed,) = letters.redrive(dry_run=True).letters
    assert (listed.code, listed.source_arn) == ("INTAKE_FAILED", arn_of(1))
    assert queue.rpartition("/")[2] in listed.reason
    assert letters.redrive(code="INTAKE_FAILED").redriven == 1
    assert letters.bodies(letters.intake) == [event(arn_of(1))]


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ({}, {1, 2, 3, 4}),
        ({"code": "A"}, {1, 3}),
        ({"account": "222222222222"}, {3, 4}),
        ({"code": "A", "account": "222222222222"}, {3}),
        ({"source_arn": arn_of(2)}, {2}),
        ({"source_arn": arn_of(9)}, set()),
    ],
)
def test_only_what_was_chosen_is_sent_back(
    letters: Letters, choice: dict[str, Any], numbers: set[int]
) -> None:
    owners = {1: "111111111111", 2: "111111111111", 3: "222222222222", 4: "222222222222"}
    bodies = {number: event(arn_of(number, owner)) for number, owner in owners.items()}
    for number, body in bodies.items():
        letters.put(body, code="A" if number % 2 else "B", source_arn=arn_of(number, owners[number]))
    answer = letters.redrive(**choice)
    assert (answer.redriven, answer.kept) == (len(numbers), 4 - len(numbers))
    assert letters.counts(letters.dead) == (4 - len(numbers), 0)
    assert sorted(letters.bodies(letters.intake)) == sorted(bodies[number] for number in numbers)


def test_one_letter_by_its_message_id(letters: Letters) -> None:
    ids = [letters.put(f"not json {i}") for i in range(15)]
    assert letters.redrive(message_id=ids[7]).redriven == 1
    assert letters.bodies(letters.intake) == ["not json 7"]
    assert letters.counts(letters.dead) == (14, 0)


def test_one_hopeless_letter_is_deleted_and_shown_for_the_last_time(letters: Letters) -> None:
    ids = [letters.put(f"not json {i}" + "x" * 5_000) for i in range(5)]
    answer = letters.redrive(message_id=ids[2], delete=True)
    assert (answer.deleted, answer.redriven, answer.more) == (1, 0, False)
    (gone,) = [letter for letter in answer.letters if letter.deleted]
    assert (gone.message_id, gone.body) == (ids[2], "not json 2" + "x" * 5_000)
    assert letters.bodies(letters.intake) == []
    assert sorted(body[:10] for body in letters.bodies(letters.dead)) == [
        f"not json {i}" for i in (0, 1, 3, 4)
    ]


@pytest.mark.parametrize("request_", [{"delete": True}, {"delete": True, "code": "A"},
                                      {"delete": True, "message_id": "m", "dry_run": True}])  # fmt: skip
def test_no_more_than_one_letter_can_be_deleted(request_: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only one letter is deleted at a time"):
        RedriveRequest(**request_)


class Killed(BaseException):
    """The process is gone: nothing that it would have done is done."""


class Death:
    """Lets so many calls of a client come to their effect, and no further one."""

    def __init__(self, sqs: Any, calls: int) -> None:
        self.left, self.sqs = calls, sqs
        sqs.meta.events.register("before-call.sqs", self.before)
        sqs.meta.events.register("after-call.sqs", self.after)

    def before(self, **_: Any) -> None:
        if self.left == 0:
            raise Killed

    def after(self, **_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def undo(self) -> None:
        self.sqs.meta.events.unregister("before-call.sqs", self.before)
        self.sqs.meta.events.unregister("after-call.sqs", self.after)


@pytest.mark.parametrize("streams", [1, 3])
def test_killed_after_every_call_it_loses_nothing(
    local_aws: LocalAws, fresh: Callable[[str], str], streams: int
) -> None:
    bodies = {event(arn_of(number)): "A" if number % 3 else "B" for number in range(1, 26)}
    calls, died = 0, True
    while died:
        calls += 1
        letters = Letters(local_aws, fresh)
        for body, code in bodies.items():
            letters.put(body, code=code)
        death = Death(letters.sqs, calls)
        try:
            letters.redrive(streams, code="A")
            died = False
        except Killed:
            pass
        death.undo()
        sent, kept = letters.bodies(letters.intake), letters.bodies(letters.dead)
        assert set(sent) | set(kept) == bodies.keys(), f"a letter was lost after {calls} calls"
        assert {bodies[body] for body in sent} <= {"A"}
        assert len(sent) == len(set(sent))
    assert Counter(bodies[body] for body in sent) == {"A": 17}
    assert Counter(bodies[body] for body in kept) == {"B": 8}
    assert calls > 8


def test_what_intake_does_not_take_stays(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 13):
        letters.put(event(arn_of(number)), code="A")
    send = letters.sqs.send_message_batch

    def refuse_two(**request: Any) -> Any:
        taken, refused = request["Entries"][2:], request["Entries"][:2]
        failed = [{"Id": e["Id"], "SenderFault": False, "Code": "InternalError"} for e in refused]
        answer = send(**{**request, "Entries": taken}) if taken else {}
        return {"Successful": answer.get("Successful", []), "Failed": failed}

    monkeypatch.setattr(letters.sqs, "send_message_batch", refuse_two)
    answer = letters.redrive()
    assert (answer.redriven, answer.kept) == (8, 4)
    assert Counter(letter.refused for letter in answer.letters) == {
        None: 8,
        "InternalError: SQS gave no reason": 4,
    }
    assert letters.counts(letters.dead) == (4, 0)
    assert letters.counts(letters.intake) == (8, 0)


def test_what_intake_refuses_for_good_stays_and_says_why(letters: Letters) -> None:
    letters.sqs.set_queue_attributes(QueueUrl=letters.intake, Attributes={"MaximumMessageSize": "1024"})
    for body in ("small", "large" * 1_000, "small as well"):
        letters.put(body, code="A")
    answer = letters.redrive()
    assert (answer.redriven, answer.kept) == (2, 1)
    (refused,) = [letter for letter in answer.letters if not letter.redriven]
    assert refused.refused is not None
    assert refused.refused.startswith("InvalidParameterValue: ")
    assert "shorter than 1024 bytes" in refused.refused
    assert [letter.refused for letter in answer.letters if letter.redriven] == [None, None]
    assert letters.bodies(letters.intake) == ["small", "small as well"]
    assert letters.bodies(letters.dead) == ["large" * 1_000]


def test_an_error_gives_back_what_was_held(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 13):
        letters.put(event(arn_of(number)), code="A")

    def refuse(**_: Any) -> Any:
        raise RuntimeError("AccessDenied")

    monkeypatch.setattr(letters.sqs, "send_message_batch", refuse)
    with pytest.raises(RuntimeError, match="AccessDenied"):
        letters.redrive()
    assert letters.counts(letters.dead) == (12, 0)


def test_letters_that_fail_again_at_once_are_not_chased(letters: Letters) -> None:
    """The worst intake that there can be: whatever it is sent is a dead letter in the same moment."""
    for number in range(1, 41):
        letters.put(event(arn_of(number)), code="A")
    time.sleep(0.01)
    answer = letters.redriver(to=letters.dead).run(RedriveRequest(), datetime.now(UTC))
    assert (answer.redriven, answer.kept, answer.new, answer.more) == (40, 40, 40, False)
    assert len(letters.bodies(letters.dead)) == 40


def test_a_redrive_goes_on_in_further_invocations_and_then_ends(letters: Letters) -> None:
    for number in range(1, 41):
        letters.put(event(arn_of(number)), code="A" if number <= 30 else "B")
    time.sleep(0.01)
    redriver, began, redriven = letters.redriver(to=letters.dead), None, []
    while True:
        request = RedriveRequest(code="A", limit=12, began=began)
        answer = redriver.run(request, datetime.now(UTC))
        redriven.append(answer.redriven)
        began = answer.began
        if not answer.more:
            break
    assert redriven == [12, 12, 6]
    # The thirty have come back without a code; not one of them was sent twice.
    assert {code: total.found for code, total in answer.codes.items() if code != "A"} == {
        "B": 10, "UNKNOWN": 30
    }  # fmt: skip
    assert letters.counts(letters.dead) == (40, 0)


def test_it_ends_in_time_to_give_back_what_it_holds(letters: Letters) -> None:
    letters.put_many(100)
    asked = iter([300.0, 300.0, 19.0])
    answer = letters.redriver(1).run(RedriveRequest(dry_run=True), datetime.now(UTC), lambda: next(asked))
    assert (answer.more, answer.kept) == (True, 20)
    assert letters.counts(letters.dead) == (100, 0)


def test_it_never_holds_more_than_sqs_gives(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    letters.put_many(60)
    monkeypatch.setattr(redriving, "MOST_HELD", 30)
    answer = letters.redrive(1, dry_run=True)
    assert (answer.more, answer.kept) == (True, 30)
    assert letters.counts(letters.dead) == (60, 0)


def test_ten_thousand_letters_fit_into_one_answer(letters: Letters) -> None:
    letters.put_many(10_000, code="SOURCE_OBJECT_MISSING", reason="\N{PILE OF POO}" * 1024)
    answer = letters.redrive(8, dry_run=True)
    assert answer.codes["SOURCE_OBJECT_MISSING"].found == answer.kept == 10_000
    assert len(answer.letters) + answer.unlisted == 10_000
    assert len(json.dumps(answer.model_dump(mode="json"))) < 6 * 1024 * 1024 / 2
    assert letters.counts(letters.dead) == (10_000, 0)


def test_a_thousand_codes_fit_into_one_answer(letters: Letters) -> None:
    for number in range(130):
        letters.put("x", code=f"CODE-{number}" + "x" * 100_000)
    answer = letters.redrive(dry_run=True)
    assert len(answer.codes) == 101
    assert answer.codes["OTHER"].found == 30
    assert len(answer.model_dump_json()) < 200_000


def test_large_letters_are_sent_in_batches_that_sqs_takes(letters: Letters) -> None:
    bodies = [f"{i}" + "x" * 300_000 for i in range(9)]
    for body in bodies:
        letters.put(body)
    assert letters.redrive().redriven == 9
    assert sorted(letters.bodies(letters.intake)) == bodies


def test_an_old_answer_is_no_reason_to_send_what_came_since(letters: Letters) -> None:
    letters.put(event(arn_of(1)))
    answer = letters.redrive(began=datetime.now(UTC) - timedelta(minutes=1))
    assert (answer.redriven, answer.new, answer.kept) == (0, 1, 1)
