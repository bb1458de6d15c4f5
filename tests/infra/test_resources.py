"""Queues, events and stores: every net has its policy, everything is encrypted, nothing is public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.aws.ledger_items import UNSETTLED
from replicator.operations.redriving import HIDDEN_SECONDS
from replicator.reconciliation import ReconcileRequest
from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack, Statement

DAY = 86400


def queue_statements(stack: Stack, queue: str) -> list[Statement]:
    """Give the statements of the policies of a queue, which its URL names."""
    found: list[Statement] = []
    for policy in stack.of_type("AWS::SQS::QueuePolicy").values():
        if queue in policy["Queues"]:
            found += stacks.statements(policy["PolicyDocument"])
    return found


def queues(stack: Stack) -> dict[str, dict[str, Any]]:
    """Give the properties of each queue of a stack by its ARN, with its URL among them."""
    prefix = f"https://sqs.{stack.region}.amazonaws.com/{stack.account}/"
    made = stack.of_type("AWS::SQS::Queue").items()
    return {stack.arn(name): its | {"Url": prefix + its["QueueName"]} for name, its in made}


def forwarding(stack: Stack) -> dict[str, dict[str, Any]]:
    """Give the rules that forward events. What a schedule misses, the next time makes good."""
    rules = stack.of_type("AWS::Events::Rule").items()
    return {name: rule for name, rule in rules if "EventPattern" in rule}


def test_whatever_a_rule_delivers_to_lets_the_rule_in(hub: Stack, spoke: Stack) -> None:
    seen = 0
    for stack in (hub, spoke):
        for name, rule in forwarding(stack).items():
            for target in rule["Targets"]:
                ends = {target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")}
                for arn in ends & set(queues(stack)):
                    allows = [
                        each
                        for each in queue_statements(stack, queues(stack)[arn]["Url"])
                        if each.principal == {"Service": "events.amazonaws.com"}
                    ]
                    assert [each.actions for each in allows] == [("sqs:SendMessage",)]
                    assert allows[0].resources == (arn,)
                    assert allows[0].condition == {"ArnEquals": {"aws:SourceArn": stack.arn(name)}}
                    seen += 1
    assert seen == 3


def test_every_rule_for_events_has_a_dead_letter_queue_and_a_day_of_retries(hub: Stack, spoke: Stack) -> None:
    for stack in (hub, spoke):
        assert forwarding(stack)
        for rule in forwarding(stack).values():
            for target in rule["Targets"]:
                assert target["DeadLetterConfig"]["Arn"] in queues(stack)
                assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": DAY, "MaximumRetryAttempts": 185}


def test_queues_are_encrypted_and_refuse_plain_http(hub: Stack, spoke: Stack) -> None:
    for stack in (hub, spoke):
        for arn, queue in queues(stack).items():
            assert queue["SqsManagedSseEnabled"] is True
            assert "FifoQueue" not in queue, "EventBridge dead letters need a standard queue"
            denials = [each for each in queue_statements(stack, queue["Url"]) if each.effect == "Deny"]
            assert [(each.actions, each.resources, each.principal) for each in denials] == [
                (("sqs:*",), (arn,), "*")
            ]
            assert denials[0].condition == {"Bool": {"aws:SecureTransport": "false"}}


def test_nobody_but_the_rule_is_let_into_a_queue(hub: Stack, spoke: Stack) -> None:
    for stack in (hub, spoke):
        for queue in queues(stack).values():
            allows = [each for each in queue_statements(stack, queue["Url"]) if each.effect == "Allow"]
            assert [each.principal for each in allows] == [{"Service": "events.amazonaws.com"}]


def test_the_intake_queue_waits_and_gives_up_as_documented(hub: Stack) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times, five receives."""
    queue = hub.of_type("AWS::SQS::Queue")["IntakeQueue"]
    function = hub.of_type("AWS::Lambda::Function")["IntakeFunction"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == hub.arn("DeadLetterQueue")
    dead = hub.of_type("AWS::SQS::Queue")["DeadLetterQueue"]
    assert dead["MessageRetentionPeriod"] == 14 * DAY > queue["MessageRetentionPeriod"]
    assert dead["RedriveAllowPolicy"]["sourceQueueArns"] == [hub.arn("IntakeQueue")]
    redrive = hub.of_type("AWS::Lambda::Function")["RedriveFunction"]
    assert redrive["Timeout"] <= HIDDEN_SECONDS, "a letter must not come twice in one redrive"


def test_intake_answers_for_each_message(hub: Stack) -> None:
    (mapping,) = hub.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == hub.arn("IntakeQueue")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == 10
    assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 1000
    assert "FilterCriteria" not in mapping, "a filtered message is deleted, not refused"


@pytest.mark.parametrize(
    ("accounts", "organization", "principal", "condition"),
    [
        (stacks.SPOKE, "", {"AWS": [stacks.SPOKE]}, None),
        ("", "o-exampleorgid", "*", {"aws:PrincipalOrgID": "o-exampleorgid"}),
        (stacks.SPOKE, "o-exampleorgid", {"AWS": [stacks.SPOKE]}, {"aws:PrincipalOrgID": "o-exampleorgid"}),
    ],
)
def test_the_bus_takes_model_package_events_of_spokes_only(
    accounts: str, organization: str, principal: Any, condition: dict[str, str] | None
) -> None:
    hub = stacks.hub(SpokeAccounts=accounts, OrganizationId=organization)
    (policy,) = hub.of_type("AWS::Events::EventBusPolicy").values()
    only = stacks.Statement.read("bus", policy["Statement"])
    assert (only.effect, only.actions, only.resources) == ("Allow", ("events:PutEvents",), (hub.arn("Bus"),))
    assert only.principal == principal
    assert only.condition.get("StringEquals") == condition
    assert only.condition["ForAllValues:StringEquals"] == {
        "events:source": "aws.sagemaker",
        "events:detail-type": "SageMaker Model Package State Change",
    }


def test_nobody_being_a_spoke_is_refused() -> None:
    rules = stacks.hub_template()["Rules"]["SomebodyIsASpoke"]["Assertions"]
    assert rules[0]["Assert"] == {
        "Fn::Or": [
            {"Fn::Not": [{"Fn::Equals": [{"Ref": "OrganizationId"}, ""]}]},
            {"Fn::Not": [{"Fn::EachMemberEquals": [{"Ref": "SpokeAccounts"}, ""]}]},
        ]
    }


def test_what_came_in_is_kept_for_replay_and_what_went_out_is_not(hub: Stack) -> None:
    (archive,) = hub.of_type("AWS::Events::Archive").values()
    assert archive["SourceArn"] == hub.arn("Bus")
    assert archive["EventPattern"] == {"source": ["aws.sagemaker"]}


def test_the_bucket_is_hardened(hub: Stack) -> None:
    bucket = hub.of_type("AWS::S3::Bucket")["HubBucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": hub.arn("HubKey"),
    }
    cleanup, deleted = bucket["LifecycleConfiguration"]["Rules"]
    assert cleanup["Status"] == deleted["Status"] == "Enabled"
    assert cleanup["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert set(deleted) - {"Id", "Status"} == {"NoncurrentVersionExpiration", "ExpiredObjectDeleteMarker"}
    assert deleted["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert deleted["ExpiredObjectDeleteMarker"] is True
    for document in ("cost.md", "runbook.md"):
        assert "for 90 days" in (stacks.ROOT / "docs" / document).read_text(encoding="utf-8"), document
    (policy,) = hub.of_type("AWS::S3::BucketPolicy").values()
    tls, *_ = stacks.statements(policy["PolicyDocument"])
    assert (tls.effect, tls.principal, tls.actions) == ("Deny", "*", ("s3:*",))
    assert set(tls.resources) == {hub.arn("HubBucket"), f"{hub.arn('HubBucket')}/*"}
    assert tls.condition == {"Bool": {"aws:SecureTransport": "false"}}
    assert "LoggingConfiguration" not in bucket
    logged = stacks.hub(AccessLogBucket="our-logs").of_type("AWS::S3::Bucket")["HubBucket"]
    assert logged["LoggingConfiguration"] == {
        "DestinationBucketName": "our-logs",
        "LogFilePrefix": "registry-replicator/",
    }


@pytest.mark.parametrize("glass", ["", f"arn:aws:iam::{stacks.HUB}:role/glass"])
def test_artifacts_and_provenance_are_written_by_one_role_each(glass: str) -> None:
    hub = stacks.hub(BreakGlassRoleArn=glass)
    (policy,) = hub.of_type("AWS::S3::BucketPolicy").values()
    _, *denied = policy["PolicyDocument"]["Statement"]
    writers = {"models": hub.arn("S3CopyRole"), "provenance": hub.arn("RegisterRole")}
    assert denied == [
        {
            "Sid": each["Sid"],
            "Effect": "Deny",
            "Principal": "*",
            "NotAction": ["s3:GetObject*", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
            "Resource": f"{hub.arn('HubBucket')}/{folder}/*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [writer, *([glass] if glass else [])]}},
        }
        for each, (folder, writer) in zip(denied, writers.items(), strict=True)
    ]


def test_every_role_has_the_path_and_the_boundary_that_the_operator_gives() -> None:
    bound = f"arn:aws:iam::{stacks.HUB}:policy/ours"
    for make in (stacks.hub, stacks.spoke):
        for role in make().of_type("AWS::IAM::Role").values():
            assert role["Path"] == "/"
            assert "PermissionsBoundary" not in role
        for role in make(RolePath="/ml/", PermissionsBoundaryArn=bound).of_type("AWS::IAM::Role").values():
            assert (role["Path"], role["PermissionsBoundary"]) == ("/ml/", bound)


def test_the_ledger_is_safe(hub: Stack) -> None:
    ledger = hub.of_type("AWS::DynamoDB::Table")["Ledger"]
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["SSESpecification"] == {"SSEEnabled": True}
    assert ledger["BillingMode"] == "PAY_PER_REQUEST"
    assert ledger["KeySchema"] == [{"AttributeName": "source_arn", "KeyType": "HASH"}]
    assert "TimeToLiveSpecification" not in ledger, "what was mirrored is never forgotten"


def test_the_sweep_finds_what_is_unsettled(hub: Stack) -> None:
    (index,) = hub.of_type("AWS::DynamoDB::Table")["Ledger"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == UNSETTLED
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["unsettled", "claimed_at"]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_slots_are_kept_by_account(hub: Stack) -> None:
    spokes = hub.of_type("AWS::DynamoDB::Table")["Spokes"]
    assert spokes["KeySchema"] == [{"AttributeName": "account", "KeyType": "HASH"}]
    assert spokes["SSESpecification"] == {"SSEEnabled": True}
    assert spokes["BillingMode"] == "PAY_PER_REQUEST"


def test_a_first_deployment_that_fails_can_take_back_what_it_made(hub: Stack) -> None:
    """CloudFormation deletes even what is retained then, and cannot where deletion is protected."""
    for name, its in hub.resources.items():
        assert its.get("DeletionPolicy") in (None, "Delete", "RetainExceptOnCreate"), name
        assert not its["Properties"].get("DeletionProtectionEnabled"), name


@pytest.mark.parametrize("name", ["Ledger", "HubBucket", "HubKey"])
def test_what_holds_mirrors_outlives_the_stack(hub: Stack, name: str) -> None:
    assert hub.resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert hub.resources[name]["UpdateReplacePolicy"] == "Retain"


def test_the_key_rotates_and_is_nobody_elses(hub: Stack) -> None:
    keys = hub.of_type("AWS::KMS::Key")
    assert set(keys) == {"HubKey", "AlarmKey"}
    for key in keys.values():
        assert key["EnableKeyRotation"] is True
        root, *others = stacks.statements(key["KeyPolicy"])
        assert root.principal == {"AWS": f"arn:aws:iam::{stacks.HUB}:root"}
        assert len(others) == (key is keys["AlarmKey"])
    _, alarms = stacks.statements(keys["AlarmKey"]["KeyPolicy"])
    assert alarms.principal == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms.condition == {"StringEquals": {"aws:SourceAccount": stacks.HUB}}


@pytest.mark.parametrize(
    "parameters", [{"ConsumerAccounts": stacks.SPOKE}, {"ConsumerOrganizationId": "o-exampleorgid"}]
)
def test_consumers_decrypt_artifacts_images_and_model_cards_and_nothing_else(
    parameters: dict[str, str],
) -> None:
    key = stacks.hub(**parameters).of_type("AWS::KMS::Key")["HubKey"]
    *_, consumers = stacks.statements(key["KeyPolicy"])
    assert consumers.actions == ("kms:Decrypt", "kms:DescribeKey")
    services = [f"{service}.*.amazonaws.com" for service in ("s3", "ecr", "sagemaker")]
    assert consumers.condition["StringLike"] == {"kms:ViaService": services}


def test_alarms_reach_the_topic_that_the_operator_chose() -> None:
    own = stacks.hub(AlarmEmail="ml@example.com")
    (topic,) = own.of_type("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == "key-of-AlarmKey"
    (subscription,) = own.of_type("AWS::SNS::Subscription").values()
    assert subscription["Endpoint"] == "ml@example.com"
    given = "arn:aws:sns:eu-west-1:999999999999:platform"
    other = stacks.hub(AlarmTopicArn=given, AlarmEmail="ml@example.com")
    assert not other.of_type("AWS::SNS::Topic") | other.of_type("AWS::SNS::Subscription")
    for stack, arn in (
        (own, f"arn:aws:sns:eu-west-1:{stacks.HUB}:registry-replicator-alarms"),
        (other, given),
    ):
        alarms = stack.of_type("AWS::CloudWatch::Alarm")
        assert all(alarm["AlarmActions"] == alarm["OKActions"] == [arn] for alarm in alarms.values())


def test_every_dead_letter_queue_has_an_alarm(hub: Stack, spoke: Stack) -> None:
    for stack in (hub, spoke):
        watched = {
            alarm["Dimensions"][0]["Value"]
            for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        }
        dead = {
            target["DeadLetterConfig"]["Arn"].rpartition(":")[2]
            for rule in forwarding(stack).values()
            for target in rule["Targets"]
            if "DeadLetterConfig" in target
        }
        assert dead <= watched


def test_the_sweep_comes_every_quarter_of_an_hour(hub: Stack) -> None:
    rules = hub.of_type("AWS::Events::Rule")
    (name,) = [name for name, its in rules.items() if its["Name"] == "registry-replicator-sweep"]
    assert rules[name]["ScheduleExpression"] == "rate(15 minutes)"
    (target,) = rules[name]["Targets"]
    assert target["Arn"] == hub.arn("SweepFunction")
    (permission,) = hub.of_type("AWS::Lambda::Permission").values()
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == hub.arn(name)
    # A sweep ends before the next begins.
    assert hub.of_type("AWS::Lambda::Function")["SweepFunction"]["Timeout"] < 900


def test_everything_is_reconciled_once_a_day(hub: Stack) -> None:
    rule = hub.of_type("AWS::Events::Rule")["ReconcileSchedule"]
    assert rule["ScheduleExpression"] == "cron(17 3 * * ? *)"
    (target,) = rule["Targets"]
    assert target["Arn"] == hub.outputs["ReconcileStateMachineArn"]
    assert ReconcileRequest.model_validate_json(target["Input"]) == ReconcileRequest(mode="reconcile")
    role = hub.of_type("AWS::IAM::Role")["ReconcileScheduleRole"]
    assert target["RoleArn"].endswith(role["RoleName"])
    (trust,) = stacks.statements(role["AssumeRolePolicyDocument"])
    assert trust.principal == {"Service": "events.amazonaws.com"}
    assert trust.condition["ArnEquals"] == {"aws:SourceArn": hub.arn("ReconcileSchedule")}
