"""What goes wrong is named, kept and recoverable: a hub of its own, whose every dead letter is counted."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import deploy
from tests.integration.conftest import ROOT, SPOKE_A, SPOKE_B, receive_all, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tools import redrive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.server import LocalAws

HUB, NAMESPACE = "888888888881", "letters"
AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def deploy_hub(aws: LocalAws, *spokes: str) -> Hub:
    choices = {"Namespace": NAMESPACE, "SpokeAccounts": ",".join(spokes)}
    stack = deploy(aws, HUB, ROOT / "template.yaml", choices, NAMESPACE)
    return Hub(aws, stack, NAMESPACE)


@pytest.fixture(scope="module")
def hub(local_aws: LocalAws) -> Hub:
    """A hub of its own, with two spokes."""
    hub = deploy_hub(local_aws, SPOKE_A, SPOKE_B)
    for account in (SPOKE_A, SPOKE_B):
        parameters = {"HubAccount": HUB, "Namespace": NAMESPACE}
        deploy(local_aws, account, ROOT / "spoke.yaml", parameters, NAMESPACE)
    return hub


@pytest.fixture(autouse=True)
def no_letters_of_others(hub: Hub) -> Iterator[None]:
    """Begin with an empty queue, whatever the test before has left."""
    yield
    receive_all(hub.aws, HUB, hub.stack.resources["DeadLetterQueue"])


@pytest.fixture
def scientist(local_aws: LocalAws, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(local_aws, SPOKE_A, fresh("model"))


def approved(scientist: DataScientist) -> str:
    location = scientist.put("model.tar.gz")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    scientist.approve(arn)
    return arn


def failed(scientist: DataScientist, hub: Hub) -> str:
    """Approve a version whose artifact is missing, wait for its letter, and bring the artifact back."""
    location = scientist.put("model.tar.gz")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    scientist.remove("model.tar.gz")
    scientist.approve(arn)
    assert hub.dead_letter(arn)["code"] == "SOURCE_OBJECT_MISSING"
    scientist.bring_back("model.tar.gz")
    return arn


def queue_arn(hub: Hub, logical: str) -> str:
    answer = hub.sqs.get_queue_attributes(QueueUrl=hub.stack.resources[logical], AttributeNames=["QueueArn"])
    return str(answer["Attributes"]["QueueArn"])


def put_letter(hub: Hub, body: str, **attributes: str) -> str:
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    url = hub.stack.resources["DeadLetterQueue"]
    return str(hub.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=typed)["MessageId"])


def mirrored_again(hub: Hub, arn: str) -> dict[str, Any]:
    """Wait for the mirror of a version that had failed."""
    wait_for(lambda: hub.entry(arn).get("state") == "IDLE", seconds=60, what="the redriven run")
    return hub.mirror(arn)


def bodies_settle(hub: Hub, bodies: list[str]) -> None:
    """Wait until the queue holds exactly these letters."""
    wait_for(
        lambda: Counter(m["Body"] for m in hub.letters()) == Counter(bodies),
        what="the letters to be back",
    )


@pytest.fixture
def tool(hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command of `make redrive` against the hub, and give what it prints."""
    for name, value in {**hub.aws.environment(HUB), "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> str:
        capsys.readouterr()
        assert redrive.main(["--namespace", NAMESPACE, *words]) == 0
        return capsys.readouterr().out

    return run


class TestNotJson:
    def test_it_stays_one_letter_however_often_it_is_sent_back(
        self, hub: Hub, scientist: DataScientist, tool: Callable[..., str]
    ) -> None:
        bad = f"not json {scientist.group}"
        hub.send(bad)
        assert hub.code_of(bad) == "MALFORMED_EVENT"
        good = failed(scientist, hub)
        assert "2 sent back, 0 deleted" in tool()
        assert mirrored_again(hub, good)
        for _ in range(2):
            bodies_settle(hub, [bad])
            answer = hub.redrive()
            assert (answer["redriven"], answer["more"]) == (1, False)
        bodies_settle(hub, [bad])
        (letter,) = hub.redrive(dry_run=True)["letters"]
        assert (letter["code"], letter["body"]) == ("MALFORMED_EVENT", bad)
        gone = tool("--delete", "--message-id", letter["message_id"])
        assert bad in gone
        assert "0 sent back, 1 deleted, 0 kept" in gone
        assert hub.letters() == []

    def test_a_redrive_does_not_chase_what_fails_again_at_once(
        self, hub: Hub, scientist: DataScientist, tool: Callable[..., str]
    ) -> None:
        bodies = [f"not json {scientist.group} {i}" for i in range(12)]
        for body in bodies:
            put_letter(hub, body, code="MALFORMED_EVENT")
        printed = tool("--code", "MALFORMED_EVENT", "--step", "5")
        assert "5 sent back so far\n" in printed
        assert "10 sent back so far\n" in printed
        assert "MALFORMED_EVENT: 12 sent back" in printed
        assert "12 sent back, 0 deleted" in printed
        bodies_settle(hub, bodies)

    def test_the_tool_stops_at_its_limit_and_shows_no_more_than_asked(
        self, hub: Hub, scientist: DataScientist, tool: Callable[..., str]
    ) -> None:
        arns = [failed(DataScientist(hub.aws, SPOKE_A, f"{scientist.group}-{i}"), hub) for i in range(3)]
        listed = tool("--dry-run", "--show", "1")
        assert "... and 2 more" in listed
        assert "SOURCE_OBJECT_MISSING: 0 sent back, 3 kept" in listed
        assert "2 sent back, 0 deleted" in tool("--limit", "2", "--step", "1")
        assert "1 sent back, 0 deleted" in tool()
        for arn in arns:
            assert mirrored_again(hub, arn)


def test_letters_of_older_releases_are_mended(
    hub: Hub, scientist: DataScientist, fresh: Callable[[str], str]
) -> None:
    other = DataScientist(hub.aws, SPOKE_A, fresh("model"))
    arns = [failed(scientist, hub), failed(other, hub)]
    receive_all(hub.aws, HUB, hub.stack.resources["DeadLetterQueue"])
    # The body that record-failure once wrote, without attributes and with some of another name.
    put_letter(hub, json.dumps({"source_arn": arns[0]}))
    put_letter(hub, json.dumps({"source_arn": arns[1]}), error="of another name")
    listed = hub.redrive(dry_run=True)["letters"]
    assert {(old["code"], old["source_arn"], old["account"]) for old in listed} == {
        ("UNKNOWN", arn, SPOKE_A) for arn in arns
    }
    assert hub.redrive(account=SPOKE_A)["redriven"] == 2
    for arn in arns:
        assert mirrored_again(hub, arn)
    assert hub.letters() == []


def test_an_event_of_a_removed_spoke_waits_until_the_spoke_is_back(
    hub: Hub, local_aws: LocalAws, fresh: Callable[[str], str]
) -> None:
    scientist = DataScientist(local_aws, SPOKE_B, fresh("model"))
    arn = failed(scientist, hub)
    deploy_hub(local_aws, SPOKE_A)
    assert hub.redrive(account=SPOKE_B)["redriven"] == 1

    def refused() -> dict[str, Any] | None:
        letters = hub.redrive(dry_run=True)["letters"]
        return letters[0] if letters and letters[0]["code"] == "UNKNOWN_ACCOUNT" else None

    letter = wait_for(refused, what="the letter of the removed spoke") or {}
    assert letter["source_arn"] == arn
    assert "Add it to SpokeAccounts" in letter["reason"]
    deploy_hub(local_aws, SPOKE_A, SPOKE_B)
    assert hub.redrive(code="UNKNOWN_ACCOUNT")["redriven"] == 1
    assert mirrored_again(hub, arn)
    assert hub.letters() == []


@contextmanager
def without_role(aws: LocalAws, account: str, name: str) -> Iterator[None]:
    """Delete a role with its policies, and make it again at the end."""
    iam = aws.client("iam", account)
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    policies = {
        each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
        for each in iam.list_role_policies(RoleName=name)["PolicyNames"]
    }
    for each in policies:
        iam.delete_role_policy(RoleName=name, PolicyName=each)
    iam.delete_role(RoleName=name)
    try:
        yield
    finally:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        for each, document in policies.items():
            iam.put_role_policy(RoleName=name, PolicyName=each, PolicyDocument=json.dumps(document))


def plans(hub: Hub) -> int:
    """Count how often the plan function was invoked."""
    return hub.aws.functions.log(f"{NAMESPACE}-plan").read_text().count("START RequestId")


def test_a_spoke_without_its_read_role_fails_at_once_and_recovers(hub: Hub, scientist: DataScientist) -> None:
    with without_role(hub.aws, SPOKE_A, f"{NAMESPACE}-{hub.aws.region}-read"):
        arn = approved(scientist)
        letter = hub.dead_letter(arn)
        assert letter["code"] == "SOURCE_ACCESS_DENIED"
        assert "deploy spoke.yaml" in letter["reason"]
        assert hub.settled(arn)["attempt"] == "1"
        before = plans(hub)
        assert hub.redrive()["redriven"] == 1
        assert hub.dead_letter(arn)["attempt"] == "2"
        assert plans(hub) == before + 1, "one look for one letter"
    assert hub.redrive(code="SOURCE_ACCESS_DENIED", account=SPOKE_A)["redriven"] == 1
    assert mirrored_again(hub, arn)
    assert hub.letters() == []


def test_a_registry_that_throttles_for_an_hour_loses_nothing(hub: Hub, scientist: DataScientist) -> None:
    location = scientist.put("model.tar.gz")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    # Nine tries of the state machine, in each of which the SDK asks five times. The spoke may have other hubs.
    role = f":assumed-role/{NAMESPACE}-{hub.aws.region}-read/"
    hub.aws.registry.throttle("DescribeModelPackage", 45, role)
    with hub.in_haste("plan"):
        scientist.approve(arn)
        wait_for(lambda: hub.entry(arn).get("state") == "FAILED", seconds=120, what="the end of the patience")
    assert hub.aws.registry.failing == {}
    letter = hub.dead_letter(arn)
    assert letter["code"] == "THROTTLED"
    assert "ThrottlingException" in letter["reason"]
    assert arn in letter["reason"]
    assert hub.redrive(code="THROTTLED")["redriven"] == 1
    assert mirrored_again(hub, arn)
    assert hub.letters() == []


def test_what_eventbridge_could_not_deliver_is_a_letter_like_any_other(
    hub: Hub, scientist: DataScientist, tool: Callable[..., str]
) -> None:
    url = hub.stack.resources["IntakeQueue"]
    policy = hub.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    hub.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    try:
        arn = approved(scientist)
        (letter,) = wait_for(hub.letters, what="the undeliverable event")
    finally:
        hub.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["RULE_ARN"].endswith(f":rule/{NAMESPACE}/{NAMESPACE}-intake")
    assert attributes["TARGET_ARN"] == queue_arn(hub, "IntakeQueue")
    assert json.loads(letter["Body"])["detail"]["ModelPackageArn"] == arn
    listed = tool("--dry-run")
    assert "NO_PERMISSIONS: 0 sent back, 1 kept" in listed
    assert "EventBridge could not deliver the event to" in listed
    (shown,) = hub.redrive(dry_run=True)["letters"]
    assert (shown["code"], shown["source_arn"], shown["account"]) == ("NO_PERMISSIONS", arn, SPOKE_A)
    assert hub.entry(arn) == {}
    assert hub.redrive(code="NO_PERMISSIONS", account=SPOKE_A)["redriven"] == 1
    assert mirrored_again(hub, arn)
    assert hub.letters() == []


def test_the_redrive_button_of_the_console_moves_letters_to_a_custom_destination(
    hub: Hub, scientist: DataScientist
) -> None:
    arn = failed(scientist, hub)
    dead, intake = queue_arn(hub, "DeadLetterQueue"), queue_arn(hub, "IntakeQueue")

    def moved(**destination: str) -> dict[str, Any]:
        hub.sqs.start_message_move_task(SourceArn=dead, **destination)
        return wait_for(
            lambda: next(
                (
                    task
                    for task in hub.sqs.list_message_move_tasks(SourceArn=dead)["Results"]
                    if task["Status"] in {"COMPLETED", "FAILED"}
                ),
                {},
            ),
            what="the move task",
        )

    # "Redrive to source queue": our letters were never in another queue.
    assert moved()["FailureReason"] == "CouldNotDetermineMessageSource"
    assert hub.dead_letter(arn)["code"] == "SOURCE_OBJECT_MISSING"
    # "Redrive to a custom destination". The attributes of the letter come along and harm nothing.
    assert moved(DestinationArn=intake)["ApproximateNumberOfMessagesMoved"] == 1
    assert mirrored_again(hub, arn)
    assert hub.letters() == []
