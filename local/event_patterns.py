"""How an event pattern matches an event with lists: moto looks neither into a list of lists nor at objects in a list.

The comparison of one value with one filter (prefix, numeric, anything-but ...) is moto's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.events.models import UNDEFINED, EventPattern

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "events-pattern-list",
        "A list in an event matches when one of its values does.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html",
    ),
    Rule(
        "events-pattern-list-of-lists",
        "Lists in lists are taken for one list; of objects in a list, one has to match the whole pattern for them.",
        Evidence.DOCUMENTED,
        "https://github.com/aws/event-ruler#json-array-matching",
    ),
)


def install(aws: LocalAws) -> None:
    """Take over the matching of patterns, for rules, archives and ``TestEventPattern``."""
    aws.patch(EventPattern, "matches_event", matches_event)


def matches_event(pattern: EventPattern, event: dict[str, Any]) -> bool:
    """Whether a pattern matches an event."""
    wanted = pattern.get_pattern()
    return not wanted or _matches(pattern, json.loads(json.dumps(event)), wanted)


def _matches(pattern: EventPattern, node: Any, wanted: dict[str, Any]) -> bool:
    for name, filters in wanted.items():
        if name == "$or":
            holds = any(_matches(pattern, node, each) for each in filters)
        else:
            found = node.get(name, UNDEFINED) if isinstance(node, dict) else UNDEFINED
            holds = _member_matches(pattern, found, filters)
        if not holds:
            return False
    return True


def _member_matches(pattern: EventPattern, found: Any, filters: Any) -> bool:
    if isinstance(filters, dict):
        return any(_matches(pattern, each, filters) for each in _flat(found))
    if isinstance(found, list):
        # An object is no value: filters are for the leaves.
        found = [each for each in _flat(found) if not isinstance(each, dict)]
    elif isinstance(found, dict) and found:
        found = UNDEFINED
    return bool(pattern._does_item_match_filters(found, filters))


def _flat(found: Any) -> Iterator[Any]:
    if isinstance(found, list):
        for each in found:
            yield from _flat(each)
    else:
        yield found
