"""Thousands of versions with their mirrors, put straight into the local registry and the ledger."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.landscape import HUB
from local.sagemaker import packages
from local.sagemaker.values import GROUP, PACKAGE, Caller, Group, Package, Reference
from replicator.mirror_update import shown
from replicator.package import created, digest, fingerprint
from tests.faults.world import SPOKE_A

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World

IMAGE = "141502667606.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Many:
    """What was put there, by what is wrong with it; the ARNs of the sources."""

    fine: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)

    @property
    def sent(self) -> set[str]:
        """Those that a run has to look at."""
        return {*self.missing, *self.newer, *self.gone}


@contextmanager
def filled(world: World, name: str, groups: int, versions: int) -> Iterator[Many]:
    """Make groups with so many versions each, and take them away again.

    One in a hundred of them is missing, newer, gone and drifted.
    """
    store = world.aws.registry._store
    before = {*store.groups, *store.packages}
    table = world.aws.session(HUB).resource("dynamodb").Table(f"{world.namespace}-ledger")
    many, items = _make(world, name, groups, versions)
    with table.batch_writer() as batch:
        for item in items:
            batch.put_item(item)
    try:
        yield many
    finally:
        # What a test left of messages and runs about them comes to rest first, as after every test.
        world.begin()
        world.settle()
        for made in (store.groups, store.packages):
            for reference in made.keys() - before:
                del made[reference]
        with table.batch_writer() as batch:
            for item in items:
                batch.delete_item({"source_arn": item["source_arn"]})


def _make(world: World, name: str, groups: int, versions: int) -> tuple[Many, list[dict[str, Any]]]:
    many = Many()
    items: list[dict[str, Any]] = []
    for number in range(groups):
        spoke_group = _group(world, SPOKE_A, f"{name}-{number}")
        hub_group = _group(world, HUB, f"{SPOKE_A}-{name}-{number}")
        for version in range(1, versions + 1):
            source = _package(world, spoke_group, version)
            kind = {1: "missing", 2: "newer", 3: "gone", 4: "drifted"}.get(version % 100, "fine")
            arn = source.reference.arn
            getattr(many, kind).append(arn)
            if kind != "missing":
                mirror = _package(world, hub_group, version)
                items.append(_item(source, mirror, newer=kind == "newer"))
                if kind == "drifted":
                    mirror.members["CustomerMetadataProperties"] = {"note": "a person's"}
            if kind == "gone":
                del world.aws.registry._store.packages[source.reference]
    return many, items


def _caller(world: World, account: str) -> Caller:
    return Caller(account, world.aws.region, f"arn:aws:iam::{account}:role/local-admin", "AROA")


def _group(world: World, account: str, name: str) -> Group:
    reference = Reference(account, world.aws.region, GROUP, name)
    group = Group(reference, _BEGAN, _caller(world, account), {}, {})
    world.aws.registry._store.groups[reference] = group
    return group


def _package(world: World, group: Group, version: int) -> Package:
    own = group.reference
    reference = Reference(own.account, own.region, PACKAGE, own.name, version)
    at = _BEGAN + timedelta(seconds=version)
    members = {
        "ModelApprovalStatus": "Approved",
        "ModelPackageDescription": f"version {version}",
        "InferenceSpecification": {"Containers": [{"Image": IMAGE}], "SupportedContentTypes": ["text/csv"]},
        "CustomerMetadataProperties": {"note": "the scientist's"},
    }
    package = Package(reference, at, _caller(world, own.account), at, members)
    world.aws.registry._store.packages[reference] = package
    group.last_version = version
    return package


def _item(source: Package, mirror: Package, *, newer: bool) -> dict[str, Any]:
    now = datetime.now(UTC)
    there, here = packages.describe(source, now), packages.describe(mirror, now)
    return {
        "source_arn": source.reference.arn,
        "state": "IDLE",
        "attempt": 1,
        "read_at": now.isoformat(timespec="microseconds"),
        "hub_arn": mirror.reference.arn,
        "fingerprint": "of another state" if newer else fingerprint(there),
        "source_created": created(there),
        "source_approval": "Approved",
        "written": {unit: f"{digest(value)}:{digest(value)}" for unit, value in shown(here).items()},
        "locations": {f"s3://bucket/{i}": f"s3://hub/{i}" * 10 for i in range(5)},
    }
