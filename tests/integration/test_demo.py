"""The demo as people run it, ``python -m local.demo``: it passes, and it does not when the system is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.integration.conftest import ROOT

VERSIONS = (
    "tumour-classifier/1",
    "tumour-classifier/2",
    "wine-cultivar/1",
    "diabetes-forecast/1",
    "digit-reader/1",
    "iris-species/1",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo without a terminal, and without credentials or settings of whoever runs the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "local.demo", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_the_demo_holds_and_closes_with_a_table() -> None:
    ended = run("--patience", "240")
    output = ended.stdout
    assert ended.returncode == 0, output + ended.stderr
    assert ended.stderr == ""
    table = output[output.index("Source version") :]
    for heading in ("Mirror in the hub", "Artifacts", "Image digest", "Status", "Seconds"):
        assert heading in table
    for version in VERSIONS:
        assert table.count(version) == 2, f"source and mirror of {version}"
    assert len(re.findall(r"sha256:[0-9a-f]{12}", table)) == 7  # the pipeline has two
    assert re.search(r"\d+ objects .* \d+\.\d$", table, re.MULTILINE)
    assert re.search(r"^All 1[0-9] checks hold\.", table, re.MULTILINE)
    assert "FAILS" not in output
    assert "SOURCE_OBJECT_MISSING: s3://" in re.sub(r"\s+", " ", output)
    assert "then redrive" in output
    assert max(map(len, output.splitlines())) <= 100
    assert "\x1b" not in output


def test_the_demo_fails_when_no_event_reaches_the_hub() -> None:
    ended = run("--cut", "intake", "--patience", "10")
    output = ended.stdout
    assert ended.returncode == 1, output + ended.stderr
    assert "FAILS Each of the 6 approved versions has exactly one mirror" in output
    assert "FAILS Every model loaded from the hub predicts as before" in output
    assert re.search(r"^\d+ of \d+ checks DO NOT HOLD\.", output, re.MULTILINE)
