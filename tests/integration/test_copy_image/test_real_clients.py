"""Clients that people use push to the local registry and pull from it, and a mirror is in the middle."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from local.images import build_image, build_index
from tests.integration.test_copy_image.conftest import HUB, NAMESPACE, SPOKE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.test_copy_image.conftest import World

NAME = "team/scorer"
MIRROR = f"{NAMESPACE}/{SPOKE}/{NAME}"
FILES = {f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}


def run(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | variables, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def host_of(world: World, account: str) -> str:
    return world.login(account)[0].removeprefix("http://")


def need(program: str, package: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} missing: apt-get install {package}")


@dataclass
class Docker:
    """Docker with the tokens of the accounts; it takes registries on loopback without TLS."""

    world: World
    folder: Path
    images: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str) -> str:
        auths = {
            host_of(self.world, account): {"auth": self.world.login(account)[1].removeprefix("Basic ")}
            for account in (SPOKE, HUB)
        }
        (self.folder / "config.json").write_text(json.dumps({"auths": auths}))
        return run("docker", *arguments, DOCKER_CONFIG=str(self.folder))

    def push(self, name: str, files: dict[str, bytes]) -> str:
        """Make an image of files, push it, forget it, and give the digest that the registry has it by."""
        archive = self.folder / "root.tar"
        with tarfile.open(archive, "w") as tar:
            for path, data in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        self("import", "--change", 'ENTRYPOINT ["/opt/serve"]', str(archive), name)
        self.images.append(name)
        try:
            self("push", name)
            digest = json.loads(self("image", "inspect", name))[0]["RepoDigests"][0].partition("@")[2]
        finally:
            self.forget()
        return str(digest)

    def pull(self, name: str) -> list[str]:
        """Pull an image and give the digests of its layers, as they are uncompressed."""
        self("pull", name)
        self.images.append(name)
        layers: list[str] = json.loads(self("image", "inspect", name))[0]["RootFS"]["Layers"]
        return layers

    def forget(self) -> None:
        """Remove the images, so that a pull has to bring the bytes."""
        while self.images:
            self("image", "rm", "--force", self.images.pop())


@pytest.fixture
def docker(world: World, tmp_path: Path) -> Iterator[Docker]:
    """Docker, which is left without the images of the test."""
    need("docker", "docker.io")
    if subprocess.run(["docker", "info"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("Docker Engine does not answer: run .ci/install, which starts it")
    docker = Docker(world, tmp_path)
    yield docker
    docker.forget()


@pytest.mark.timeout(300)
def test_docker_pushes_an_image_and_pulls_its_mirror_by_digest(world: World, docker: Docker) -> None:
    # More than the 10 MiB that one part of a layer has at most in Amazon ECR's own chunks.
    files = FILES | {"opt/model": random.Random(1).randbytes(12_000_000)}  # noqa: S311 - nothing secret
    world.ecr(SPOKE).create_repository(repositoryName=NAME)

    digest = docker.push(f"{host_of(world, SPOKE)}/{NAME}:1.0", files)
    patched = [entry for entry in world.registry.log.entries(SPOKE) if entry.method == "PATCH"]
    assert patched
    assert {entry.status for entry in patched} == {201}
    [detail] = world.ecr(SPOKE).describe_images(repositoryName=NAME)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["1.0"])

    assert world.copy(digest=digest)["result"]["pin"] == digest

    of_mirror = docker.pull(f"{host_of(world, HUB)}/{MIRROR}@{digest}")
    docker.forget()
    assert of_mirror == docker.pull(f"{host_of(world, SPOKE)}/{NAME}@{digest}")


def test_docker_is_told_what_is_wrong(world: World, docker: Docker) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-push-ecr-image.html
    with pytest.raises(AssertionError, match=r"repository with name 'team/scorer' does not exist"):
        docker.push(f"{host_of(world, SPOKE)}/{NAME}:1.0", FILES)
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    world.ecr(SPOKE).create_repository(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    docker.push(f"{host_of(world, SPOKE)}/{NAME}:1.0", FILES)
    with pytest.raises(AssertionError, match=r"because the repository is immutable"):
        docker.push(f"{host_of(world, SPOKE)}/{NAME}:1.0", {"opt/other": b"bytes"})


class Skopeo:
    """skopeo with the tokens of the accounts."""

    def __init__(self, world: World) -> None:
        need("skopeo", "skopeo")
        self.world = world

    def copy(self, source: str, target: str, *options: str) -> None:
        sides = [*self._side("src", source), *self._side("dest", target)]
        run("skopeo", "copy", *sides, *options, source, target)

    def digest(self, image: str) -> str:
        raw = run("skopeo", "inspect", *self._options("", image), image)
        return str(json.loads(raw)["Digest"])

    def image(self, account: str, name: str) -> str:
        return f"docker://{host_of(self.world, account)}/{name}"

    def _side(self, side: str, image: str) -> list[str]:
        return self._options(f"{side}-", image) if image.startswith("docker://") else []

    def _options(self, prefix: str, image: str) -> list[str]:
        [account] = [each for each in (SPOKE, HUB) if host_of(self.world, each) in image]
        token = self.world.login(account)[1].removeprefix("Basic ")
        return [f"--{prefix}tls-verify=false", f"--{prefix}creds={base64.b64decode(token).decode()}"]


@pytest.mark.timeout(120)
def test_skopeo_copies_out_of_the_registry_and_into_it(world: World, tmp_path: Path) -> None:
    skopeo, image = Skopeo(world), build_image(FILES, layers=2)
    world.push(image, NAME)
    world.ecr(SPOKE).create_repository(repositoryName="team/copy")
    source, target = f"{NAME}:1.0", skopeo.image(SPOKE, "team/copy")

    skopeo.copy(skopeo.image(SPOKE, source), f"{target}:2.0", "--preserve-digests")
    skopeo.copy(skopeo.image(SPOKE, source), f"dir:{tmp_path / 'layout'}")
    skopeo.copy(f"dir:{tmp_path / 'layout'}", f"{target}:3.0", "--preserve-digests")

    assert {skopeo.digest(f"{target}:2.0"), skopeo.digest(f"{target}:3.0")} == {image.digest}


@pytest.mark.timeout(120)
def test_skopeo_pushes_an_index_and_pulls_its_mirror(world: World, tmp_path: Path) -> None:
    skopeo = Skopeo(world)
    index = build_index(
        [build_image(FILES | {"arch": name.encode()}, architecture=name) for name in ("amd64", "arm64")]
    )
    world.push(index, "team/built")
    world.ecr(SPOKE).create_repository(repositoryName=NAME)
    built = skopeo.image(SPOKE, "team/built:1.0")
    skopeo.copy(built, skopeo.image(SPOKE, f"{NAME}:1.0"), "--all", "--preserve-digests")

    assert world.copy()["result"]["pin"] == index.digest

    mirror = skopeo.image(HUB, f"{MIRROR}@{index.digest}")
    skopeo.copy(mirror, f"dir:{tmp_path / 'pulled'}", "--all", "--preserve-digests")
    assert (tmp_path / "pulled" / "manifest.json").read_bytes() == index.manifest.data
