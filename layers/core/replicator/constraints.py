"""What the service model says of a value's length, count, pattern and choices.

botocore checks of these only the minimum length; the rest would come back from SageMaker as a
ValidationException after everything was copied. So a request is checked before, by the very model of the
installed botocore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import regex

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shape(Protocol):
    """The part of a botocore shape that is read."""

    type_name: str
    metadata: Mapping[str, Any]


def violations(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Give a sentence for every value that is outside its limits.

    Parameters
    ----------
    shape
        Of the value; a `botocore.model.Shape`.
    value
        As it would be sent.
    path
        Of the value, for the sentence.
    """
    yield from _own(shape, value, path)
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}".lstrip(".") + " is required"
        for name, member in value.items():
            if name in shape.members:
                yield from violations(shape.members[name], member, f"{path}.{name}".lstrip("."))
            else:
                yield f"{path}.{name}".lstrip(".") + " is not a member that SageMaker takes"
    elif shape.type_name == "list" and isinstance(value, Sequence):
        for i, element in enumerate(value):
            yield from violations(shape.member, element, f"{path}[{i}]")
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for key, entry in value.items():
            yield from violations(shape.key, key, f"{path} key {key[:40]!r}")
            yield from violations(shape.value, entry, f"{path}{{{key[:128]}}}")


_COUNTED = {"list": "entries", "map": "entries", "string": "characters"}


def _own(shape: Any, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    if shape.type_name in _COUNTED:
        size, unit = len(value), _COUNTED[shape.type_name]
        if (most := limits.get("max")) is not None and size > most:
            yield f"{path} has {size} {unit}, and at most {most} are allowed"
        if (least := limits.get("min")) is not None and size < least:
            yield f"{path} has {size} {unit}, and at least {least} are needed"
    if shape.type_name != "string":
        return
    if (choices := limits.get("enum")) and value not in choices:
        yield f"{path} is {value[:80]!r}, which is none of {', '.join(choices)}"
    pattern = limits.get("pattern")
    if pattern and not regex.fullmatch(_python(pattern), value):
        yield f"{path} ({len(value)} characters) does not match the pattern {pattern}: {value[:120]!r}"


def _python(pattern: str) -> str:
    """Mend the patterns of the model that no engine takes as they stand: ``(...)${1,128}`` means up to here."""
    return regex.sub(r"\$\{\d+,\d+\}$", "", pattern)
