"""What a template asks for and moto's CloudFormation leaves out, done with ordinary API calls.

moto makes the resource but ignores settings of it (a bucket's versioning, for example), or does not know
the type at all (policies on buses, queues and buckets). Intrinsic functions are resolved by moto.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from moto.awslambda.models import LayerVersion
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Stack, cloudformation_backends
from moto.cloudformation.parsing import get_model_map
from moto.core.exceptions import JsonRESTError
from moto.events.models import Archive, EventBus, events_backends
from moto.events.models import Rule as MotoRule

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

    Client = Callable[[str], Any]
    Applier = Callable[[Client, dict[str, Any]], None]


RULES: tuple[Rule, ...] = (
    Rule(
        "cloudformation-keeps-bucket-policy",
        "A stack fails on a bucket that has a policy which the stack did not write; the policy stays.",
        Evidence.RECORDED,
        "cloudformation/bucket-policy.json",
    ),
    Rule(
        "cloudformation-no-value-in-lists",
        "AWS::NoValue in a list leaves the entry out.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html",
    ),
)


class ExistsError(Exception):
    """What a stack is to make is there already and is not its own, in CloudFormation's words."""


_moto_create_rule = MotoRule.create_from_cloudformation_json.__func__
_moto_clean_json = parsing.clean_json
_moto_parse_template = Stack.parse_template


def install(aws: LocalAws) -> None:
    """Let ``Ref`` work for what moto gives no physical id, and keep moto from warning of what is done here."""
    aws.patch(EventBus, "physical_resource_id", property(lambda bus: bus.name))
    aws.patch(Archive, "physical_resource_id", property(lambda archive: archive.name))
    aws.patch(LayerVersion, "physical_resource_id", property(lambda layer: layer.arn))
    aws.patch(MotoRule, "create_from_cloudformation_json", classmethod(_create_rule))
    aws.patch(parsing, "clean_json", _clean_json)
    aws.patch(Stack, "parse_template", staticmethod(_parse_template))
    aws.patch(LayerVersion, "cloudformation_name_type", staticmethod(lambda: "LayerName"))
    aws.patch(parsing, "warnings", SimpleNamespace(warn=lambda *args, **kwargs: None))
    aws.patch(parsing, "NULL_MODELS", [*parsing.NULL_MODELS, *(_APPLIERS.keys() - get_model_map().keys())])


def complete(aws: LocalAws, account: str, stack_name: str, template: dict[str, Any]) -> tuple[str, ...]:
    """Do what is left to do after CloudFormation; give what could not be done, as ``LogicalId (type)``.

    Parameters
    ----------
    template
        After the SAM transform.
    """
    stack = cloudformation_backends[account][aws.region].get_stack(stack_name)
    conditions = stack.resource_map.lazy_condition_map
    missing = []
    for name, resource in template["Resources"].items():
        kind = resource["Type"]
        if "Condition" in resource and not conditions[resource["Condition"]]:
            continue
        if apply := _APPLIERS.get(kind):
            properties = parsing.clean_json(resource.get("Properties", {}), stack.resource_map)
            if named := _NAMES.get(kind):  # a name that CloudFormation made up
                made = stack.resource_map[name].physical_resource_id
                properties = {**properties, named: properties.get(named) or made}
            if kind == "AWS::S3::BucketPolicy":
                _keep_from_replacing(aws.client("s3", account), stack, properties["Bucket"])
            apply(lambda service: aws.client(service, account), properties)
        elif kind not in get_model_map():
            missing.append(f"{name} ({kind})")
    return tuple(missing)


