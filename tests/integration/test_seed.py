"""``python -m local`` as people run it: seeded, and what it prints is enough to approve a model and find its mirror."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.integration.conftest import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Running:
    """A ``python -m local`` that is under way."""

    def __init__(self, folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "--port", "0", "--folder", str(folder)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.said += line

    def guide(self) -> str:
        """Wait for the guide to be whole, and give it."""

        def whole() -> bool:
            return "Ctrl-C ends it." in self.said or self.process.poll() is not None

        wait_for(whole, seconds=180, what="python -m local to say how to look around")
        assert self.process.poll() is None, self.said
        return self.said


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    if found.process.poll() is None:
        found.process.kill()
    found.process.wait(timeout=30)


@pytest.fixture
def profiles(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_a_seeded_version_is_approved_with_the_printed_profiles(
    running: Running, profiles: pytest.MonkeyPatch
) -> None:
    guide = running.guide()
    exported = re.search(r"export AWS_CONFIG_FILE=(\S+) AWS_SHARED_CREDENTIALS_FILE=(\S+)", guide)
    assert exported
    profiles.setenv("AWS_CONFIG_FILE", exported[1])
    profiles.setenv("AWS_SHARED_CREDENTIALS_FILE", exported[2])

    def client(profile: str) -> Any:
        return boto3.Session(profile_name=profile).client("sagemaker")

    printed = re.search(
        r"spoke-a sagemaker update-model-package .*\n *--model-package-arn (arn:aws:\S+/tumour-classifier/1)",
        guide,
    )
    assert printed
    spoke, hub = client("spoke-a"), client("hub")
    status = spoke.describe_model_package(ModelPackageName=printed[1])["ModelApprovalStatus"]
    assert status == "PendingManualApproval"
    assert hub.list_model_package_groups()["ModelPackageGroupSummaryList"] == []

    spoke.update_model_package(ModelPackageArn=printed[1], ModelApprovalStatus="Approved")

    def mirrors() -> list[Any]:
        try:
            found = hub.list_model_packages(ModelPackageGroupName="111111111111-tumour-classifier")
        except hub.exceptions.ClientError:
            return []
        return list(found["ModelPackageSummaryList"])

    assert len(wait_for(mirrors, seconds=120, what="the mirror")) == 1
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=60) == 0, running.said
