"""What EventBridge refuses about rules and policies in other words than moto, or not at all with moto."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend
from moto.events.models import Rule as EventRule

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.server import LocalAws

_RECORDING = "events/permissions-and-rules.json"
RULES: tuple[Rule, ...] = (
    Rule(
        "events-unknown-statement",
        "RemovePermission of an unknown statement has one text, whether the bus has a policy or not.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "events-unknown-rule", "The error for an unknown rule names the bus.", Evidence.RECORDED, _RECORDING
    ),
    Rule("events-five-targets", "A rule has at most five targets.", Evidence.RECORDED, _RECORDING),
)

_MOST_TARGETS = 5
_original_describe_rule = EventsBackend.describe_rule
_original_remove_permission = EventsBackend.remove_permission
_original_put_targets = EventRule.put_targets


def install(aws: LocalAws) -> None:
    """Take over what answers otherwise."""
    aws.patch(EventsBackend, "describe_rule", _describe_rule)
    aws.patch(EventsBackend, "remove_permission", _remove_permission)
    aws.patch(EventRule, "put_targets", _put_targets)


def _describe_rule(backend: EventsBackend, name: str, event_bus_arn: str | None) -> EventRule:
    try:
        return _original_describe_rule(backend, name, event_bus_arn)
    except JsonRESTError as error:
        bus = (event_bus_arn or "default").rpartition("/")[2]
        if error.message == f"Rule {name} does not exist.":
            raise JsonRESTError(error.error_type, f"Rule {name} does not exist on EventBus {bus}.") from error
        raise


def _remove_permission(backend: EventsBackend, *arguments: Any, **named: Any) -> None:
    try:
        _original_remove_permission(backend, *arguments, **named)
    except JsonRESTError as error:
        if error.message == "EventBus does not have a policy.":
            text = "Statement with the provided id does not exist."
            raise JsonRESTError(error.error_type, text) from error
        raise


def _put_targets(rule: EventRule, targets: list[dict[str, Any]]) -> None:
    if len({each["Id"] for each in [*rule.targets, *targets]}) > _MOST_TARGETS:
        raise JsonRESTError(
            "LimitExceededException", "The requested resource exceeds the maximum number allowed."
        )
    _original_put_targets(rule, targets)
