"""Plays the demo from the first act to the verdict."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from local.demo import acts, checks, report
from local.demo.hub import Hub
from local.demo.scientist import Scientist
from local.demo.stage import HUB, REGION, SPOKES, Stage
from local.server import LocalAws

if TYPE_CHECKING:
    from local.demo.report import Row
    from local.demo.screen import Screen

ACTS = (acts.register_models, acts.approve, acts.reject, acts.repeat, acts.redrive, acts.burn_down)


def play(screen: Screen, patience: float, cut: str | None = None) -> bool:
    """Play the demo, print the report, and tell whether every check holds.

    Parameters
    ----------
    patience
        Seconds to wait for an outcome before its check counts as failed.
    cut
        One of `stage.LINKS`, disabled after the deployment.
    """
    rows: list[Row] = []
    with ExitStack() as stack:
        with screen.step(f"Starting a local AWS: hub {HUB}, spokes {SPOKES[0]} and {SPOKES[1]}"):
            aws = stack.enter_context(LocalAws(region=REGION))
            screen.news(f"at {aws.endpoint}, in this process; nothing leaves the machine")
        people = {account: Scientist(aws, account) for account in SPOKES}
        stage = Stage(aws, screen, Hub(aws, HUB), people, patience)
        try:
            acts.deploy_stacks(stage, cut)
            for act in ACTS:
                act(stage)
            rows = checks.prove(stage)
        except Exception as error:
            stage.report.check("The demo comes to its end", False, f"{type(error).__name__}: {error}")
    report.close(screen, stage.report, rows)
    return stage.report.passed
