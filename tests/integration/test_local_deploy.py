"""The shipped templates, as they come out in the local AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.deploy import delete, deploy
from local.resources import ExistsError
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.landscape import Landscape
    from local.server import LocalAws

ACCOUNT = "333333333351"

TINY = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Colour: { Type: String, Default: green }
  Name: { Type: String }
Resources:
  Bus:
    Type: AWS::Events::EventBus
    Properties: { Name: !Sub "${Name}-bus" }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { source: [x] }
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: { ContentUri: shared/ }
    Metadata: { BuildMethod: python3.13 }
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Ref Name
      Runtime: python3.13
      Handler: main.handler
      CodeUri: code/
      Layers: [!Ref Shared]
      Environment: { Variables: { COLOUR: !Ref Colour } }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.yaml
      DefinitionSubstitutions: { Function: !GetAtt Function.Arn }
      Policies: [{ LambdaInvokePolicy: { FunctionName: !Ref Function } }]
Outputs:
  Machine: { Value: !Ref Machine }
"""
MACHINE = """
StartAt: Call
States:
  Call:
    Type: Task
    Resource: ${Function}
    Parameters: { "name.$": $$.Execution.Name }
    End: true
"""

POLICY = """
Parameters:
  Bucket: { Type: String }
  Denied: { Type: String, Default: "s3:DeleteObject" }
Resources:
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - { Effect: Deny, Principal: "*", Action: !Ref Denied, Resource: !Sub "arn:aws:s3:::${Bucket}/*" }
"""


def denying(bucket: str, action: str) -> dict[str, Any]:
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text(
        "import os, shared_things\n"
        "def handler(event, context):\n"
        "    return [event['name'], os.environ['COLOUR'], shared_things.ANSWER]\n"
    )
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/shared_things.py").write_text("ANSWER = 42\n")
    (tmp_path / "machine.asl.yaml").write_text(MACHINE)
    (tmp_path / "template.yaml").write_text(TINY)
    return tmp_path / "template.yaml"


