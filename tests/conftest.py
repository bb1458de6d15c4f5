"""What every test may use, and the rule of continuous integration that nothing is skipped."""

from __future__ import annotations

import fcntl
import gc
import os
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.artifacts.sam_build import Build, sam_build

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

pytest_plugins = ["tests.shared_aws"]

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


def pytest_collection_finish() -> None:
    """Leave what was imported, and stays, out of every later search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    """Give a function that runs ``sam build`` for an architecture, once in a session.

    Processes that run tests side by side (pytest-xdist) have folders in a common one: they share the builds.
    """
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @cache
    def build(architecture: str) -> Build:
        folder = common / f"sam-{architecture}"
        with (common / f"sam-{architecture}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return Build(architecture, folder)
            made = folder.with_suffix(".unfinished")
            sam_build(architecture, made)
            made.rename(folder)
        return Build(architecture, folder)

    return build
