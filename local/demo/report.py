"""What the demo closes with: the table of mirrors, and what holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from local.demo.screen import Screen


@dataclass(frozen=True)
class Row:
    """One source version and its mirror. Members with two lines are written with a line break."""

    source: str
    mirror: str
    artifacts: str
    image: str
    status: str
    seconds: float | None


@dataclass(frozen=True)
class Check:
    """Something that holds or does not, and what was seen when it does not."""

    claim: str
    holds: bool
    seen: str = ""


@dataclass
class Report:
    """Collects checks."""

    checks: list[Check] = field(default_factory=list)

    def check(self, claim: str, holds: object, seen: str = "") -> None:
        """Note whether a claim holds.

        Parameters
        ----------
        claim
            A sentence without a full stop.
        holds
            Its truth.
        seen
            What was seen, for when it does not hold.
        """
        self.checks.append(Check(claim, bool(holds), seen))

    @property
    def passed(self) -> bool:
        """Tell whether there are checks and all of them hold."""
        return bool(self.checks) and all(check.holds for check in self.checks)


def table(rows: list[Row]) -> Table:
    """Draw the table of the mirrors, two lines for each, 100 columns at most."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for name in ("Source version", "Mirror in the hub", "Artifacts", "Image digest", "Status", "Seconds"):
        drawn.add_column(
            name, justify="right" if name in ("Artifacts", "Seconds") else "left", overflow="fold"
        )
    for number, row in enumerate(rows):
        if number:
            drawn.add_row()
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        cells = (row.source, row.mirror, row.artifacts, row.image, row.status, seconds)
        drawn.add_row(*(Text(cell) for cell in cells))
    return drawn


def close(screen: Screen, report: Report, rows: list[Row]) -> None:
    """Print the table, the checks and the verdict."""
    screen.blank()
    if rows:
        screen.console.print(table(rows))
        screen.blank()
        for note in (
            "pending: PendingManualApproval, until somebody in the hub approves it as well.",
            "Seconds: of the run, from taking in the event to the mirror.",
            "A version's number in the hub is the hub's own; its metadata name the source.",
        ):
            screen.console.print(note, soft_wrap=True)
        screen.blank()
    for check in report.checks:
        mark = ("  ok    ", "green") if check.holds else ("  FAILS ", "bold red")
        for number, line in enumerate(Text(check.claim).wrap(screen.console, screen.console.width - 8)):
            screen.console.print(Text.assemble(mark if number == 0 else " " * 8, line), soft_wrap=True)
        if not check.holds and check.seen:
            screen.console.print(Padding(Text(check.seen, style="red"), (0, 0, 0, 8)))
    failed = sum(not check.holds for check in report.checks)
    screen.blank()
    total = len(report.checks)
    if report.passed:
        screen.console.print(
            Text(f"All {total} checks hold. {screen.seconds:.0f} seconds.", style="bold green")
        )
    else:
        verdict = f"{failed} of {total} checks DO NOT HOLD. {screen.seconds:.0f} seconds."
        screen.console.print(Text(verdict, style="bold red"))
