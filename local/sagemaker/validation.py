"""Checks a request against the service model, as the front of the service does before its own code runs.

Names, lengths, counts, patterns, enumerations and required members all come from the installed botocore;
the sentences are those that the service is reported to answer, for instance in
https://github.com/aws/amazon-sagemaker-examples/issues/2289 (pattern, spelling of the path).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
import regex
from botocore.utils import parse_timestamp

from local.sagemaker.values import Document, ServiceError, invalid

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


@cache
def service_model() -> ServiceModel:
    """Load the service model of SageMaker that ships with the installed botocore."""
    return botocore.session.get_session().get_service_model("sagemaker")


def read_request(operation: str, body: Any) -> Document:
    """Turn the JSON body of a request into its members, or refuse it.

    Unknown members are left out, as JSON services do; timestamps become aware datetimes.

    Raises
    ------
    ServiceError
        ``ValidationException`` with every violated constraint, ``SerializationException`` for a member of
        the wrong type.
    """
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    reader = _Reader()
    members: Document = reader.read(shape, body, "")
    if reader.problems:
        count = len(reader.problems)
        noun = "error" if count == 1 else "errors"
        raise invalid(f"{count} validation {noun} detected: " + "; ".join(reader.problems))
    return members


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, shape: Shape, value: Any, path: str) -> Any:
        kind = shape.type_name
        _check_type(kind, value, path)
        if kind == "structure":
            return self._structure(shape, value, path)
        if kind == "timestamp":
            return _timestamp(value)
        if constraint := broken_constraint(shape, value):
            self._report(shape, value, path, constraint)
        if kind == "list":
            return [self.read(shape.member, item, f"{path}.{n}.member") for n, item in enumerate(value, 1)]  # type: ignore[attr-defined]
        if kind == "map":
            self._map(shape, value, path)
        return value

    def _structure(self, shape: Shape, value: Document, path: str) -> Document:
        found = {}
        for name, member in shape.members.items():  # type: ignore[attr-defined]
            inner = f"{path}.{_lower(name)}" if path else _lower(name)
            if value.get(name) is not None:
                found[name] = self.read(member, value[name], inner)
            elif name in shape.required_members:
                self.problems.append(
                    f"Value null at '{inner}' failed to satisfy constraint: Member must not be null"
                )
        return found

    def _map(self, shape: Shape, value: dict[str, Any], path: str) -> None:
        # Every map in these operations goes from text to text.
        for key, item in value.items():
            for noun, inner, text in (("keys", shape.key, key), ("value", shape.value, item)):  # type: ignore[attr-defined]
                _check_type(inner.type_name, text, path)
                if constraint := broken_constraint(inner, text):
                    self._report(shape, value, path, f"Map {noun} must satisfy constraint: [{constraint}]")

    def _report(self, shape: Shape, value: Any, path: str, constraint: str) -> None:
        shown = "Value" if shape.metadata.get("sensitive") else f"Value '{_shown(value)}'"
        self.problems.append(f"{shown} at '{path}' failed to satisfy constraint: {constraint}")


def _check_type(kind: str, value: Any, path: str) -> None:
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        where = path or "the request"
        raise ServiceError(
            "SerializationException", f"Unexpected value type in payload: {where} is no {kind}"
        )


def broken_constraint(shape: Shape, value: Any) -> str | None:
    """Say which constraint of the shape the value breaks, in the service's words; None when it keeps all."""
    metadata = shape.metadata
    number = isinstance(value, int | float)
    size, measure = (value, "value") if number else (len(value), "length")
    low, high = metadata.get("min"), metadata.get("max")
    if low is not None and size < low:
        return f"Member must have {measure} greater than or equal to {low}"
    if high is not None and size > high:
        return f"Member must have {measure} less than or equal to {high}"
    if metadata.get("enum") and value not in metadata["enum"]:
        return f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"
    if metadata.get("pattern") and not _pattern(metadata["pattern"]).fullmatch(value):
        return f"Member must satisfy regular expression pattern: {metadata['pattern']}"
    return None


@cache
def _pattern(text: str) -> regex.Pattern[str]:
    # The patterns are Java's: \p{L} and its like, which Python's own `re` does not know.
    return regex.compile(text)


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return str(value)


def _timestamp(value: float | str) -> datetime:
    if isinstance(value, str):
        return parse_timestamp(value).astimezone(UTC)
    return datetime.fromtimestamp(value, UTC)
