"""Which events a pattern matches, where moto knows fewer lists than EventBridge.

moto decides about a single value; here is what a list in an event means, also a list of objects or of lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.events.models import UNDEFINED

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from moto.events.models import EventPattern


def matches(pattern: EventPattern, event: dict[str, Any]) -> bool:
    """Tell whether a pattern matches an event."""
    return _matches(pattern, pattern.get_pattern(), event)


def _matches(matcher: EventPattern, wanted: dict[str, Any], event: dict[str, Any]) -> bool:
    return all(_member_matches(matcher, name, value, event) for name, value in wanted.items())


def _member_matches(matcher: EventPattern, name: str, wanted: Any, event: dict[str, Any]) -> bool:
    if name == "$or":
        return any(_matches(matcher, each, event) for each in wanted)
    found = event.get(name, UNDEFINED)
    values = _flat(found) if isinstance(found, list) else [found]
    if isinstance(wanted, dict):
        objects = [value for value in values if isinstance(value, dict)] or [{}]
        return any(_matches(matcher, wanted, each) for each in objects)
    if isinstance(found, list):
        leaves: Any = [value for value in values if not isinstance(value, dict)]
        found = leaves if leaves or not values else UNDEFINED
    elif isinstance(found, dict) and found:
        found = UNDEFINED  # only a leaf has a value
    return bool(matcher._does_item_match_filters(found, wanted))


def _flat(values: list[Any]) -> list[Any]:
    """Give the values of a list, and those of the lists in it."""
    return [each for value in values for each in (_flat(value) if isinstance(value, list) else [value])]


RULES = (
    Rule(
        "events-pattern-list",
        "A list in an event matches when one of its values does.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html",
    ),
    Rule(
        "events-pattern-list-of-lists",
        "Lists in a list of an event count as one list.",
        Evidence.INFERRED,
        "from the page about arrays, which speaks of one list only",
    ),
    Rule(
        "events-pattern-list-of-objects",
        "All that a pattern wants of an object in a list has to be true of the same object.",
        Evidence.INFERRED,
        "from the page about arrays, which speaks of values only",
    ),
)
