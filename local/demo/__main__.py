"""Runs the demo: ``python -m local.demo``. Exits with 1 if any check that it prints does not hold."""

from __future__ import annotations

import argparse
import logging
import sys

from local.demo.screen import Screen
from local.demo.stage import LINKS
from local.demo.story import play


def main(arguments: list[str] | None = None) -> int:
    """Play the demo, and say with the exit status whether everything held."""
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Approves models in two spoke accounts of a local AWS and proves that the hub mirrors them.",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for a mirror (%(default)s)",
    )
    parser.add_argument(
        "--cut",
        choices=sorted(LINKS),
        help="disable one rule of the deployed stacks first, to see that the checks notice",
    )
    options = parser.parse_args(arguments)
    # What moto and werkzeug have to say would come between the lines.
    logging.disable(logging.CRITICAL)
    try:
        return 0 if play(Screen(), patience=options.patience, cut=options.cut) else 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left behind.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
