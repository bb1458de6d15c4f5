"""EventBridge as documented: the envelope, the source that is reserved, bus policies, one hop between accounts.

moto keeps buses, rules and archives and compares values with patterns; putting events and handing them to targets is
replaced. Delivery happens before ``PutEvents`` answers, in the order of the rules, so that tests need not
wait for it; only Lambda targets are invoked asynchronously, as EventBridge does.

Not like the real service: nothing is delivered twice or out of order, and nothing is tried again: what
cannot be delivered goes to the target's dead-letter queue at once. Schedules fire only by `EventBridge.tick`.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.events.models import EventBus, EventBusPolicyStatement, EventsBackend, Rule, events_backends
from moto.events.responses import EventsHandler

from local import event_errors, event_patterns, evidence
from local.accounts import account_of
from local.event_targets import Targets
from local.iam import Access, Policies, Principal, evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.server import LocalAws

RULES: tuple[evidence.Rule, ...] = (
    evidence.Rule(
        "events-missing-bus",
        "PutEvents to a bus that is not there answers 200 with an id, and the event is lost.",
        evidence.Evidence.RECORDED,
        "events/put-events.json",
    ),
    evidence.Rule(
        "events-entries",
        "A bad entry is in the answer with its code, and the others are taken.",
        evidence.Evidence.RECORDED,
        "events/put-events.json",
    ),
    evidence.Rule(
        "events-envelope",
        "Across accounts of a region an event keeps id, account, time, region, resources and detail.",
        evidence.Evidence.RECORDED,
        "events/cross-account-region.json",
    ),
    evidence.Rule(
        "events-replay",
        "A replayed event has a member replay-name.",
        evidence.Evidence.RECORDED,
        "events/archive-and-replay.json",
    ),
    evidence.Rule(
        "events-reserved-source",
        "A caller of PutEvents cannot use a source that begins with aws.",
        evidence.Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events.html",
    ),
    evidence.Rule(
        "events-size",
        "The bytes of all entries of a call are below 1 MiB.",
        evidence.Evidence.RECORDED,
        "events/put-events.json",
    ),
    evidence.Rule(
        "events-bus-policy",
        "A bus takes events of another account as its policy says.",
        evidence.Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-permissions.html",
    ),
    evidence.Rule(
        "events-target-bus",
        "PutTargets refuses a bus of another account whose policy does not admit the caller's account.",
        evidence.Evidence.REPORTED,
        "ministryofjustice/modernisation-platform-environments#19002",
    ),
    evidence.Rule(
        "events-target-missing-bus",
        "It answers the same for a bus of another account that is not there.",
        evidence.Evidence.INFERRED,
        "The caller may not know whether the bus exists; no report tells of this case.",
    ),
)

MAX_BYTES = 1024 * 1024
"""Of all entries of a request. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"""

Envelope = dict[str, Any]

_original_put_targets = EventsBackend.put_targets
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


class EventBridge:
    """Puts events on buses and runs their rules."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._targets = Targets(aws, self)

    def install(self) -> None:
        """Take over ``PutEvents`` and the delivery to targets."""
        bridge = self

        def put_events(handler: EventsHandler) -> str:
            entries = bridge.put(handler.current_account, handler.region, handler._get_param("Entries"))
            failed = sum("ErrorCode" in entry for entry in entries)
            return json.dumps({"FailedEntryCount": failed, "Entries": entries})

        def backend_put_events(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
            # For the other services of moto, which call it in the name of the account.
            return bridge.put(backend.account_id, backend.region_name, events)

        def send_to_targets(rule: Rule, event: Envelope, transform_input: bool = True) -> None:
            # Archives' replays, and notifications of moto's own services, come this way.
            bridge.run_rule(rule, envelope_of(event))

        def put_targets(
            backend: EventsBackend, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
        ) -> None:
            # The API and CloudFormation come this way.
            for target in targets:
                bridge.check_bus(backend.account_id, target["Arn"])
            _original_put_targets(backend, name, event_bus_arn, targets)

        def add_policy(bus: EventBus, policy: dict[str, Any]) -> None:
            # moto would drop what another statement with the same principal allows
            for statement in policy["Statement"]:
                bus._statements[statement["Sid"]] = EventBusPolicyStatement.from_dict(statement)

        event_errors.install(self._aws)
        event_patterns.install(self._aws)
        self._aws.patch(EventsHandler, "put_events", put_events)
        self._aws.patch(EventsBackend, "put_events", backend_put_events)
        self._aws.patch(Rule, "send_to_targets", send_to_targets)
        self._aws.patch(EventsBackend, "put_targets", put_targets)
        self._aws.patch(EventBus, "add_policy", add_policy)

    def close(self) -> None:
        """Nothing to end: everything is delivered when a call returns."""

    def emit(
        self,
        account: str,
        region: str,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: Sequence[str] = (),
    ) -> str:
        """Put an event on an account's default bus as an AWS service does, and give its id.

        Parameters
        ----------
        source
            For instance ``aws.sagemaker``, which no caller of ``PutEvents`` may use.
        """
        entry = {"Source": source, "DetailType": detail_type, "Resources": list(resources)}
        event = _made(entry, detail, account, region)
        self.publish(account, region, "default", event)
        return str(event["id"])

    def put(self, account: str, region: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer ``PutEvents``: one result per entry, in order.

        Whether the caller may put an event on the bus, another account's included, IAM has decided before. A bus
        that is not there is no error: the event has an id and is lost.
        """
        if len(entries) > 10:
            raise JsonRESTError(
                "ValidationException",
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: "
                "Member must have length less than or equal to 10",
            )
        if sum(map(entry_bytes, entries)) >= MAX_BYTES:
            raise JsonRESTError(
                "ValidationException", "Total size of the entries in the request is over the limit."
            )
        return [self._put_one(account, region, entry) for entry in entries]

    def _put_one(self, account: str, region: str, entry: dict[str, Any]) -> dict[str, Any]:
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                return _refused(
                    "InvalidArgument",
                    f"Parameter {name} is not valid. Reason: {name} is a required argument.",
                )
        try:
            detail = json.loads(entry["Detail"])
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return _refused("MalformedDetail", "Detail is malformed.")
        if entry["Source"].startswith("aws."):
            # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events.html: reserved for AWS services
            return _refused("NotAuthorizedForSourceException", "Not authorized for the source.")
        target, target_region, bus = _address(entry.get("EventBusName"), account, region)
        event = _made(entry, detail, account, region)
        self.publish(target, target_region, bus, event, hops=int(target != account))
        return {"EventId": event["id"]}

    def accepts(
        self, account: str, region: str, bus: str, sender: str, role: str | None, event: Envelope
    ) -> bool:
        """Tell whether a bus takes an event of another account.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-permissions.html

        Parameters
        ----------
        sender
            The account that sends.
        role
            ARN of the role that it is sent with; None for EventBridge itself on behalf of the account.
        """
        found = events_backends[account][region].event_buses.get(bus)
        if found is None or not found.policy:
            return False
        context = {"events:source": event["source"], "events:detail-type": event["detail-type"]}
        if role:
            return self._aws.authority.authorize_role(role, "events:PutEvents", found.arn, context).allowed
        return self._admits(found, account, sender, context)

    def check_bus(self, sender: str, target_arn: str) -> None:
        """Refuse a target that is a bus of another account whose policy does not admit the sender's account (yet).

        What the policy asks about an event is not known then: conditions with ``ForAllValues`` hold.
        """
        _, _, service, region, account, resource = target_arn.split(":", 5)
        if service != "events" or not resource.startswith("event-bus/") or account == sender:
            return
        found = events_backends[account][region].event_buses.get(resource.partition("/")[2])
        if found is None or not found.policy or not self._admits(found, account, sender, {}):
            raise JsonRESTError(
                "AccessDeniedException",
                f"Account {sender} is not authorized to perform: events:PutEvents on resource: {target_arn} because "
                "no resource-based policy allows the events:PutEvents action",
            )

    def _admits(self, bus: EventBus, account: str, sender: str, context: dict[str, str]) -> bool:
        root, organization = f"arn:aws:iam::{sender}:root", self._aws.authority.organization_of(sender)
        access = Access(
            "events:PutEvents",
            bus.arn,
            account,
            {**context, "aws:PrincipalAccount": sender, "aws:PrincipalArn": root}
            | ({"aws:PrincipalOrgID": organization} if organization else {}),
        )
        policies = Policies(identity=(_EVERYTHING,), resource=json.loads(bus.policy))
        return evaluate(Principal(account=sender, arn=root), access, policies).allowed

    def publish(self, account: str, region: str, bus: str, event: Envelope, hops: int = 0) -> None:
        """Run every rule of a bus on an event that the bus has taken; without such a bus the event is lost.

        Parameters
        ----------
        hops
            How often the event has crossed from one account to another: once at most.
        """
        found = events_backends[account][region].event_buses.get(bus)
        for rule in list(found.rules.values()) if found else []:
            self.run_rule(rule, event, hops)

    def run_rule(self, rule: Rule, event: Envelope, hops: int = 0) -> None:
        """Hand an event to the targets of a rule, if the rule is enabled and its pattern matches."""
        if rule.state == "DISABLED" or rule.event_pattern.get_pattern() == {}:
            return
        if rule.event_pattern.matches_event(event):
            for target in list(rule.targets):
                self._targets.deliver(rule, target, event, hops)

    def tick(self, account: str, rule: str | None = None) -> list[str]:
        """Let the schedules of an account fire once, or that of one rule; give the names of the rules that did.

        The event is the one of https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html
        """
        region, fired = self._aws.region, []
        for found in list(events_backends[account][region].describe_event_bus("default").rules.values()):
            if found.scheduled_expression and found.state != "DISABLED" and rule in (None, found.name):
                entry = {"Source": "aws.events", "DetailType": "Scheduled Event", "Resources": [found.arn]}
                event = _made(entry, {}, account, region)
                for target in list(found.targets):
                    self._targets.deliver(found, target, event, 0)
                fired.append(str(found.name))
        return fired


def entry_bytes(entry: dict[str, Any]) -> int:
    """Count an entry's size by the documented rule.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    """
    texts = [
        entry.get("Source"),
        entry.get("DetailType"),
        entry.get("Detail"),
        *(entry.get("Resources") or ()),
    ]
    return sum(len(text.encode()) for text in texts if text) + (14 if entry.get("Time") else 0)


def envelope_of(event: Envelope) -> Envelope:
    """Bring one of moto's own events into the documented form: ISO time, nothing undocumented.

    https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    """
    known = {name: value for name, value in event.items() if name != "ingestion-time"}
    if isinstance(known.get("time"), int | float):
        known["time"] = _iso(float(known["time"]))
    return known


def _made(entry: dict[str, Any], detail: dict[str, Any], account: str, region: str) -> Envelope:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": account,
        "time": _iso(float(entry["Time"]) if entry.get("Time") else datetime.now(UTC).timestamp()),
        "region": region,
        "resources": list(entry.get("Resources") or ()),
        "detail": detail,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(bus: str | None, account: str, region: str) -> tuple[str, str, str]:
    """Give account, region and name of the bus that an entry names by name, by ARN, or not at all."""
    if bus and bus.startswith("arn:"):
        return account_of(bus), bus.split(":")[3], bus.rpartition("event-bus/")[2]
    return account, region, bus or "default"


def _refused(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}
