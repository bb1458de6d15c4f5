"""How EventBridge hands an event to one target of a rule, and where it goes when that fails.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html names the attributes and the error
codes. Missing permissions and missing targets go to the dead-letter queue without being tried again.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from moto.awslambda_simple.models import lambda_simple_backends
from moto.events.models import events_backends
from moto.events.utils import EventTemplateParser
from moto.sqs.models import Queue, sqs_backends

from local import evidence
from local.accounts import account_of

if TYPE_CHECKING:
    from moto.events.models import Rule

    from local.events import EventBridge
    from local.server import LocalAws

RULES: tuple[evidence.Rule, ...] = (
    evidence.Rule(
        "events-dead-letters",
        "What cannot be delivered goes to the target's dead-letter queue, with code and message as attributes.",
        evidence.Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html",
    ),
    evidence.Rule(
        "events-one-hop",
        "An event crosses from one account to another once.",
        evidence.Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html",
    ),
    evidence.Rule(
        "events-target-permissions",
        "A target's own policy lets events.amazonaws.com act for the rule.",
        evidence.Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html",
    ),
)

_LOG = logging.getLogger(__name__)
_SERVICE = "events.amazonaws.com"
_ARCHIVE = re.compile(r'"archive-arn":\s*"[^"]*:archive/(?P<id>[^"]+)"')


class _Undeliverable(Exception):
    """Why a target did not get the event, with EventBridge's own code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Targets:
    """Delivers to SQS queues, buses of other accounts, functions, log groups and archives."""

    def __init__(self, aws: LocalAws, bridge: EventBridge) -> None:
        self._aws = aws
        self._bridge = bridge

    def deliver(self, rule: Rule, target: dict[str, Any], event: dict[str, Any], hops: int) -> None:
        """Hand over an event, or put it on the target's dead-letter queue."""
        try:
            self._send(rule, target, event, hops)
        except _Undeliverable as failure:
            self._to_dead_letter_queue(rule, target, event, failure)

    def _send(self, rule: Rule, target: dict[str, Any], event: dict[str, Any], hops: int) -> None:
        _, _, service, region, account, resource = target["Arn"].split(":", 5)
        if service == "events" and resource.startswith("event-bus/"):
            self._to_bus(rule, target, event, hops, (account, region, resource.partition("/")[2]))
        elif service == "events":
            rule._send_to_events_archive(event_archive(target), event)
        elif service == "sqs":
            self._to_queue(rule, target, _shaped(target, event))
        elif service == "lambda":
            self._to_function(rule, target, _shaped(target, event))
        elif service == "logs":
            rule._send_to_cw_log_group(resource.removeprefix("log-group:").removesuffix(":*"), dict(event))
        else:
            raise _Undeliverable(
                "INVALID_PARAMETER", f"{target['Arn']} is no target of the local EventBridge"
            )

    def _to_bus(
        self,
        rule: Rule,
        target: dict[str, Any],
        event: dict[str, Any],
        hops: int,
        address: tuple[str, str, str],
    ) -> None:
        account, region, name = address
        crosses = account != rule.account_id
        if crosses and hops:
            # "you can't send events from a sender to a receiver account and from there to a third":
            # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
            raise _Undeliverable("THIRD_ACCOUNT_HOP_DETECTED", "The event has crossed accounts already.")
        if name not in events_backends[account][region].event_buses:
            raise _Undeliverable("NO_RESOURCE", f"Event bus {target['Arn']} does not exist.")
        role = target.get("RoleArn")
        if role and not self._may(rule, "sts:AssumeRole", role):
            raise _Undeliverable("FAILED_TO_ASSUME_ROLE", f"{_SERVICE} cannot assume {role}.")
        if crosses and not self._bridge.accepts(account, region, name, rule.account_id, role, event):
            who = role or f"account {rule.account_id}"
            raise _Undeliverable("NO_PERMISSIONS", f"{who} may not put this event on {target['Arn']}.")
        self._bridge.publish(account, region, name, event, hops + int(crosses))

    def _to_queue(self, rule: Rule, target: dict[str, Any], body: str) -> None:
        queue = _queue(target["Arn"])
        if queue is None:
            raise _Undeliverable("NO_RESOURCE", f"The queue {target['Arn']} does not exist.")
        if not self._may(rule, "sqs:SendMessage", queue.queue_arn):
            raise _Undeliverable(
                "NO_PERMISSIONS",
                f"The policy of {target['Arn']} does not let {_SERVICE} send for {rule.arn}.",
            )
        sqs_backends[queue.account_id][queue.region].send_message(
            queue_name=queue.name,
            message_body=body,
            group_id=target.get("SqsParameters", {}).get("MessageGroupId"),
        )

    def _to_function(self, rule: Rule, target: dict[str, Any], body: str) -> None:
        account, region = account_of(target["Arn"]), target["Arn"].split(":")[3]
        function = lambda_simple_backends[account][region].get_function_by_arn(target["Arn"])
        if function is None:
            raise _Undeliverable("NO_RESOURCE", f"The function {target['Arn']} does not exist.")
        if not self._may(rule, "lambda:InvokeFunction", target["Arn"]):
            raise _Undeliverable(
                "NO_PERMISSIONS", f"{target['Arn']} has no permission that lets {_SERVICE} invoke it."
            )
        run = self._aws.functions.run
        threading.Thread(target=run, args=(function, body.encode()), daemon=True).start()

    def _may(self, rule: Rule, action: str, resource: str) -> bool:
        """Tell whether the policy of a resource lets EventBridge act on it for a rule."""
        authority = self._aws.authority
        return authority.authorize_service(_SERVICE, action, resource, source_arn=rule.arn).allowed

    def _to_dead_letter_queue(
        self, rule: Rule, target: dict[str, Any], event: dict[str, Any], failure: _Undeliverable
    ) -> None:
        arn = target.get("DeadLetterConfig", {}).get("Arn")
        queue = _queue(arn) if arn else None
        if queue is None or not self._may(rule, "sqs:SendMessage", queue.queue_arn):
            # EventBridge only counts it: InvocationsFailedToBeSentToDlq, FailedInvocations.
            why = f"{arn} cannot take it" if arn else "the target has no dead-letter queue"
            _LOG.warning("%s lost event %s: %s; %s", rule.arn, event["id"], failure.message, why)
            return
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
            "RETRY_ATTEMPTS": "0",
        }
        sqs_backends[queue.account_id][queue.region].send_message(
            queue_name=queue.name,
            message_body=json.dumps(event),
            message_attributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )


def event_archive(target: dict[str, Any]) -> str:
    """Give the part of an archive's target by which moto finds the archive."""
    template = target.get("InputTransformer", {}).get("InputTemplate", "")
    found = _ARCHIVE.search(template)
    return found["id"] if found else ""


def _queue(arn: str) -> Queue | None:
    _, _, _, region, account, name = arn.split(":", 5)
    return sqs_backends[account][region].queues.get(name)


def _shaped(target: dict[str, Any], event: dict[str, Any]) -> str:
    """Give what the target gets: the event, or what ``Input``, ``InputPath`` or the transformer make of it."""
    if "Input" in target:
        return str(target["Input"])
    if path := target.get("InputPath"):
        part: Any = event
        for name in path.removeprefix("$").strip(".").split(".") if path != "$" else ():
            part = part.get(name) if isinstance(part, dict) else None
        return json.dumps(part)
    if transformer := target.get("InputTransformer"):
        known = {**event, "ingestion-time": event["time"]}
        made = EventTemplateParser.parse(
            transformer["InputTemplate"], transformer.get("InputPathsMap", {}), known
        )
        return json.dumps(made)
    return json.dumps(event)
