"""The local AWS as a server: accounts, credentials, isolation from the developer's own AWS, faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from local.__main__ import write_profiles
from local.landscape import HUB, ROOT
from local.server import LocalAws
from tests.integration.conftest import make_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE, OTHER = "333333333341", "333333333342"


def test_a_client_is_in_its_account(local_aws: LocalAws) -> None:
    assert local_aws.client("sts", ONE).get_caller_identity()["Account"] == ONE
    assert local_aws.client("sts", OTHER).get_caller_identity()["Account"] == OTHER


def test_accounts_do_not_see_each_other(local_aws: LocalAws, fresh: Callable[[str], str]) -> None:
    name = fresh("queue")
    local_aws.client("sqs", ONE).create_queue(QueueName=name)
    with pytest.raises(ClientError, match="NonExistentQueue"):
        local_aws.client("sqs", OTHER).get_queue_url(QueueName=name)


def test_a_session_of_a_role_has_the_rights_of_the_role(local_aws: LocalAws) -> None:
    role = make_role(local_aws, ONE, "lambda.amazonaws.com", ["sqs:ListQueues"])
    local_aws.session(ONE, role).client("sqs").list_queues()
    with pytest.raises(ClientError, match="AccessDenied"):
        local_aws.session(ONE, role).client("s3").list_buckets()


def test_assuming_a_role_asks_its_trust_policy(local_aws: LocalAws) -> None:
    role = make_role(local_aws, OTHER, "lambda.amazonaws.com", [])
    with pytest.raises(ClientError, match="AccessDenied"):
        local_aws.client("sts", ONE).assume_role(RoleArn=role, RoleSessionName="test")


def test_nothing_of_the_developers_is_read(
    local_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a profile that does not exist nor another endpoint in the environment matters."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-west-2\nendpoint_url = http://127.0.0.1:1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    session = local_aws.session("333333333343")
    assert session.region_name == local_aws.region
    assert session.client("sts").get_caller_identity()["Account"] == "333333333343"
    assert session.resource("s3").meta.client.meta.endpoint_url == local_aws.endpoint


def test_the_environment_is_enough_for_another_process(local_aws: LocalAws) -> None:
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {"PATH": os.environ["PATH"], **local_aws.environment(ONE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (ONE, "")


def test_the_profiles_for_the_cli(
    local_aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(write_profiles(local_aws, tmp_path / "aws-config")))
    found = {
        profile: boto3.Session(profile_name=profile).client("sts").get_caller_identity()["Account"]
        for profile in ("hub", "spoke-a", "spoke-b")
    }
    assert found == {"hub": HUB, "spoke-a": "111111111111", "spoke-b": "222222222222"}


def test_what_moto_does_not_implement_is_an_error_of_aws(local_aws: LocalAws) -> None:
    """An SDK can read it, and it says what is missing."""
    with pytest.raises(ClientError) as failed:
        local_aws.client("ecr", ONE).describe_image_replication_status(
            repositoryName="aaa", imageId={"imageTag": "b"}
        )
    assert failed.value.response["Error"]["Code"] in (
        "NotImplemented",
        "AccessDeniedException",
        "InternalFailure",
    )


def test_there_is_one_at_a_time(local_aws: LocalAws) -> None:
    with pytest.raises(RuntimeError, match="running in this process already"), LocalAws():
        pass


def test_reset_forgets_everything_and_goes_on() -> None:
    """In a process of its own, because moto's state is one for the process."""
    code = """
from local.server import LocalAws
with LocalAws() as aws:
    aws.client("sqs", "333333333341").create_queue(QueueName="q")
    aws.reset()
    assert "QueueUrls" not in aws.client("sqs", "333333333341").list_queues()
    assert aws.client("sts", "333333333341").get_caller_identity()["Account"] == "333333333341"
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr


def test_leaving_gives_moto_back_as_it_was() -> None:
    code = """
from moto.events.models import Rule
from moto.sqs.models import Queue, SQSBackend
from moto.sqs.responses import SQSResponse
before = Rule.send_to_targets, Queue.delete_message, SQSBackend.receive_message
from local.server import LocalAws
with LocalAws() as aws:
    port = aws.port
assert before == (Rule.send_to_targets, Queue.delete_message, SQSBackend.receive_message)
assert not hasattr(SQSResponse, "start_message_move_task")
assert not hasattr(Queue, "lambda_event_source_mappings")
with LocalAws(port=port) as aws:
    assert aws.port == port
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr


def test_model_packages_are_announced(local_aws: LocalAws, fresh: Callable[[str], str]) -> None:
    """SageMaker emits to the account's default bus; a rule there sees it as the documentation shows it."""
    events, sqs = local_aws.client("events", ONE), local_aws.client("sqs", ONE)
    url = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    arn = f"arn:aws:sqs:{local_aws.region}:{ONE}:{url.rpartition('/')[2]}"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})}
    )
    rule, group = fresh("rule"), fresh("group")
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelPackageGroupName": [group]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    sagemaker = local_aws.client("sagemaker", ONE)
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    made = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [
                {"Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1"}
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "SageMaker Model Package State Change"
    assert (event["account"], event["resources"]) == (ONE, [made])
