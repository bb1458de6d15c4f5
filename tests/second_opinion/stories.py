"""Stories for the state machines: what each function answers, call by call, for every interpreter alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE: Final = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/1"
ARTIFACT: Final = {
    "kind": "artifact",
    "uri": "s3://b/k",
    "type": "object",
    "destination": "models/111111111111/churn/1/",
}
IMAGE: Final = {
    "kind": "image",
    "uri": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/i:1",
    "repository": "ns/111111111111/i",
}
PASSING: Final = (
    "RetryableError",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
)
CUT_OFF: Final = ("Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout")

type Answer = dict[str, Any]
"""``{"return": value}`` or ``{"raise": [class, message]}``."""


@dataclass(frozen=True)
class Story:
    """One execution.

    Parameters
    ----------
    machine
        File in ``statemachine/``, without its end.
    given
        Input of the execution.
    functions
        By name: the answers to its calls in turn; the last one goes on.
    """

    machine: str
    given: dict[str, Any]
    functions: Mapping[str, Sequence[Answer]]


def answer_of(function: Sequence[Answer], call: int) -> Answer:
    """Give the answer to a call, counted from 0."""
    return function[min(call, len(function) - 1)]


def _plan(
    action: str, *copies: Answer, again: bool = False, reason: str = "so it is", code: str | None = None
) -> Answer:
    return {
        "return": {
            "action": action,
            "reason": reason,
            "wanted": 1,
            "copies": list(copies),
            "again": again,
            "code": code,
        }
    }


def _error(name: str, message: str = "CODE: not now") -> Answer:
    return {"raise": [name, message]}


_COPIED: Answer = {"return": {"done": True, "result": {"uri": "s3://hub/copy"}, "progress": None}}
_REGISTERED: Answer = {"return": {"again": False, "status": "Completed"}}
_AGAIN: Answer = {"return": {"again": True, "status": "Completed"}}
_RECORDED: Answer = {"return": {"again": False}}
_WELL: Final[dict[str, list[Answer]]] = {
    "Plan": [_plan("MIRROR", ARTIFACT, IMAGE)],
    "CopyArtifact": [_COPIED],
    "CopyImage": [_COPIED],
    "Register": [_REGISTERED],
    "RecordFailure": [_RECORDED],
}
_MANY = [{**ARTIFACT, "uri": f"s3://b/{n}"} for n in range(25)]
_ODD = "it's {} and '{0}' \\ \"q\" ü 模 \n $.x ${y} \\{ \\'"


def _replicate(**functions: list[Answer]) -> Story:
    return Story("replicate", {"source_arn": SOURCE, "attempt": 1}, _WELL | functions)


def _reconcile(*answers: Answer) -> Story:
    given = {"mode": "backfill", "accounts": ["111111111111"]}
    return Story("reconcile", given, {"Reconcile": list(answers)})


def _part(number: int, *, done: bool = False) -> Answer:
    after = {"mode": "backfill", "cursor": {"unreadable": ["222222222222"], "n": number}}
    return {"return": {"done": done, "wait": 0, "totals": {"listed": number}, "findings": [], "next": after}}


def _unfinished(moved: int) -> Answer:
    return {"return": {"done": False, "result": None, "progress": {"moved": moved, "total": 3}}}


_REPLICATE = {
    "mirror": _replicate(),
    "update with copies": _replicate(Plan=[_plan("UPDATE", ARTIFACT)]),
    "update without copies": _replicate(Plan=[_plan("UPDATE")]),
    "nothing": _replicate(Plan=[_plan("NOTHING")]),
    "nothing, again twice": _replicate(
        Plan=[_plan("NOTHING", again=True), _plan("NOTHING", again=True), _plan("NOTHING")]
    ),
    "refused": _replicate(Plan=[_plan("REFUSE", code="MARKETPLACE_PRODUCT")]),
    "refused, odd reason": _replicate(Plan=[_plan("REFUSE", code="INVALID_LOCATION", reason=_ODD)]),
    "refused, code is null": _replicate(Plan=[_plan("REFUSE")]),
    "copied in three invocations": _replicate(
        Plan=[_plan("MIRROR", ARTIFACT)], CopyArtifact=[_unfinished(1), _unfinished(2), _COPIED]
    ),
    "25 copies": _replicate(Plan=[_plan("MIRROR", *_MANY)]),
    "unknown copy": _replicate(Plan=[_plan("MIRROR", {"kind": "tape"})]),
    "changed meanwhile": _replicate(Register=[_AGAIN, _REGISTERED]),
    "a second plan has nothing of the first": _replicate(
        Plan=[_plan("MIRROR", ARTIFACT), _error("PermanentError", "X: y")], Register=[_AGAIN]
    ),
    "repaired meanwhile": _replicate(
        Plan=[_plan("REFUSE", code="UNEXPECTED"), _plan("NOTHING")],
        RecordFailure=[{"return": {"again": True}}],
    ),
    "never recorded": _replicate(
        Plan=[_error("PermanentError", "X: y")],
        RecordFailure=[_error("PermanentError", "CONFIGURATION: no table")],
    ),
    "recorded at the 16th call": _replicate(
        Plan=[_error("PermanentError", "X: y")], RecordFailure=[_error("SomeError")] * 15 + [_RECORDED]
    ),
    "retries are counted anew after each plan": _replicate(
        Plan=[_error("RetryableError")] * 8
        + [_plan("NOTHING", again=True)]
        + [_error("RetryableError")] * 8
        + [_plan("NOTHING")]
    ),
    "both retriers used up": _replicate(
        Plan=[_error("RetryableError")] * 8 + [_error("Lambda.Unknown")] * 2 + [_plan("NOTHING")]
    ),
    "throttled, then permanent": _replicate(
        Plan=[_error("RetryableError")] * 3 + [_error("PermanentError", "X: y")]
    ),
}
_RECONCILE = {
    "reconcile in four invocations": _reconcile(_part(1), _part(2), _part(3), _part(4, done=True)),
    "reconcile: throttled 29 times": _reconcile(
        _part(1), *[_error("RetryableError")] * 29, _part(2, done=True)
    ),
    "reconcile: throttled 31 times": _reconcile(
        _part(1), *[_error("RetryableError")] * 31, _part(2, done=True)
    ),
    "reconcile: cut off three times": _reconcile(*[_error("Sandbox.Timedout")] * 3),
    "reconcile: permanent": _reconcile(_error("PermanentError", "NO_PROGRESS: nothing could be sent")),
}


def _of_each_task() -> dict[str, Story]:
    found = {}
    # With one copy: whether the other item of a Map is called before the first one fails is a matter of luck.
    alone = {"CopyArtifact": [_plan("MIRROR", ARTIFACT)], "CopyImage": [_plan("MIRROR", IMAGE)]}
    for name in ("Plan", "CopyArtifact", "CopyImage", "Register"):
        plan = {"Plan": alone[name]} if name in alone else {}
        good = _WELL[name][0]
        permanent = _error("PermanentError", "SOURCE_OBJECT_MISSING: s3://b/k")
        found[f"{name}: permanent"] = _replicate(**plan | {name: [permanent]})
        found[f"{name}: unhandled"] = _replicate(**plan | {name: [_error("KeyError", "'x'")]})
        found[f"{name}: retryable without an end"] = _replicate(**plan | {name: [_error("RetryableError")]})
        found[f"{name}: every passing error once"] = _replicate(
            **plan | {name: [*map(_error, PASSING), good]}
        )
        for error in CUT_OFF:
            found[f"{name}: {error} twice"] = _replicate(**plan | {name: [_error(error)] * 2 + [good]})
            found[f"{name}: {error} without an end"] = _replicate(**plan | {name: [_error(error)]})
    return found


STORIES: Final[dict[str, Story]] = _REPLICATE | _of_each_task() | _RECONCILE
