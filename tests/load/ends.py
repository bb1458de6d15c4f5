"""How a flood ended, checked with what an operator has: the ledger, the hub's registry, the dead letters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from replicator.identifiers import ImageReference
from replicator.provenance import SOURCE_ARN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.operator_of_hub import Hub
    from tests.load.flood import Flood, Version


def problems(flood: Flood) -> list[str]:
    """Give everything that is not as it should be, a sentence each; nothing when all is well."""
    ledger, mirrors, letters = entries(flood.hub), mirrored(flood.hub), dead(flood.hub)
    found = [
        problem for version in flood.versions for problem in _ended(flood, version, ledger, mirrors, letters)
    ]
    known = {version.arn for version in flood.versions}
    found += [f"a dead letter about {arn}, which nobody approved" for arn in letters.keys() - known]
    found += [
        f"{account} had {peak} runs at a time, {flood.scale.limit} are allowed"
        for account, peak in flood.in_flight.peaks.items()
        if peak > flood.scale.limit
    ]
    return found


def entries(hub: Hub) -> dict[str, dict[str, Any]]:
    """Give the ledger, by source ARN."""
    pages = hub.client("dynamodb").get_paginator("scan").paginate(TableName=f"{hub.namespace}-ledger")
    plain = [
        {name: next(iter(value.values())) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    ]
    return {item["source_arn"]: item for item in plain}


def mirrored(hub: Hub) -> dict[str, list[dict[str, Any]]]:
    """Give every version in the hub's registry, by the source that it says it is of."""
    found: dict[str, list[dict[str, Any]]] = {}
    pages = hub.sagemaker.get_paginator("list_model_package_groups").paginate()
    for group in [
        each["ModelPackageGroupName"] for page in pages for each in page["ModelPackageGroupSummaryList"]
    ]:
        for arn in hub.mirrors(group):
            mirror = hub.sagemaker.describe_model_package(ModelPackageName=arn)
            found.setdefault(mirror["CustomerMetadataProperties"][SOURCE_ARN], []).append(mirror)
    return found


def dead(hub: Hub) -> dict[str, list[str]]:
    """Give the codes of the dead letters, by source ARN."""
    found: dict[str, list[str]] = {}
    for letter in hub.letters():
        named = {name: value["StringValue"] for name, value in letter.get("MessageAttributes", {}).items()}
        found.setdefault(named.get("source_arn", letter["Body"]), []).append(named.get("code", "no code"))
    return found


def _ended(
    flood: Flood,
    version: Version,
    ledger: dict[str, dict[str, Any]],
    mirrors: dict[str, list[dict[str, Any]]],
    letters: dict[str, list[str]],
) -> Iterator[str]:
    entry, found = ledger.get(version.arn, {}), mirrors.get(version.arn, [])
    codes = letters.get(version.arn, [])
    if version.expected:
        if (entry.get("state"), entry.get("code")) != ("FAILED", version.expected):
            yield f"{version.arn} is {entry.get('state')} with {entry.get('code')}, not {version.expected}"
        if codes != [version.expected]:
            yield f"{version.arn} has the dead letters {codes}, not one {version.expected}"
        if found:
            yield f"{version.arn} was to fail and has {len(found)} mirrors"
        return
    if entry.get("state") != "IDLE":
        yield f"{version.arn} is {entry.get('state')} with {entry.get('code')}, not mirrored"
    if codes:
        yield f"{version.arn} is to be mirrored and has the dead letters {codes}"
    if len(found) != 1:
        yield f"{version.arn} has {len(found)} mirrors"
    for mirror in found:
        yield from _same(flood, version, entry, mirror)


def _same(flood: Flood, version: Version, entry: dict[str, Any], mirror: dict[str, Any]) -> Iterator[str]:
    (container,) = mirror["InferenceSpecification"]["Containers"]
    if entry.get("hub_arn") != mirror["ModelPackageArn"]:
        yield f"the ledger names {entry.get('hub_arn')} as mirror of {version.arn}"
    if flood.hub.read(container["ModelDataUrl"]) != version.scientist.artifacts[version.artifact]:
        yield f"the mirror of {version.arn} has another artifact"
    image = ImageReference.parse(container["Image"])
    if (image.account, image.digest) != (flood.hub.account, flood.images[version.scientist.account]):
        yield f"the mirror of {version.arn} has another image"


def failures(flood: Flood) -> Counter[str]:
    """Count what was to fail, by code."""
    return Counter(version.expected for version in flood.versions if version.expected)
