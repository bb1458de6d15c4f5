"""Where the demo plays and who is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.demo.report import Report

if TYPE_CHECKING:
    from local.demo.hub import Hub
    from local.demo.scientist import Registered, Scientist
    from local.demo.screen import Screen
    from local.server import LocalAws

ROOT = Path(__file__).parents[2]
HUB = "999999999999"
SPOKES = ("111111111111", "222222222222")
REGION = "us-east-1"
TUMOURS, SECOND_TRY, WINES, DIABETES, DIGITS, IRISES = (
    "tumours",
    "tumours, second try",
    "wines",
    "diabetes",
    "digits",
    "irises",
)
CAST = {
    TUMOURS: SPOKES[0],
    SECOND_TRY: SPOKES[0],
    WINES: SPOKES[0],
    DIABETES: SPOKES[1],
    DIGITS: SPOKES[1],
    IRISES: SPOKES[1],
}
"""The spoke that each model is registered in, by its name in `models.RECIPES`."""

LINKS = {
    "forward": (SPOKES[1], "registry-replicator-forward", "default"),
    "intake": (HUB, "registry-replicator-intake", "registry-replicator"),
}
"""Rules that an event passes: account, name and bus."""


@dataclass
class Stage:
    """Everybody and everything in the demo.

    Parameters
    ----------
    patience
        Seconds to wait for the outcome of a run.
    """

    aws: LocalAws
    screen: Screen
    hub: Hub
    people: dict[str, Scientist]
    patience: float
    report: Report = field(default_factory=Report)
    versions: dict[str, Registered] = field(default_factory=dict)
    """By their name in `models.RECIPES`."""

    def owner(self, name: str) -> Scientist:
        """Give the data scientist whose model it is."""
        return self.people[CAST[name]]

    def named(self, arn: str) -> str:
        """Name a version for people."""
        for version in self.versions.values():
            if version.arn == arn:
                return version.label
        return arn

    def tell(self, outcome: dict[str, Any]) -> None:
        """Say how a run ended."""
        status, name = outcome["Status"].lower(), self.named(outcome["SourceModelPackageArn"])
        hub_arn = outcome.get("HubModelPackageArn")
        if not hub_arn or status in ("failed", "refused"):
            self.screen.news(f"{status:9} {name}: {outcome.get('Code')}", "yellow")
            return
        what = outcome.get("HubModelApprovalStatus", "")
        if status == "mirrored":
            what = f"{_count(outcome, 'artifact')}, {_count(outcome, 'image')}"
        mirror = hub_arn.rpartition("model-package/")[2]
        self.screen.news(f"{status:9} {name} -> {mirror}: {what}", "green")


def _count(outcome: dict[str, Any], noun: str) -> str:
    number = int(outcome.get(f"{noun.capitalize()}s", 0))
    return f"{number} {noun}{'' if number == 1 else 's'}"
