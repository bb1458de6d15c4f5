"""What bare moto does where `local.ecr` replaces it: a test that fails here says that a patch may go."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.ecr import LocalRegistry, install

BARE = {
    "create_repository": ["made", "made"],
    "put_image": f"sha256:{'0' * 64}",
    "complete_layer_upload": "taken",
    "get_image_size_in_bytes": "the configuration's",
    "get_authorization_token": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "get_download_url_for_layer": "not implemented",
    "ecr_backend": "RepositoryNotFoundException",
}
"""What moto answers where Amazon ECR answers something else, by the attribute that is replaced for it."""


@cache
def bare() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.integration.bare_ecr"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", BARE)
def test_a_patch_is_needed_while_bare_moto_answers_otherwise(name: str) -> None:
    assert bare()[name] == BARE[name], (
        f"moto changed: see whether local.ecr.control still has to replace {name}"
    )


def test_every_patch_has_its_question(tmp_path: Path) -> None:
    replaced: list[str] = []
    install(LocalRegistry(tmp_path), lambda owner, name, value: replaced.append(name))
    assert sorted(replaced) == sorted(BARE)
