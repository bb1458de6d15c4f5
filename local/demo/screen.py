"""What the demo shows while it runs: a clock, a line for each step and each piece of news."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100


class Screen:
    """Writes to the terminal; plain lines where there is none.

    Parameters
    ----------
    console
        Where to; the standard output by default, at most `WIDTH` columns wide.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Give the seconds since the beginning."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what is done now; on a terminal a spinner turns under it as long as it lasts."""
        self._line(f"{self.seconds:5.1f} s  ", title, "bold")
        if not self.console.is_terminal:
            yield
            return
        with Live(Spinner("dots", style="cyan"), console=self.console, transient=True, refresh_per_second=8):
            yield

    def news(self, text: str, style: str = "") -> None:
        """Say something that happened in the step."""
        self._line(" " * 9, text, style)

    def blank(self) -> None:
        """Leave a line free."""
        self.console.print()

    def _line(self, margin: str, text: str, style: str) -> None:
        width = self.console.width - len(margin)
        for number, line in enumerate(Text(text, style=style).wrap(self.console, width)):
            head = Text(margin if number == 0 else " " * len(margin), style="dim")
            self.console.print(head.append_text(line), highlight=False, soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        return Console(highlight=False, width=WIDTH)
    return Console(highlight=False, width=min(console.width, WIDTH))
