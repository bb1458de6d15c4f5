"""Claims about EventBridge and SQS: a bus in the hub, a rule in each account, queues, one role."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.real_checks.checks import Check, check, expect, refused
from tools.real_checks.world import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.real_checks.world import Side, World

_GUIDE = "https://docs.aws.amazon.com/eventbridge/latest/userguide/"
_SAGEMAKER = "https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"
_KIND = "SageMaker Model Package State Change"
_EVENTS = "layers/core/replicator/events.py"


@dataclass(frozen=True)
class Path:
    """The path of an event from the spoke to the hub, and a queue in the spoke that gets the same event."""

    world: World
    hub_queue: str
    spoke_queue: str

    def next(
        self,
        side: Side,
        arn: str,
        wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
        seconds: float | None = None,
    ) -> dict[str, Any] | None:
        """Give the next event about a version that is wanted; None after a while without one.

        SageMaker may send several events for one change, and late ones about other versions.
        """
        url = self.hub_queue if side is self.world.hub else self.spoke_queue
        deadline = time.monotonic() + (self.world.quiet if seconds is None else seconds)
        while True:
            for message in self.world.receive(side, url):
                event = dict(json.loads(message["Body"]))
                about = str(event.get("detail", {}).get("ModelPackageArn"))
                if about.lower() == arn.lower() and wanted(event):
                    return event
            if time.monotonic() > deadline:
                return None
            time.sleep(0.2)

    def after(self, arn: str, change: Callable[[], object]) -> str:
        """Wait until nothing more comes about a version, change it, and tell what comes then."""
        while self.next(self.world.hub, arn):
            pass
        change()
        event = self.next(self.world.hub, arn)
        return expect(event is None, json.dumps(event) if event else f"nothing in {self.world.quiet:g} s")


def _rule(world: World, side: Side, bus: str, targets: list[dict[str, Any]]) -> str:
    events, name = side.client("events"), f"{world.prefix}-{side.name}"
    pattern = {"source": ["aws.sagemaker"], "detail-type": [_KIND]}
    pattern |= {"detail": {"ModelPackageGroupName": [{"prefix": world.prefix}]}}  # type: ignore[dict-item]
    arn = events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
    world.finally_delete(f"rule {name}", lambda: events.delete_rule(Name=name, EventBusName=bus))
    events.put_targets(Rule=name, EventBusName=bus, Targets=targets)
    ids = [target["Id"] for target in targets]
    world.finally_delete(
        f"targets of {name}", lambda: events.remove_targets(Rule=name, EventBusName=bus, Ids=ids)
    )
    return str(arn)


def _queue(world: World, side: Side) -> tuple[str, str]:
    url, arn = world.queue(side, f"events-{side.name}")
    statement = {
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{side.region}:{side.account}:rule/*"}},
    }
    side.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    return url, arn


def path(world: World) -> Path:
    """Build the path once, with the bus policy and the forwarding role of the templates, and see it work."""
    if found := world.shared.get("path"):
        return found  # type: ignore[no-any-return]
    events, bus = world.hub.client("events"), world.prefix
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    world.finally_delete(f"event bus {bus}", lambda: events.delete_event_bus(Name=bus))
    admitted = {
        "Sid": "Spoke",
        "Principal": {"AWS": f"arn:aws:iam::{world.spoke.account}:root"},
        "Action": "events:PutEvents",
        "Resource": bus_arn,
        "Condition": {
            "ForAllValues:StringEquals": {"events:source": "aws.sagemaker", "events:detail-type": _KIND}
        },
    }
    events.put_permission(EventBusName=bus, Policy=document(admitted))
    hub_url, hub_arn = _queue(world, world.hub)
    spoke_url, spoke_arn = _queue(world, world.spoke)
    trust = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = world.role(world.spoke, "forward", trust, {"Action": "events:PutEvents", "Resource": bus_arn})
    _rule(world, world.hub, bus, [{"Id": "queue", "Arn": hub_arn}])
    forward = [{"Id": "hub", "Arn": bus_arn, "RoleArn": role}, {"Id": "queue", "Arn": spoke_arn}]
    _rule(world, world.spoke, "default", forward)
    made = Path(world, hub_url, spoke_url)
    arn = world.register()
    # Rules, policies and roles take effect a while after they are made.

    def arrived() -> dict[str, Any] | None:
        world.update(arn, CustomerMetadataProperties={"touched": str(time.time_ns())})
        return made.next(world.hub, arn, seconds=min(5, world.quiet))

    world.until(arrived, "event in the hub")
    world.shared["path"] = made
    return made


@check(
    "envelope",
    "Across buses an event keeps id, account, time, region, resources and detail.",
    source=f"{_GUIDE}eb-cross-account.html; universally relied on",
    relies=_EVENTS,
    makes="a bus, a queue and a rule in the hub; a queue, a rule and a role in the spoke",
)
def envelope(world: World) -> str:
    """Compare what arrives in the hub with what arrives in the spoke."""
    way, arn = path(world), world.register()
    spoke = way.next(world.spoke, arn) or {}
    hub = way.next(world.hub, arn, lambda event: event["id"] == spoke.get("id")) or {}
    expect(spoke and hub, f"arrived in the spoke: {bool(spoke)}, in the hub with the same id: {bool(hub)}")
    members = ("account", "time", "region", "resources", "source", "detail-type", "detail")
    differ = [name for name in members if spoke.get(name) != hub.get(name)]
    seen = {name: hub.get(name) for name in ("account", "time", "region", "resources")}
    right = not differ and hub["account"] == world.spoke.account
    return expect(right, f"differ: {differ or 'none'}; {json.dumps(seen)}")


@check(
    "put-targets",
    "A bus of another account becomes the target of a rule only when its policy admits the rule's account.",
    source="aws/aws-cdk#3323; ministryofjustice/modernisation-platform-environments#19002",
    relies="docs/deploy.md",
    makes="a bus in the hub; a rule and a role in the spoke",
)
def put_targets(world: World) -> str:
    """Name the bus as a target before its policy admits the spoke, and again when it does."""
    hub, spoke = world.hub.client("events"), world.spoke.client("events")
    name = f"{world.prefix}-targets"
    arn = hub.create_event_bus(Name=name)["EventBusArn"]
    world.finally_delete(f"event bus {name}", lambda: hub.delete_event_bus(Name=name))
    trust = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = world.role(world.spoke, "targets", trust, {"Action": "events:PutEvents", "Resource": arn})
    spoke.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    world.finally_delete(f"rule {name}", lambda: spoke.delete_rule(Name=name))
    target: dict[str, Any] = {"Rule": name, "Targets": [{"Id": "hub", "Arn": arn, "RoleArn": role}]}
    before = refused(spoke.put_targets, "AccessDeniedException", **target)
    admitted = {
        "Principal": {"AWS": f"arn:aws:iam::{world.spoke.account}:root"},
        "Action": "events:PutEvents",
        "Resource": arn,
    }
    hub.put_permission(EventBusName=name, Policy=document({"Sid": "Spoke", **admitted}))
    world.until(lambda: {"answer": spoke.put_targets(**target)}, "target of the rule")
    world.finally_delete(f"targets of {name}", lambda: spoke.remove_targets(Rule=name, Ids=["hub"]))
    return f"before: {before}; after the bus admits: taken"


@check(
    "updated-fields",
    "The event of an update names what changed in UpdatedModelPackageFields.",
    source=_SAGEMAKER,
    relies="local/sagemaker/events.py",
    makes="1 version",
)
def updated_fields(world: World) -> str:
    """Approve with a description."""
    way, arn = path(world), world.register()
    world.update(arn, ModelApprovalStatus="Approved", ApprovalDescription="checked")
    event = way.next(world.hub, arn, lambda e: e["detail"].get("ModelApprovalStatus") == "Approved") or {}
    fields = event.get("detail", {}).get("UpdatedModelPackageFields", [])
    return expect({"ModelApprovalStatus", "ApprovalDescription"} <= set(fields), json.dumps(fields))


@check(
    "event-members",
    "The event holds no model card, no additional specification and no description, so Describe is needed.",
    source=_SAGEMAKER,
    relies=_EVENTS,
    makes="1 version",
)
def event_members(world: World) -> str:
    """Register with a description."""
    way = path(world)
    event = way.next(world.hub, world.register(ModelPackageDescription="told")) or {}
    members = sorted(event.get("detail", {}))
    absent = {"ModelPackageDescription", "ModelCard", "AdditionalInferenceSpecifications"}
    return expect(members and not absent & set(members), ", ".join(members))


@check(
    "deletion-is-silent",
    "Deleting a version sends no event.",
    source=f"{_SAGEMAKER} names none",
    relies="docs/what-is-not-copied.md",
    makes="1 version",
)
def deletion_is_silent(world: World) -> str:
    """Delete a version and listen."""
    way, arn = path(world), world.register()
    delete = world.spoke.client("sagemaker").delete_model_package
    return way.after(arn, lambda: delete(ModelPackageName=arn))


@check(
    "empty-update-is-silent",
    "An update that names nothing sends no event.",
    source="inferred",
    relies="local/sagemaker/package_operations.py",
    makes="1 version",
)
def empty_update_is_silent(world: World) -> str:
    """Update with nothing and listen."""
    way, arn = path(world), world.register()
    return way.after(arn, lambda: world.update(arn))


@check(
    "native-redrive",
    "A message that was sent straight to the dead-letter queue moves to a queue that StartMessageMoveTask names, "
    "with its attributes; without a name the task fails with CouldNotDetermineMessageSource.",
    source="https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html",
    relies="docs/runbook.md (the console's redrive button)",
    makes="2 queues in the hub",
)
def native_redrive(world: World) -> str:
    """Send to the dead-letter queue, move it without a destination, then with one."""
    dead_url, dead_arn = world.queue(world.hub, "dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = world.queue(world.hub, "work", RedrivePolicy=policy)
    sqs = world.hub.client("sqs")
    code = {"code": {"DataType": "String", "StringValue": "THROTTLED"}}
    sqs.send_message(QueueUrl=dead_url, MessageBody="ours", MessageAttributes=code)

    def moved(**more: str) -> dict[str, Any]:
        sqs.start_message_move_task(SourceArn=dead_arn, **more)

        def over() -> dict[str, Any] | None:
            last = sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"][0]
            return dict(last) if last["Status"] in ("COMPLETED", "FAILED", "CANCELLED") else None

        return world.until(over, "end of the move task")

    alone, named = moved(), moved(DestinationArn=arn)
    found = world.until(lambda: world.receive(world.hub, url), "moved message")
    attributes = [list(message.get("MessageAttributes", {})) for message in found]
    without = f"{alone['Status']} {alone.get('FailureReason', '')}".strip()
    return expect(
        [m["Body"] for m in found] == ["ours"]
        and attributes == [["code"]]
        and without == "FAILED CouldNotDetermineMessageSource",
        f"named: {named['Status']}, attributes {attributes}; not named: {without}",
    )


CHECKS: tuple[Check, ...] = (
    envelope,
    put_targets,
    updated_fields,
    event_members,
    deletion_is_silent,
    empty_update_is_silent,
    native_redrive,
)
