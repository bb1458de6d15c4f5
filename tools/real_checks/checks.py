"""What a check is, and how its outcome is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from tools.real_checks.world import World

type Body = Callable[["World"], str]


class Outcome(StrEnum):
    """Of a check."""

    PASS = "PASS"  # noqa: S105 (not a password)
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


class RefutedError(Exception):
    """AWS does something else than was claimed."""


class NotTriedError(Exception):
    """The claim could not be tried here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, and how to try it.

    Parameters
    ----------
    name
        As ``--only`` and ``docs/real-account.md`` call it.
    claim
        What has to be true.
    source
        Why it is believed.
    relies
        The file that relies on it.
    makes
        What it makes in the accounts, beside what all checks share.
    body
        Tries it: gives what was seen, or raises `RefutedError` or `NotTriedError`.
    """

    name: str
    claim: str
    source: str
    relies: str
    makes: str
    body: Body


@dataclass(frozen=True, slots=True)
class Result:
    """How a check went."""

    check: Check
    outcome: Outcome
    seen: str


def check(name: str, claim: str, *, source: str, relies: str, makes: str = "") -> Callable[[Body], Check]:
    """Make a check of a function."""
    return lambda body: Check(name, claim, source, relies, makes, body)


def expect(holds: object, seen: str) -> str:
    """Give what was seen, or raise `RefutedError` with it when the claim does not hold."""
    if not holds:
        raise RefutedError(seen)
    return seen


def refused(call: Callable[..., Any], *codes: str, says: str = "", **arguments: Any) -> str:
    """Call what has to be refused with one of these codes, and give code and message."""
    try:
        call(**arguments)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        seen = f"{status} {code}: {message}"
        return expect((code in codes or status in codes) and says in message, seen)
    raise RefutedError("the call was taken, not refused")


_NO_PERMISSION = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}


def attempt(one: Check, world: World) -> Result:
    """Try a claim. A call that the profile may not make leaves it open."""
    try:
        return Result(one, Outcome.PASS, one.body(world))
    except RefutedError as error:
        return Result(one, Outcome.FAIL, str(error))
    except NotTriedError as error:
        return Result(one, Outcome.SKIPPED, str(error))
    except ClientError as error:
        denied = error.response["Error"]["Code"] in _NO_PERMISSION
        seen = f"{'the profile may not: ' if denied else 'unexpected: '}{error}"
        return Result(one, Outcome.SKIPPED if denied else Outcome.FAIL, seen)
    except (BotoCoreError, RuntimeError) as error:
        return Result(one, Outcome.FAIL, f"unexpected: {error}")
