"""What must have become of every member of a source: reckoned apart from the code that makes the mirror."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import regex

from replicator import fields
from replicator.fields import Card, Decided, Drop, Each, Image, Keep, Location, ReadOnly, Text, Values
from replicator.identifiers import InvalidIdentifierError, S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replicator.fields import Node, Rule


def rule_of(path: str) -> Rule:
    """Give the rule for a path such as ``InferenceSpecification.Containers[0].Environment{key}``."""
    node: Node = fields.PACKAGE
    for step in regex.findall(r"\{.*\}$|\[\d+\]|[^.\[{]+", path):
        if isinstance(node, dict):
            node = node[step]
        elif isinstance(node, Each) and step.startswith("["):
            node = node.node
        elif isinstance(node, Values) and step.startswith("{"):
            node = node.rule
        else:
            return node  # type: ignore[return-value]  # the rule stands for all that is below
    assert not isinstance(node, dict | Each | Values), path
    return node


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value that is neither a structure nor a list, with its path. What is empty has none."""
    if isinstance(value, dict):
        is_map = path.endswith(("Environment", "CustomerMetadataProperties"))
        for name, member in value.items():
            inner = f"{path}{{{name}}}" if is_map else f"{path}.{name}".lstrip(".")
            yield from leaves(member, inner)
    elif isinstance(value, list):
        for i, element in enumerate(value):
            yield from leaves(element, f"{path}[{i}]")
    else:
        yield path, value


def _without_empty(value: Any, path: str = "") -> Any:
    """Leave out what is empty, and what is empty once members that are not carried over are gone."""
    if isinstance(value, dict):
        is_map = path.endswith(("Environment", "CustomerMetadataProperties"))
        found = {
            name: _without_empty(member, f"{path}{{{name}}}" if is_map else f"{path}.{name}".lstrip("."))
            for name, member in value.items()
        }
        return {name: member for name, member in found.items() if member is not None} or None
    if isinstance(value, list):
        elements = [_without_empty(element, f"{path}[{i}]") for i, element in enumerate(value)]
        # Every list that is carried over is of structures, or of texts that are kept.
        return [{} if element is None else element for element in elements] or None
    return None if isinstance(rule_of(path), Drop | Decided | ReadOnly) else value


def unaccounted(
    source: Mapping[str, Any],
    shown: Mapping[str, Any],
    dropped: Mapping[str, str],
    locations: Mapping[str, str],
) -> Iterator[str]:
    """Give a sentence for every member of the source that was lost, or changed without a rule that says so.

    Parameters
    ----------
    source
        As Describe gives it.
    shown
        What stands for it: the request, or the mirror as Describe gives it.
    dropped
        Path of each member that was dropped, and why.
    locations
        Where each location went.
    """
    there, digests = dict(leaves(shown)), dict(leaves(dict(source)))
    for path, _ in leaves(dict(source)):
        if isinstance(rule_of(path), Drop) and not any(
            path == known or path.startswith((f"{known}.", f"{known}[")) for known in dropped
        ):
            yield f"{path} was dropped without a reason"
    for path, value in leaves(_without_empty(dict(source)) or {}):
        if path in dropped:
            continue
        expected = _expected(rule_of(path), value, locations)
        if path.endswith(".Image") and value not in locations and (digest := digests.get(f"{path}Digest")):
            # It stays in a registry of AWS's, and is named by the digest that was recorded.
            expected = (
                f"{value.partition('@')[0].rpartition(':')[0] or value.partition('@')[0]}@{digest.lower()}"
            )
        if path not in there:
            yield f"{path} was lost: {value!r:.200}"
        elif there[path] != expected and _parsed(there[path]) != _parsed(expected):
            yield f"{path} is {there[path]!r:.200} and not {expected!r:.200}"


def _went(value: Any, locations: Mapping[str, str]) -> Any:
    """Return where a location went, whichever way it is spelled; any other value as it is."""
    with suppress(InvalidIdentifierError, TypeError):
        return locations.get(value) or locations.get(str(S3Uri.parse(value)), value)
    return value


def _expected(rule: Rule, value: Any, locations: Mapping[str, str]) -> Any:
    if isinstance(rule, Location | Text | Image | fields.SourceUri):
        return _went(value, locations)
    if isinstance(rule, Card):
        card = json.loads(value)
        if artifacts := card.get("model_overview", {}).get("model_artifact"):
            card["model_overview"]["model_artifact"] = [_went(a, locations) for a in artifacts]
        return card
    assert isinstance(rule, Keep | fields.Refuse), rule
    return value


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def locations_in(shown: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give every value that the field map says is a location, with its path, those in a card too."""
    for path, value in leaves(dict(shown)):
        rule = rule_of(path)
        is_text = isinstance(rule, Text | fields.SourceUri)
        if isinstance(rule, Location | Image) or (is_text and value.startswith("s3://")):
            yield path, value
        elif isinstance(rule, Card):
            for artifact in json.loads(value).get("model_overview", {}).get("model_artifact", []):
                yield f"{path}: model_artifact", artifact
