"""The patterns of all rules of the templates: does LocalStack's EventBridge match what the local one matches?"""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto.events.models import EventPattern

from local.event_patterns import matches_event
from tests.infra import stacks
from tests.second_opinion.state_machines import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES: Final = stacks.ROOT / "events" / "eventbridge"
_BASE = json.loads((SAMPLES / "approved.json").read_text(encoding="utf-8"))
_ENVELOPE = {
    "version": "0",
    "id": "x",
    "account": "111111111111",
    "time": "2026-01-01T00:00:00Z",
    "region": stacks.REGION,
    "resources": [],
}
_ABSENT = object()
_PATHS: Final = (
    ("source",),
    ("detail-type",),
    ("detail", "ModelApprovalStatus"),
    ("detail", "ModelPackageGroupName"),
)
_VALUES: Final[tuple[Any, ...]] = (
    *(
        "Approved",
        "approved",
        "Rejected",
        "PendingManualApproval",
        "",
        "Approved ",
        "é",
        None,
        1,
        1.0,
        10**20,
    ),
    *(True, _ABSENT, [], {}, {"a": "Approved"}, ["Approved"], ["x", "Rejected"], ["Approved", 1]),
    *([["Approved"]], "churn", "Churn", "churning", "chur", ["fraud", "churn-1"], "aws.sagemaker"),
    *(["aws.sagemaker"], "SageMaker Model Package State Change", "sagemaker Model Package State Change"),
)
_SPOKES: Final = {
    "spoke": {},
    "spoke, one status": {"ForwardedStatuses": "Approved"},
    "spoke, three statuses": {"ForwardedStatuses": "Approved,Rejected,PendingManualApproval"},
    "spoke, groups that begin with churn": {"GroupPrefix": "churn"},
    "spoke, groups that begin with fraud": {"GroupPrefix": "fraud"},
}


def patterns() -> dict[str, dict[str, Any]]:
    """Give the pattern of every rule and archive of the templates, also with other parameters."""
    made = {"hub": stacks.hub()} | {name: stacks.spoke(**given) for name, given in _SPOKES.items()}
    return {
        f"{name}: {logical}": properties["EventPattern"]
        for name, stack in made.items()
        for kind in ("AWS::Events::Rule", "AWS::Events::Archive")
        for logical, properties in stack.of_type(kind).items()
        if "EventPattern" in properties
    }


def _changed(event: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(event))
    inside: Any = changed
    for name in path[:-1]:
        inside = inside.setdefault(name, {})
    if value is _ABSENT:
        inside.pop(path[-1], None)
    else:
        inside[path[-1]] = value
    return changed


def samples() -> Iterator[dict[str, Any]]:
    """Give the samples of this repository, one with each member changed in turn, and some with several."""
    for path in sorted(SAMPLES.glob("*.json")):
        if isinstance(event := json.loads(path.read_text(encoding="utf-8")), dict):
            yield event
    for where in _PATHS:
        for value in _VALUES:
            yield _changed(_BASE, where, value)
    drawn = random.Random(6)  # noqa: S311 (the same samples in each run)
    for _ in range(60):
        event = _BASE
        for _ in range(drawn.randint(2, 3)):
            event = _changed(event, drawn.choice(_PATHS), drawn.choice(_VALUES))
        yield event


EVENTS: Final = [
    _ENVELOPE | event
    for event in samples()
    if event.get("source") is not None and event.get("detail-type") is not None
]
"""Complete ones. Without a source or a kind ``TestEventPattern`` takes an event for damaged, and so does PutEvents."""


@pytest.fixture(scope="module")
def localstack() -> Any:
    """Give a client of LocalStack's EventBridge."""
    return boto3.client(
        "events",
        endpoint_url=os.environ[ENDPOINT],
        region_name=stacks.REGION,
        aws_access_key_id="111111111111",
        aws_secret_access_key="x",
    )


@pytest.mark.parametrize("name", patterns())
def test_both_match_the_same_events(localstack: Any, name: str) -> None:
    text = json.dumps(patterns()[name])
    ours = [matches_event(EventPattern.load(text), event) for event in EVENTS]

    def ask(event: dict[str, Any]) -> bool:
        return bool(localstack.test_event_pattern(EventPattern=text, Event=json.dumps(event))["Result"])

    with ThreadPoolExecutor(4) as pool:
        theirs = list(pool.map(ask, EVENTS))
    differing = [
        (event, {"local": our, "LocalStack": their})
        for event, our, their in zip(EVENTS, ours, theirs, strict=True)
        if our is not their
    ]
    assert differing == []
    assert any(ours), "no sample matches: the comparison says nothing"
