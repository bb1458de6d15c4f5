"""Real registries: Debian's docker-registry, on loopback, each with its own storage."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from local.images import OciImage, push
from replicator.aws.oci_registry import Place, Registry
from tests.conformance.registries import real_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def need(*binaries: str) -> None:
    """Skip, saying what is missing and how to get it."""
    missing = [name for name in binaries if not shutil.which(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing: apt-get install docker-registry skopeo")


@pytest.fixture
def spoke(tmp_path: Path) -> Iterator[Place]:
    """A repository in the registry that plays the spoke's."""
    need("docker-registry", "skopeo")
    with real_registry(tmp_path / "spoke") as url:
        yield Place(Registry(url), "team/scorer")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Place]:
    """A repository in the registry that plays the hub's."""
    need("docker-registry", "skopeo")
    with real_registry(tmp_path / "hub") as url:
        yield Place(Registry(url), "mirror/111122223333/team/scorer")


def push_to(place: Place, image: OciImage, tag: str | None = "1.0") -> str:
    """Push what a data scientist would."""
    return push(image, place.registry.base_url, place.registry.authorization, place.repository, tag)
