import json
from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.events import ModelPackageEvent, ReplicationDetail, admit, read_time
from replicator.identifiers import ModelPackageArn
from replicator.ledger import seen_after

ARN = "arn:aws:sagemaker:us-east-2:111122223333:model-package/versionedmp-p-idy6c3e1fiqj/2"


def an_event(**changes: Any) -> dict[str, Any]:
    event = {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": "111122223333",
        "time": "2021-02-24T17:00:14Z",
        "region": "us-east-2",
        "resources": [ARN],
        "detail": {"ModelPackageArn": ARN, "ModelApprovalStatus": "Approved", "Brand": {"new": ["member"]}},
    }
    return event | changes


def admitted(event: dict[str, Any], **changes: Any) -> ModelPackageArn:
    options: dict[str, Any] = {
        "hub_account": "999999999999",
        "region": "us-east-2",
        "spokes": {"111122223333"},
    }
    return admit(ModelPackageEvent.from_message(json.dumps(event)), **(options | changes))


def test_an_event_names_its_package() -> None:
    assert admitted(an_event()) == ModelPackageArn.parse(ARN)


def test_the_documented_sample_with_its_list_for_a_source_is_read() -> None:
    assert admitted(an_event(source=["aws.sagemaker"])) == ModelPackageArn.parse(ARN)


def test_an_event_of_our_own_is_admitted_and_has_been_seen_by_no_reading() -> None:
    arn = ModelPackageArn.parse(ARN)
    event = ModelPackageEvent.from_message(ModelPackageEvent.about(arn).to_message())
    assert event.changed is None
    assert admitted(json.loads(event.to_message())) == arn


@pytest.mark.parametrize("changes", [{"resources": None}, {"id": 7}, {"version": 0}])
def test_what_nothing_decides_by_may_be_anything(changes: dict[str, Any]) -> None:
    detail = {"ModelPackageArn": ARN, "ModelPackageVersion": 2.0, "ModelApprovalStatus": None}
    assert admitted(an_event(detail=detail, **changes)) == ModelPackageArn.parse(ARN)


def test_an_organization_admits_every_account() -> None:
    assert admitted(an_event(), spokes=frozenset())


def arn_in(*, account: str = "111122223333", region: str = "us-east-2") -> dict[str, str]:
    return {"ModelPackageArn": f"arn:aws:sagemaker:{region}:{account}:model-package/g/1"}


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"source": "evil.sagemaker"}, ErrorCode.WRONG_SOURCE, "evil.sagemaker"),
        ({"detail-type": "SageMaker Model State Change"}, ErrorCode.WRONG_SOURCE, "Model State Change"),
        ({"account": "444455556666"}, ErrorCode.ACCOUNT_MISMATCH, "444455556666"),
        ({"detail": arn_in(account="444455556666")}, ErrorCode.ACCOUNT_MISMATCH, "444455556666"),
        (
            {"account": "999999999999", "detail": arn_in(account="999999999999")},
            ErrorCode.OWN_ACCOUNT,
            "itself",
        ),
        (
            {"account": "444455556666", "detail": arn_in(account="444455556666")},
            ErrorCode.UNKNOWN_ACCOUNT,
            "SpokeAccounts",
        ),
        ({"detail": arn_in(region="eu-west-1")}, ErrorCode.REGION_NOT_SERVED, "eu-west-1"),
        ({"region": "eu-west-1"}, ErrorCode.REGION_NOT_SERVED, "eu-west-1"),
        ({"detail": {"ModelPackageArn": ARN.rpartition("/")[0]}}, ErrorCode.UNVERSIONED, "group"),
        ({"detail": {"ModelPackageArn": ARN + "/../../x"}}, ErrorCode.MALFORMED_EVENT, "ModelPackageArn"),
        ({"detail": {}}, ErrorCode.MALFORMED_EVENT, "ModelPackageArn"),
        ({"detail": None}, ErrorCode.MALFORMED_EVENT, "detail"),
        ({"account": 111122223333}, ErrorCode.MALFORMED_EVENT, "account"),
    ],
)
def test_what_may_not_be_replicated_says_why(changes: dict[str, Any], code: ErrorCode, named: str) -> None:
    with pytest.raises(PermanentError, match=named) as caught:
        admitted(an_event(**changes))
    assert caught.value.code is code


@pytest.mark.parametrize("body", ["", "{", "not json", "[]", "null", '"x"', "{}", "\x00", "[" * 200_000])
def test_what_is_not_an_event_is_malformed(body: str) -> None:
    with pytest.raises(PermanentError) as caught:
        ModelPackageEvent.from_message(body)
    assert caught.value.code is ErrorCode.MALFORMED_EVENT


@pytest.mark.parametrize(
    "changes",
    [{"id": "\ud800"}, {"detail": {"ModelPackageArn": ARN, "ModelPackageGroupName": ["\udfff"]}}],
)
def test_what_could_not_be_kept_as_a_message_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="written as JSON again") as caught:
        admitted(an_event(**changes))
    assert caught.value.code is ErrorCode.MALFORMED_EVENT


def test_what_is_nested_too_deeply_is_malformed() -> None:
    deep = "[" * 3000 + "]" * 3000
    body = json.dumps(an_event(resources="deep")).replace('"deep"', deep)
    with pytest.raises(PermanentError, match="nested too deeply") as caught:
        ModelPackageEvent.from_message(body)
    assert caught.value.code is ErrorCode.MALFORMED_EVENT


def test_an_event_is_read_again_from_its_own_message() -> None:
    event = ModelPackageEvent.from_message(json.dumps(an_event()))
    assert ModelPackageEvent.from_message(event.to_message()) == event


@pytest.mark.parametrize(
    "value",
    [
        "2021-01-26T01:04:19Z",
        "2021-01-26T01:04:19.000Z",
        "2021-01-26T01:04:19.000000000Z",
        1611623059000,
        "1611623059000",
        1611623059000.0,
        datetime(2021, 1, 26, 1, 4, 19, tzinfo=UTC),
    ],
)
def test_every_form_of_time_is_the_same_instant(value: object) -> None:
    assert read_time(value) == datetime(2021, 1, 26, 1, 4, 19, tzinfo=UTC)


NO_TIMES: list[Any] = [
    None, "soon", {}, [], "", "9" * 400,
    # Times, but no clock can be set to them: another time zone, or a second more, is not to be had.
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", 253402300799000,
    datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_TIMES)
def test_an_unreadable_time_is_none_and_does_not_lose_the_event(value: object) -> None:
    assert read_time(value) is None
    if not isinstance(value, datetime):
        event = ModelPackageEvent.from_message(json.dumps(an_event(time=value)))
        assert seen_after(event.changed) is None
        assert admitted(json.loads(event.to_message()))


def test_the_end_of_a_run_has_sagemakers_spelling_and_no_empty_members() -> None:
    detail = ReplicationDetail(status="Failed", source_arn=ARN, code=ErrorCode.TIMED_OUT, reason="slow")
    assert json.loads(detail.to_detail()) == {
        "Status": "Failed",
        "SourceModelPackageArn": ARN,
        "Code": "TIMED_OUT",
        "Reason": "slow",
    }
