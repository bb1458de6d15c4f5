"""What every test may use, and the rule of continuous integration that nothing is skipped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.artifacts.sam_build import sam_build

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.artifacts.sam_build import Build

# Set by .ci/run: a test that is skipped there fails, and says what was missing.
REQUIRE_ALL = "REQUIRE_ALL"


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get(REQUIRE_ALL) and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL} is set, and this was skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped when everything is required."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that was skipped as a whole when everything is required."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    """Give a function that runs ``sam build`` for an architecture, once in a session."""
    builds: dict[str, Build] = {}

    def build(architecture: str) -> Build:
        if architecture not in builds:
            folder = tmp_path_factory.mktemp(f"sam-{architecture}")
            builds[architecture] = sam_build(architecture, folder / "build")
        return builds[architecture]

    return build