def _keep_from_replacing(s3: Any, stack: Stack, bucket: str) -> None:
    """Refuse a bucket with a policy that the stack did not write; it may write its own again.

    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1068
    """
    own: set[str] = vars(stack).setdefault("bucket_policies", set())
    if bucket in own:
        return
    try:
        s3.get_bucket_policy(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
    else:
        raise ExistsError(f"The bucket policy already exists on bucket {bucket}.")
    own.add(bucket)


def _create_rule(
    cls: type[MotoRule],
    /,
    resource_name: str,
    cloudformation_json: dict[str, Any],
    account_id: str,
    region_name: str,
    **others: Any,
) -> MotoRule:
    """Make a rule. When EventBridge refuses its targets, take it back, and let CloudFormation say why."""
    try:
        rule: MotoRule = _moto_create_rule(
            cls, resource_name, cloudformation_json, account_id, region_name, **others
        )
    except JsonRESTError as error:
        bus = cloudformation_json["Properties"].get("EventBusName", "default")
        events_backends[account_id][region_name].delete_rule(resource_name, bus)
        raise ValidationError(message=error.message) from error
    return rule


def _parse_template(template: str) -> dict[str, Any]:
    """Read JSON as JSON. moto's YAML reader takes it too, but seconds for a template as large as the hub's."""
    parsed: dict[str, Any] = json.loads(template) if template[:1] == "{" else _moto_parse_template(template)
    return parsed


def _clean_json(node: Any, resources_map: Any) -> Any:
    """Resolve as moto does, and leave out of lists too what ``AWS::NoValue`` stands for.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
    """
    cleaned = _moto_clean_json(node, resources_map)
    if isinstance(node, list) and isinstance(cleaned, list):
        return [item for item in cleaned if item is not None]
    return cleaned


def _bus_policy(client: Client, properties: dict[str, Any]) -> None:
    given = properties.get("Statement") or {
        "Effect": "Allow",
        "Principal": properties["Principal"],
        "Action": properties["Action"],
    }
    bus = properties.get("EventBusName", "default")
    arn = client("events").describe_event_bus(Name=bus)["Arn"]
    statement = {"Resource": arn, **given, "Sid": properties["StatementId"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    client("events").put_permission(EventBusName=bus, Policy=json.dumps(policy))


def _queue_policy(client: Client, properties: dict[str, Any]) -> None:
    for url in properties["Queues"]:
        client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
        )


def _topic_policy(client: Client, properties: dict[str, Any]) -> None:
    for arn in properties["Topics"]:
        client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(properties["PolicyDocument"])
        )


def _bucket_policy(client: Client, properties: dict[str, Any]) -> None:
    client("s3").put_bucket_policy(
        Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"])
    )


def _bucket(client: Client, properties: dict[str, Any]) -> None:
    s3, bucket = client("s3"), properties["BucketName"]
    if versioning := properties.get("VersioningConfiguration"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
    if ownership := properties.get("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=ownership)
    if block := properties.get("PublicAccessBlockConfiguration"):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    if encryption := properties.get("BucketEncryption"):
        rules = [
            {
                **{key: value for key, value in rule.items() if key != "ServerSideEncryptionByDefault"},
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
            }
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Write a rule of CloudFormation as the API has it: another place for the id, the prefix and the marker."""
    renamed, marker = {"Id": "ID"}, "ExpiredObjectDeleteMarker"
    written = {renamed.get(key, key): value for key, value in rule.items() if key not in ("Prefix", marker)}
    if marker in rule:
        written["Expiration"] = {marker: rule[marker]}
    return {"Filter": {"Prefix": rule.get("Prefix", "")}, **written}


def _table(client: Client, properties: dict[str, Any]) -> None:
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        client("dynamodb").update_continuous_backups(
            TableName=properties["TableName"], PointInTimeRecoverySpecification=recovery
        )
    if expiry := properties.get("TimeToLiveSpecification"):
        client("dynamodb").update_time_to_live(
            TableName=properties["TableName"], TimeToLiveSpecification=expiry
        )


def _alarm(client: Client, properties: dict[str, Any]) -> None:
    client("cloudwatch").put_metric_alarm(**properties)


def _repository(client: Client, properties: dict[str, Any]) -> None:
    if policy := properties.get("RepositoryPolicyText"):
        client("ecr").set_repository_policy(
            repositoryName=properties["RepositoryName"], policyText=json.dumps(policy)
        )


def _function(client: Client, properties: dict[str, Any]) -> None:
    if layers := properties.get("Layers"):
        client("lambda").update_function_configuration(FunctionName=properties["FunctionName"], Layers=layers)


def _role(client: Client, properties: dict[str, Any]) -> None:
    """Write the inline policies as JSON; moto keeps objects and shows them as Python."""
    for policy in properties.get("Policies", []):
        client("iam").put_role_policy(
            RoleName=properties["RoleName"],
            PolicyName=policy["PolicyName"],
            # SAM's policy templates name no version, which AWS accepts and moto does not.
            PolicyDocument=json.dumps({"Version": "2012-10-17", **policy["PolicyDocument"]}),
        )


def _group(client: Client, properties: dict[str, Any]) -> None:
    client("sagemaker").create_model_package_group(**properties)


_APPLIERS: dict[str, Applier] = {
    "AWS::Events::EventBusPolicy": _bus_policy,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::S3::Bucket": _bucket,
    "AWS::DynamoDB::Table": _table,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::ECR::Repository": _repository,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::SageMaker::ModelPackageGroup": _group,
}

_NAMES = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
}
