"""Wildcards and policy variables: how the texts of a policy are matched with those of a request.

Pure. Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    Context = Mapping[str, "str | tuple[str, ...]"]

_VARIABLES = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"
RULES: tuple[Rule, ...] = (
    Rule(
        "iam-variables-after-the-fifth-colon",
        "In a Resource, a policy variable is replaced after the fifth colon of the ARN only.",
        Evidence.DOCUMENTED,
        _VARIABLES,
    ),
    Rule(
        "iam-variables-of-2012-10-17",
        "Policy variables are replaced in policies of version 2012-10-17 only.",
        Evidence.DOCUMENTED,
        _VARIABLES,
    ),
    Rule(
        "iam-variable-without-value",
        "A variable without a value in the request, and without a default, matches nothing.",
        Evidence.DOCUMENTED,
        _VARIABLES,
    ),
    Rule(
        "iam-arn-wildcards",
        "A wildcard in an ARN stays between its colons, except after the fifth.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html",
    ),
)

_VARIABLE = re.compile(r"\$\{(?P<name>[^}]*)\}")
_DEFAULTED = re.compile(r"(?P<key>[^,\s]+)\s*,\s*'(?P<default>[^']*)'")
_LITERAL = {"*": "*", "?": "?", "$": "$"}
_ARN_COLONS = 5


class PolicyError(Exception):
    """A policy holds something that the local AWS does not evaluate, so neither answer would be right."""


def lookup(context: Context, key: str) -> str | tuple[str, ...] | None:
    """Find a key in the request's context; names of keys are not case-sensitive, tag keys included."""
    wanted = key.lower()
    return next((value for name, value in context.items() if name.lower() == wanted), None)


def pattern(
    text: str, context: Context, *, variables: bool, wildcards: bool = True, ignore_case: bool = False
) -> re.Pattern[str] | None:
    """Compile a text of a policy.

    Parameters
    ----------
    variables
        Whether ``${key}`` is replaced: only in policies of version 2012-10-17. What is put in is taken
        literally, whatever wildcards it holds.
    wildcards
        Whether ``*`` and ``?`` outside variables match any text and any character.

    Returns
    -------
    None
        When a variable is not in the request's context: nothing matches then.
    """
    parts: list[str] = []
    end = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        value = _value_of(found["name"], context)
        if value is None:
            return None
        parts += [_glob(text[end : found.start()], wildcards), re.escape(value)]
        end = found.end()
    parts.append(_glob(text[end:], wildcards))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else re.NOFLAG))


def matches_arn(text: str, arn: str, context: Context, *, variables: bool) -> bool:
    """Match an ARN with a pattern, each of the six parts between colons apart.

    ``*`` alone matches everything. Raises `PolicyError` for a pattern that is no ARN. Variables are replaced in the
    last part only: the others name partition, service, region and account as they are.
    """
    if text == "*":
        return True
    wanted = _split(text)
    if len(wanted) <= _ARN_COLONS or wanted[0] != "arn":
        raise PolicyError(f"{text!r} is neither an ARN with six parts nor '*'; give the whole ARN")
    given = arn.split(":", _ARN_COLONS)
    if len(given) != len(wanted):
        return False
    for number, (part, actual) in enumerate(zip(wanted, given, strict=True)):
        compiled = pattern(part, context, variables=variables and number == _ARN_COLONS)
        if compiled is None or not compiled.fullmatch(actual):
            return False
    return True


def _split(text: str) -> list[str]:
    """Split a pattern of an ARN at its first five colons, leaving those inside ``${...}`` alone."""
    hidden = _VARIABLE.sub(lambda found: found[0].replace(":", "\0"), text)
    return [part.replace("\0", ":") for part in hidden.split(":", _ARN_COLONS)]


def _value_of(name: str, context: Context) -> str | None:
    if name in _LITERAL:
        return _LITERAL[name]
    defaulted = _DEFAULTED.fullmatch(name.strip())
    key, default = (defaulted["key"], defaulted["default"]) if defaulted else (name.strip(), None)
    value = lookup(context, key)
    if isinstance(value, tuple):
        raise PolicyError(f"${{{name}}}: a key with many values cannot be a policy variable")
    return default if value is None else value


def _glob(text: str, wildcards: bool) -> str:
    escaped = re.escape(text)
    return escaped.replace(r"\*", ".*").replace(r"\?", ".") if wildcards else escaped
