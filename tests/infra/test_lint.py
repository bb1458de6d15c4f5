"""Both templates pass cfn-lint and the real ``sam validate --lint``, as samconfig.toml has it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.infra import stacks

BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": stacks.REGION}


def run(*command: str) -> str:
    """Run a command of this environment in the project's folder, and give what it says."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=stacks.ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_cfn_lint_finds_nothing() -> None:
    assert run("cfn-lint", "template.yaml", "spoke.yaml") == ""


@pytest.mark.parametrize(("environment", "template"), [("default", "template.yaml"), ("spoke", "spoke.yaml")])
def test_sam_validates(environment: str, template: str) -> None:
    assert f"{template} is a valid SAM Template" in run(
        "sam", "validate", "--lint", "--config-env", environment
    )


def test_each_environment_has_its_own_template_folder_and_stack() -> None:
    config = tomllib.loads((stacks.ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    hub, spoke = config["default"], config["spoke"]
    assert hub["build"]["parameters"]["template_file"] == "template.yaml"
    assert spoke["build"]["parameters"]["template_file"] == "spoke.yaml"
    assert hub["global"]["parameters"]["stack_name"] != spoke["global"]["parameters"]["stack_name"]
    for one in (hub, spoke):
        built = f"{one['build']['parameters']['build_dir']}/template.yaml"
        assert one["deploy"]["parameters"]["template_file"] == built
        assert "parameter_overrides" not in one["deploy"]["parameters"], "those are the operator's"
    assert hub["build"]["parameters"]["build_dir"] != spoke["build"]["parameters"]["build_dir"]
