"""Runs the real ``sam build`` on the hub's template, and reads what it made."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SAM = Path(sys.executable).parent / "sam"


def sam_environment() -> dict[str, str]:
    """Give the environment that ``sam`` runs in: this interpreter first on the path, no telemetry."""
    path = f"{SAM.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}


@dataclass(frozen=True)
class Build:
    """What ``sam build`` made for one architecture."""

    architecture: str
    folder: Path

    @cached_property
    def template(self) -> dict[str, Any]:
        """The built template. SAM writes it without short forms, so that it is plain YAML."""
        text = (self.folder / "template.yaml").read_text()
        return dict(yaml.safe_load(text))

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Properties of each function, those of the Globals too, by logical id."""
        shared = self.template["Globals"]["Function"]
        return {
            name: {**shared, **its} for name, its in self._properties("AWS::Serverless::Function").items()
        }

    @property
    def layer(self) -> Path:
        """The folder of the one layer that the functions share: what a function sees as /opt."""
        (layer,) = self._properties("AWS::Serverless::LayerVersion").values()
        return self.folder / str(layer["ContentUri"])

    def code(self, function: str) -> Path:
        """The folder of one function: what it sees as /var/task."""
        return self.folder / str(self.functions[function]["CodeUri"])

    def function(self, name: str) -> str:
        """Give the logical id of the function whose code is functions/<name>."""
        ends = f"-{name.replace('_', '-')}"
        (found,) = [
            key for key, its in self.functions.items() if its["FunctionName"]["Fn::Sub"].endswith(ends)
        ]
        return found

    def _properties(self, kind: str) -> dict[str, dict[str, Any]]:
        resources = self.template["Resources"].items()
        return {name: resource["Properties"] for name, resource in resources if resource["Type"] == kind}


def sam_build(architecture: str, folder: Path) -> Build:
    """Build the hub's stack for ``x86_64`` or ``arm64`` into a folder, or fail with what SAM CLI says."""
    command: list[str | Path] = [SAM, "build", "--template-file", "template.yaml", "--build-dir", folder]
    done = subprocess.run(
        [*command, "--parameter-overrides", f"Architecture={architecture}"],
        cwd=ROOT, env=sam_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"sam build for {architecture} failed:\n{done.stdout}\n{done.stderr}")
    return Build(architecture, folder)