def run(aws: LocalAws, machine: str, name: str) -> Any:
    states = aws.client("stepfunctions", ACCOUNT)
    execution = states.start_execution(stateMachineArn=machine, name=name)["executionArn"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    found = wait_for(ended) or {}
    assert found["status"] == "SUCCEEDED", found
    return json.loads(found["output"])


def test_a_stack_is_created_updated_and_deleted(
    local_aws: LocalAws, fresh: Callable[[str], str], tiny: Path
) -> None:
    name = fresh("tiny")
    stack = deploy(local_aws, ACCOUNT, tiny, {"Name": name}, stack_name=name)
    assert stack.missing == ()
    assert run(local_aws, stack.outputs["Machine"], "one") == ["one", "green", 42]
    (tiny.parent / "shared/shared_things.py").write_text("ANSWER = 43\n")
    again = deploy(local_aws, ACCOUNT, tiny, {"Name": name, "Colour": "blue"}, stack_name=name)
    assert run(local_aws, again.outputs["Machine"], "two") == ["two", "blue", 43]
    delete(local_aws, ACCOUNT, name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        local_aws.client("lambda", ACCOUNT).get_function(FunctionName=name)


def test_no_value_leaves_a_list(local_aws: LocalAws, fresh: Callable[[str], str], tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html"""
    name, template = fresh("role"), tmp_path / "role.yaml"
    allow = "{ Effect: Allow, Action: 's3:GetObject', Resource: '*' }"
    template.write_text(
        f"""
Conditions: {{ Never: !Equals [a, b] }}
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      RoleName: {name}
      AssumeRolePolicyDocument: {{ Version: "2012-10-17", Statement: [] }}
      Policies:
        - PolicyName: p
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{allow}, !If [Never, {allow}, !Ref "AWS::NoValue"]]
  Q:
    Type: AWS::SQS::Queue
  P:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Q]
      PolicyDocument:
        Statement:
          - !If [Never, {allow}, !Ref "AWS::NoValue"]
          - {{ Effect: Deny, Action: "sqs:PurgeQueue", Principal: "*" }}
"""
    )
    stack = deploy(local_aws, ACCOUNT, template, stack_name=name)
    found = local_aws.client("iam", ACCOUNT).get_role_policy(RoleName=name, PolicyName="p")
    assert len(found["PolicyDocument"]["Statement"]) == 1
    queue = {"QueueUrl": stack.resources["Q"], "AttributeNames": ["Policy"]}
    policy = local_aws.client("sqs", ACCOUNT).get_queue_attributes(**queue)["Attributes"]["Policy"]
    assert len(json.loads(policy)["Statement"]) == 1


def test_what_is_missing_is_said(local_aws: LocalAws, fresh: Callable[[str], str], tmp_path: Path) -> None:
    template = tmp_path / "odd.yaml"
    template.write_text(
        "Resources:\n  Q: { Type: AWS::SQS::Queue }\n  R: { Type: AWS::Chatbot::SlackChannelConfiguration }\n"
    )
    stack = deploy(local_aws, ACCOUNT, template, stack_name=fresh("odd"))
    assert stack.missing == ("R (AWS::Chatbot::SlackChannelConfiguration)",)


def test_a_bucket_keeps_the_policy_that_it_has(
    local_aws: LocalAws, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    """As CloudFormation has it: a policy that the stack did not write makes the stack fail."""
    s3 = local_aws.client("s3", ACCOUNT)
    template = tmp_path / "policy.yaml"
    template.write_text(POLICY)
    taken, free = fresh("taken"), fresh("free")
    for bucket in (taken, free):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": local_aws.region})
    s3.put_bucket_policy(Bucket=taken, Policy=json.dumps(denying(taken, "s3:PutObject")))
    with pytest.raises(ExistsError, match=f"The bucket policy already exists on bucket {taken}"):
        deploy(local_aws, ACCOUNT, template, {"Bucket": taken}, stack_name=taken)
    assert json.loads(s3.get_bucket_policy(Bucket=taken)["Policy"]) == denying(taken, "s3:PutObject")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        deploy(local_aws, ACCOUNT, template, {"Bucket": "not-there"}, stack_name=fresh("none"))
    for action in ("s3:DeleteObject", "s3:PutObject"):
        deploy(local_aws, ACCOUNT, template, {"Bucket": free, "Denied": action}, stack_name=free)
        assert json.loads(s3.get_bucket_policy(Bucket=free)["Policy"]) == denying(free, action)


def test_nothing_of_the_shipped_templates_is_missing(deployment: Landscape) -> None:
    assert deployment.hub.missing == ()
    assert [spoke.missing for spoke in deployment.spokes.values()] == [(), ()]


def test_the_hubs_bucket_is_as_the_template_says(deployment: Landscape) -> None:
    s3, bucket = deployment.aws.client("s3", HUB), deployment.hub.outputs["BucketName"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == deployment.hub.outputs["KeyArn"]
    ownership = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
    (deleted,) = [rule for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert deleted["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    assert deleted["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


def test_policies_are_where_the_template_puts_them(deployment: Landscape) -> None:
    events, sqs = deployment.aws.client("events", HUB), deployment.aws.client("sqs", HUB)
    bus = deployment.hub.outputs["BusArn"].rpartition("/")[2]
    statements = json.loads(events.describe_event_bus(Name=bus)["Policy"])["Statement"]
    assert statements[0]["Principal"] == {"AWS": [SPOKE_A, SPOKE_B]}
    for output in ("IntakeQueueUrl", "DeadLetterQueueUrl"):
        url = deployment.hub.outputs[output]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
        assert "events.amazonaws.com" in attributes["Policy"]


def test_functions_have_their_layer_and_the_machine_its_functions(deployment: Landscape) -> None:
    functions = deployment.aws.client("lambda", HUB).list_functions()["Functions"]
    shipped = [f for f in functions if f["FunctionName"].startswith("registry-replicator-")]
    assert len(shipped) >= 7
    assert all("registry-replicator-core" in f["Layers"][0]["Arn"] for f in shipped)
    machine = deployment.aws.client("stepfunctions", HUB).describe_state_machine(
        stateMachineArn=deployment.hub.outputs["StateMachineArn"]
    )
    assert "FunctionArn}" not in machine["definition"]
    assert f"function:{shipped[0]['FunctionName'].rpartition('-')[0][:19]}" in machine["definition"]
    assert "$$.Map.Item.Value" in machine["definition"]


def test_the_ledger_can_be_recovered(deployment: Landscape) -> None:
    found = deployment.aws.client("dynamodb", HUB).describe_continuous_backups(
        TableName=deployment.hub.outputs["LedgerTable"]
    )["ContinuousBackupsDescription"]
    assert found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
