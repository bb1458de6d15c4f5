"""Every file in events/ is what the function takes, and says what its name promises."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.events import ModelPackageEvent, admit
from replicator.operations.failing import FailureRequest, read_failure
from replicator.operations.redriving import RedriveRequest
from replicator.reconciliation import ReconcileRequest
from replicator.steps import Action, CopyRequest, RegisterRequest, RunInput

if TYPE_CHECKING:
    from replicator.identifiers import ModelPackageArn

EVENTS = Path(__file__).parents[2] / "events"
HUB, REGION = "999999999999", "us-east-1"
SPOKES = frozenset({"111111111111", "222222222222"})
CHURN = "arn:aws:sagemaker:us-east-1:111111111111:model-package/churn/1"

# What intake makes of each message of a sample: the ARN that it admits, or the code that it refuses with.
OUTCOMES: dict[str, list[str | ErrorCode]] = {
    "approved": [CHURN],
    "rejected": [CHURN],
    "duplicate": [CHURN, CHURN],
    "mixed": [ErrorCode.MALFORMED_EVENT, ErrorCode.ACCOUNT_MISMATCH, CHURN],
    "malformed": [ErrorCode.MALFORMED_EVENT],
    "foreign-account": [ErrorCode.ACCOUNT_MISMATCH],
    "unknown-account": [ErrorCode.UNKNOWN_ACCOUNT],
    "own-account": [ErrorCode.OWN_ACCOUNT],
    "other-region": [ErrorCode.REGION_NOT_SERVED],
    "unversioned": [ErrorCode.UNVERSIONED],
    "wrong-source": [ErrorCode.WRONG_SOURCE],
    # AWS's own sample, word for word: it is from a region and an account that the sample hub does not serve.
    "documented-sample": [ErrorCode.UNKNOWN_ACCOUNT],
}


def samples(folder: str) -> list[str]:
    return sorted(file.stem for file in (EVENTS / folder).glob("*.json"))


def load(folder: str, name: str) -> Any:
    return json.loads((EVENTS / folder / f"{name}.json").read_text())


def outcome(body: str) -> str | ErrorCode:
    try:
        event = ModelPackageEvent.from_message(body)
        arn: ModelPackageArn = admit(event, hub_account=HUB, region=REGION, spokes=SPOKES)
    except PermanentError as error:
        return error.code
    return str(arn)


def test_every_sample_of_intake_has_an_outcome_here() -> None:
    assert samples("intake") == sorted(OUTCOMES)


@pytest.mark.parametrize("name", samples("intake"))
def test_intake(name: str) -> None:
    records = load("intake", name)["Records"]
    assert [outcome(record["body"]) for record in records] == OUTCOMES[name]
    for record in records:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()  # noqa: S324 - as SQS has it
        assert record["eventSource"] == "aws:sqs"
    assert len({record["messageId"] for record in records}) == len(records)


@pytest.mark.parametrize("name", samples("eventbridge"))
def test_eventbridge_sample_is_the_one_that_intake_has_in_its_message(name: str) -> None:
    assert json.loads(load("intake", name)["Records"][0]["body"]) == load("eventbridge", name)
    assert outcome((EVENTS / "eventbridge" / f"{name}.json").read_text()) == OUTCOMES[name][0]


def test_documented_sample_repeats_its_source_as_a_list() -> None:
    assert load("eventbridge", "documented-sample")["source"] == ["aws.sagemaker"]


def test_the_duplicates_are_one_event_delivered_twice() -> None:
    first, second = (json.loads(record["body"]) for record in load("intake", "duplicate")["Records"])
    assert first == second == load("eventbridge", "approved")


@pytest.mark.parametrize("name", samples("plan"))
def test_plan(name: str) -> None:
    assert RunInput.model_validate(load("plan", name)).source_arn == CHURN


@pytest.mark.parametrize("folder", ["copy_artifact", "copy_image"])
def test_copies(folder: str) -> None:
    names = samples(folder)
    requests = [CopyRequest.model_validate(load(folder, name)) for name in names]
    assert {f"copy_{request.copy_.kind}" for request in requests} == {folder}
    assert [name for name, request in zip(names, requests, strict=True) if request.progress] == ["resumed"]


def test_the_mirror_to_register_has_a_result_for_every_copy() -> None:
    request = RegisterRequest.model_validate(load("register", "mirror"))
    assert request.plan.action is Action.MIRROR
    assert [result.uri for result in request.results] == [copy.uri for copy in request.plan.copies]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing-object", ErrorCode.SOURCE_OBJECT_MISSING),
        ("before-plan", ErrorCode.PACKAGE_NOT_FOUND),
        ("time-out", ErrorCode.TIMED_OUT),
    ],
)
def test_record_failure(name: str, code: ErrorCode) -> None:
    request = FailureRequest.model_validate(load("record_failure", name))
    assert read_failure(request)[0] is code
    assert (request.plan is None) == (name == "before-plan")


def test_every_sample_of_record_failure_is_tried_here() -> None:
    assert samples("record_failure") == ["before-plan", "missing-object", "time-out"]


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("all", RedriveRequest()),
        ("by-code", RedriveRequest(code=ErrorCode.SOURCE_OBJECT_MISSING)),
        ("dry-run", RedriveRequest(dry_run=True)),
        ("delete", RedriveRequest(message_id="0a1b2c3d-0000-4000-8000-000000000000", delete=True)),
        ("further", RedriveRequest(began=datetime(2026, 1, 1, tzinfo=UTC), limit=2000)),
    ],
)
def test_redrive(name: str, request_: RedriveRequest) -> None:
    assert RedriveRequest.model_validate(load("redrive", name)) == request_


def test_sweep() -> None:
    assert samples("sweep") == ["scheduled"]
    assert load("sweep", "scheduled") == {}


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("daily", ReconcileRequest()),
        ("backfill-dry-run", ReconcileRequest(
            mode="backfill", accounts=["111111111111"], group="churn", dry_run=True
        )),
    ],
)  # fmt: skip
def test_reconcile(name: str, request_: ReconcileRequest) -> None:
    assert ReconcileRequest.model_validate(load("reconcile", name)) == request_


def test_every_function_has_samples() -> None:
    functions = {handler.parent.name for handler in (EVENTS.parent / "functions").glob("*/handler.py")}
    assert functions <= {folder.name for folder in EVENTS.iterdir() if list(folder.glob("*.json"))}
