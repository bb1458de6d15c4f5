"""The script for real accounts, tried on the local AWS: both say the same of AWS, or one of them is wrong."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from local.accounts import NO_FILES
from local.sagemaker import updates
from tests.integration.conftest import ROOT
from tools import real_account
from tools.real_checks.checks import Check, Outcome, attempt
from tools.real_checks.world import Side, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.server import LocalAws

HUB, SPOKE = "333333333321", "333333333322"
# What the local AWS leaves open because nothing is known of it, or because it has no such thing.
OPEN = {"describe-etag", "annotations"}


@pytest.fixture(scope="module")
def world(local_aws: LocalAws) -> Iterator[World]:
    hub, spoke = (
        Side(name, local_aws.session(account), account, local_aws.endpoint)
        for name, account in (("hub", HUB), ("spoke", SPOKE))
    )
    with World(
        hub, spoke, "rr-check-test", patience=20, quiet=1, organization=local_aws.organization
    ) as made:
        yield made


@pytest.mark.parametrize("one", real_account.CHECKS, ids=lambda one: one.name)
def test_the_local_aws_does_what_the_real_one_is_believed_to_do(world: World, one: Check) -> None:
    result = attempt(one, world)
    assert result.outcome is (Outcome.SKIPPED if one.name in OPEN else Outcome.PASS), result.seen


def test_a_claim_that_does_not_hold_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = real_account.chosen(["metadata-limit"])
    monkeypatch.setattr(updates, "MAX_PROPERTIES", 60)
    result = attempt(one, world)
    assert (result.outcome, result.seen) == (Outcome.FAIL, "the call was taken, not refused")


def test_nothing_is_left_behind(local_aws: LocalAws, fresh: Callable[[str], str]) -> None:
    sides = [
        Side(n, local_aws.session(a), a) for n, a in (("hub", "333333333323"), ("spoke", "333333333324"))
    ]
    world = World(sides[0], sides[1], fresh("rr-check"), patience=20, quiet=0.5)
    names = ["describe-etag", "crc64nvme", "envelope", "immutable-tags"]
    console = Console(file=io.StringIO(), width=200)
    results = real_account.run(real_account.chosen(names), world, console)
    assert real_account.show(results, world.left, console) == 0
    assert world.left == []
    for side in sides:
        assert side.client("s3").list_buckets()["Buckets"] == []
        assert side.client("ecr").describe_repositories()["repositories"] == []
        assert side.client("sqs").list_queues().get("QueueUrls", []) == []
        groups = side.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
        roles = [role["RoleName"] for role in side.client("iam").list_roles()["Roles"]]
        assert (groups, roles) == ([], ["local-admin"])
        assert [bus["Name"] for bus in side.client("events").list_event_buses()["EventBuses"]] == ["default"]
        assert side.client("events").list_rules()["Rules"] == []


def test_the_command_finds_the_accounts_by_their_profiles(local_aws: LocalAws, tmp_path: Path) -> None:
    config = tmp_path / "config"
    lines = []
    for profile, account in (("a", HUB), ("b", SPOKE)):
        given = local_aws.credentials(account)
        lines += [
            f"[profile {profile}]",
            f"region = {local_aws.region}",
            f"endpoint_url = {local_aws.endpoint}",
        ]
        lines += [f"{name.lower()} = {value}" for name, value in given.environment().items()]
    config.write_text("\n".join(lines), encoding="utf-8")
    names = ["client-token-repeats", "session-tag", "proxy-endpoint", "envelope"]
    arguments = ["--hub-profile", "a", "--spoke-profile", "b", "--yes"]
    arguments += [word for name in names for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, "-m", "tools.real_account", *arguments],
        cwd=ROOT,
        env={**NO_FILES, "AWS_CONFIG_FILE": str(config), "COLUMNS": "160", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 PASS, 0 FAIL, 0 SKIPPED" in done.stdout
