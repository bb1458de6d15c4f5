"""Which permissions an operation needs: the actions, the ARNs they are on, and the condition keys.

Source: the service authorization reference, one page per service,
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Where an action has no resource type there, only ``"Resource": "*"`` grants it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.iam.policy import Access, PolicyError
from local.iam.s3_operations import Buckets, s3_accesses

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.iam.requests import Call

Needed = list[Access] | None


def accesses(call: Call, own: str, buckets: Buckets) -> tuple[list[Access], bool]:
    """Give the accesses that a call needs, every one of which must be allowed.

    Parameters
    ----------
    own
        Account of the caller: the resources that a request names without an account are there.

    Returns
    -------
    The accesses, and whether the operation is one whose permissions are known here.
    """
    if call.service == "s3":
        return s3_accesses(call, own, buckets)
    known = _SERVICES.get(call.service)
    needed = known(call, own) if known else None
    return needed or [], needed is not None


def _on(call: Call, resource: str, action: str | None = None, **context: str) -> Access:
    keys = {name.replace("__", ":"): value for name, value in context.items()}
    return Access(f"{call.service}:{action or call.operation}", resource, account_of(resource), keys)


def account_of(arn: str) -> str | None:
    """Give the account that an ARN names; None for ``*`` and ARNs without one."""
    parts = arn.split(":", 5)
    return (parts[4] or None) if len(parts) > 5 else None


def _named(call: Call, own: str, name: str, kind: str) -> str:
    """Give the ARN for what is given by name or by ARN already."""
    return name if name.startswith("arn:") else call.arn(own, f"{kind}{name}")


_BATCHED = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}


def _sqs(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html and, for the tasks,
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html
    if call.operation == "ListQueues":
        return [_on(call, "*")]
    if call.operation == "StartMessageMoveTask":
        source, destination = call.params.get("SourceArn", "*"), call.params.get("DestinationArn")
        names = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        moved = [_on(call, destination, "SendMessage")] if destination else []
        return [_on(call, source, name) for name in names] + moved
    if call.operation == "ListMessageMoveTasks":
        source = call.params.get("SourceArn", "*")
        return [_on(call, source, name) for name in (call.operation, "GetQueueAttributes")]
    if call.operation == "CancelMessageMoveTask":
        source = moved_from(call.params.get("TaskHandle", ""))
        names = (call.operation, "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        return [_on(call, source, name) for name in names]
    if "QueueUrl" in call.params:
        account, _, name = urlsplit(call.params["QueueUrl"]).path.strip("/").rpartition("/")
        queue = call.arn(account if account.isdigit() else own, name)
    elif "QueueName" in call.params:
        queue = call.arn(call.params.get("QueueOwnerAWSAccountId", own), call.params["QueueName"])
    else:
        return None
    return [_on(call, queue, _BATCHED.get(call.operation))]


def moved_from(task_handle: str) -> str:
    """Give the ARN of the queue that the handle of a message move task names: base64 of JSON. Else ``*``."""
    try:
        return str(json.loads(base64.b64decode(task_handle, validate=True))["sourceArn"])
    except (ValueError, KeyError, TypeError):
        return "*"


_TRANSACTED = {
    "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}  # fmt: skip


def _dynamodb(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    if call.operation in ("TransactWriteItems", "TransactGetItems"):
        return [
            _on(call, _named(call, own, item["TableName"], "table/"), _TRANSACTED[kind])
            for entry in call.params.get("TransactItems", [])
            for kind, item in entry.items()
        ]
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        return [_on(call, _named(call, own, name, "table/")) for name in call.params.get("RequestItems", {})]
    if call.operation in ("ListTables", "DescribeLimits", "DescribeEndpoints"):
        return [_on(call, "*")]
    if "TableName" not in call.params:
        return [_on(call, call.params["ResourceArn"])] if "ResourceArn" in call.params else None
    table = _named(call, own, call.params["TableName"], "table/")
    index = call.params.get("IndexName")
    return [_on(call, f"{table}/index/{index}" if index else table)]


def _states(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
    if call.operation in ("ListStateMachines", "ListActivities"):
        return [_on(call, "*")]
    if call.operation in ("CreateStateMachine",):
        return [_on(call, call.arn(own, f"stateMachine:{call.params.get('name', '')}"))]
    for member in ("executionArn", "stateMachineArn", "resourceArn"):
        if call.params.get(member):
            return [_on(call, call.params[member])]
    return None


def _events(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
    if call.operation == "PutEvents":
        return [_entry(call, own, entry) for entry in call.params.get("Entries", [])]
    if call.operation in ("ListEventBuses", "ListRuleNamesByTarget", "ListArchives", "TestEventPattern"):
        return [_on(call, "*")]
    bus = call.params.get("EventBusName") or "default"
    name = call.params.get("Rule") or call.params.get("Name")
    if call.operation in _RULE_OPERATIONS and name:
        if bus.startswith("arn:"):
            bus = bus.rpartition("/")[2]
        return [_on(call, call.arn(own, f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}"))]
    if call.operation in ("DescribeEventBus", "CreateEventBus", "DeleteEventBus", "PutPermission"):
        return [_on(call, _named(call, own, name or bus, "event-bus/"))]
    return None


_RULE_OPERATIONS = {
    "PutRule", "DescribeRule", "DeleteRule", "EnableRule", "DisableRule", "PutTargets", "RemoveTargets",
    "ListTargetsByRule",
}  # fmt: skip


def _entry(call: Call, own: str, entry: dict[str, Any]) -> Access:
    bus = _named(call, own, entry.get("EventBusName") or "default", "event-bus/")
    keys = {"events:source": entry.get("Source"), "events:detail-type": entry.get("DetailType")}
    context = {key: value for key, value in keys.items() if value is not None}
    return Access("events:PutEvents", bus, account_of(bus), context)


def _sagemaker(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
    params = call.params
    group = _named(call, own, params.get("ModelPackageGroupName") or "", "model-package-group/")
    if call.operation == "ListModelPackageGroups":
        return [_on(call, "*")]
    if call.operation == "ListModelPackages":
        every = call.arn(own, "model-package-group/*")
        return [_on(call, group if params.get("ModelPackageGroupName") else every)]
    tagged = [_on(call, group, "AddTags")] if params.get("Tags") else []
    if call.operation == "CreateModelPackageGroup":
        return [_on(call, group), *tagged]
    if call.operation in _GROUP_OPERATIONS:
        return [_on(call, group)]
    if call.operation == "CreateModelPackage":
        return _create_model_package(call, own, group)
    if call.operation in ("DescribeModelPackage", "UpdateModelPackage", "DeleteModelPackage"):
        name = params.get("ModelPackageName") or params.get("ModelPackageArn") or ""
        status = params.get("ModelApprovalStatus")
        keys = {"sagemaker__ModelApprovalStatus": status} if status else {}
        return [_on(call, _named(call, own, name, "model-package/"), **keys)]
    if call.operation in ("ListTags", "AddTags", "DeleteTags"):
        return [_on(call, params.get("ResourceArn", "*"))]
    return None


_GROUP_OPERATIONS = {
    "DescribeModelPackageGroup", "DeleteModelPackageGroup", "PutModelPackageGroupPolicy",
    "GetModelPackageGroupPolicy", "DeleteModelPackageGroupPolicy",
}  # fmt: skip


def _create_model_package(call: Call, own: str, group: str) -> Needed:
    """Both resource types are asked for: the reference names both, so a policy had better grant both."""
    status = call.params.get("ModelApprovalStatus")
    keys = {"sagemaker__ModelApprovalStatus": status} if status else {}
    name = call.params.get("ModelPackageName")
    if not call.params.get("ModelPackageGroupName"):
        return [_on(call, call.arn(own, f"model-package/{name}"), **keys)]
    # The number is not known yet; any will do, as policies cannot know it either.
    version = group.replace(":model-package-group/", ":model-package/") + "/1"
    return [_on(call, version, **keys), _on(call, group, **keys)]


_REGISTRY_OPERATIONS = {
    "GetAuthorizationToken", "DescribeRegistry", "PutReplicationConfiguration", "GetRegistryPolicy",
    "PutRegistryPolicy",
}  # fmt: skip


def _ecr(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
    if call.operation in _REGISTRY_OPERATIONS:
        return [_on(call, "*")]
    if "resourceArn" in call.params:
        return [_on(call, call.params["resourceArn"])]
    account = call.params.get("registryId") or own
    name = call.params.get("repositoryName")
    if name or call.operation == "DescribeRepositories":
        names = [name] if name else call.params.get("repositoryNames") or ["*"]
        needed = [_on(call, call.arn(account, f"repository/{each}")) for each in names]
        if call.operation == "CreateRepository" and call.params.get("tags"):
            needed.append(_on(call, call.arn(account, f"repository/{name}"), "TagResource"))
        return needed
    return None


def _lambda(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    name = call.params.get("FunctionName")
    if call.operation == "ListFunctions":
        return [_on(call, "*")]
    if not name:
        return None
    if name.count(":") == 2:  # <account>:function:<name>
        own, _, name = name.split(":")
    action = "InvokeFunction" if call.operation in ("Invoke", "InvokeAsync") else call.operation
    return [_on(call, _named(call, own, name, "function:"), action)]


def _sts(call: Call, own: str) -> Needed:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
    if call.operation == "GetCallerIdentity":  # always allowed, even against an explicit deny
        return []
    if call.operation != "AssumeRole":
        return None
    if "PolicyArns.member.1.arn" in call.params:
        raise PolicyError("managed session policies (PolicyArns) are not evaluated; pass Policy")
    role = call.params.get("RoleArn", "")
    context = assume_role_context(call)
    actions = ["AssumeRole"]
    if session_tags(call):  # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
        actions.append("TagSession")
    if call.params.get("SourceIdentity"):
        actions.append("SetSourceIdentity")
    return [Access(f"sts:{action}", role, account_of(role), context) for action in actions]


def session_tags(call: Call) -> dict[str, str]:
    """Give the session tags that an AssumeRole request passes."""
    tags, number = {}, 1
    while (key := call.params.get(f"Tags.member.{number}.Key")) is not None:
        tags[key] = call.params.get(f"Tags.member.{number}.Value", "")
        number += 1
    return tags


def transitive_keys(call: Call) -> tuple[str, ...]:
    """Give the keys of the session tags that an AssumeRole request makes transitive."""
    prefix = "TransitiveTagKeys.member."
    return tuple(value for name, value in sorted(call.params.items()) if name.startswith(prefix))


def assume_role_context(call: Call) -> dict[str, str | tuple[str, ...]]:
    """Give the condition keys of AssumeRole.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """
    names = {
        "sts:RoleSessionName": "RoleSessionName",
        "sts:ExternalId": "ExternalId",
        "sts:SourceIdentity": "SourceIdentity",
    }
    context: dict[str, str | tuple[str, ...]] = {
        key: call.params[member] for key, member in names.items() if call.params.get(member)
    }
    tags = session_tags(call)
    context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = tuple(tags)
    if keys := transitive_keys(call):
        context["sts:TransitiveTagKeys"] = keys
    return context


_SERVICES: dict[str, Callable[[Call, str], Needed]] = {
    "dynamodb": _dynamodb,
    "ecr": _ecr,
    "events": _events,
    "lambda": _lambda,
    "sagemaker": _sagemaker,
    "sqs": _sqs,
    "states": _states,
    "sts": _sts,
}
