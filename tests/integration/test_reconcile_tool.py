"""``make reconcile`` and ``make backfill``, as an operator sees them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import boto3
import pytest

from replicator.reconciliation import Totals
from tests.integration.conftest import HUB, SPOKE_A, Landscape
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.integration.test_reconcile import READ, register, unheard
from tools import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def hub(deployment: Landscape, monkeypatch: pytest.MonkeyPatch) -> Hub:
    aws = deployment.aws
    for name, value in aws.environment(HUB).items():
        monkeypatch.setenv(name, value)
    # The operator's credentials are those of now, whatever this process asked boto3 for before.
    nobody = boto3.Session(aws_access_key_id="nobody", aws_secret_access_key="nobody")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", nobody)
    monkeypatch.setattr(reconcile, "_POLL_SECONDS", 0.2)
    return Hub(aws, deployment.hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("model"))


def test_a_dry_run_and_then_the_real_one(
    hub: Hub, scientist: DataScientist, capsys: pytest.CaptureFixture[str]
) -> None:
    with unheard(scientist):
        arn = register(scientist, ModelApprovalStatus="Approved")
    words = ["backfill", "--account", SPOKE_A, "--group", scientist.group]
    assert reconcile.main([*words, "--dry-run"]) == reconcile.DONE
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"MISSING        {arn}  it is Approved and has no mirror"
    assert said[1] == "Nothing was sent."
    assert said[2].startswith("1 versions listed, 0 mirrors compared: 1 missing, ")
    assert said[2].endswith("0 enqueued.")
    assert hub.entry(arn) == {}

    assert reconcile.main(words) == reconcile.DONE
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("it is Approved and has no mirror -> a run is asked for")
    assert said[-1].endswith("1 enqueued.")
    assert hub.mirror(arn)
    # Attached to again, it says the same.
    assert reconcile.main([*words, "--follow"]) == reconcile.DONE
    assert capsys.readouterr().out.splitlines() == said


def test_an_unreadable_spoke_and_a_failure_have_exit_codes_of_their_own(
    hub: Hub, scientist: DataScientist, capsys: pytest.CaptureFixture[str]
) -> None:
    iam = scientist.client("iam")
    trust = iam.get_role(RoleName=READ)["Role"]["AssumeRolePolicyDocument"]
    closed = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    nobody = {"Version": "2012-10-17", "Statement": [closed]}
    iam.update_assume_role_policy(RoleName=READ, PolicyDocument=json.dumps(nobody))
    words = ["reconcile", "--account", SPOKE_A, "--group", scientist.group]
    try:
        assert reconcile.main(words) == reconcile.UNREADABLE
    finally:
        iam.update_assume_role_policy(RoleName=READ, PolicyDocument=json.dumps(trust))
    assert f"Not read: {SPOKE_A}." in capsys.readouterr().out
    for more in (["--dry-run"], []):
        assert reconcile.main(["backfill", "--account", "333333333333", *more]) == reconcile.FAILED
        assert "UNKNOWN_ACCOUNT" in capsys.readouterr().err


def test_a_spoke_that_was_left_out_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    totals = Totals(missing=2, enqueued=1, left_out=1).model_dump()
    assert reconcile.close(totals, []) == reconcile.LEFT_OUT
    assert "1 were left out: their spoke has as many runs as it may have." in capsys.readouterr().out
    assert reconcile.close({**totals, "left_out": 0}, []) == reconcile.DONE


def test_ctrl_c_leaves_it_running(
    hub: Hub,
    scientist: DataScientist,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reconcile, "time", SimpleNamespace(sleep=interrupted))
    words = ["backfill", "--account", SPOKE_A, "--group", scientist.group]
    assert reconcile.main(words) == reconcile.INTERRUPTED
    assert "make backfill ARGS=--follow" in capsys.readouterr().err
