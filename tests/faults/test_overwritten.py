"""The source overwritten at every point of a run: an object, an object of a prefix, the tag of an image.

What the mirror points to is then wholly the one state or wholly the other, or the run is refused as
SOURCE_CHANGED; never a mixture. Once the source stands still, a redrive brings it to an end and every
guarantee holds.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.images import build_image, push
from local.landscape import HUB
from tests.faults.guarantees import Operator, check
from tests.faults.models import Models
from tests.faults.wire import Effect, Strike
from tests.faults.world import KIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.models import Version
    from tests.faults.world import World

BEFORE = {"before plan": "plan", "before the copy": "copy", "before register": "register"}
OBJECT = {
    **BEFORE,
    "before the second part": "copy-artifact s3.UploadPartCopy 2",
    "before the last part": "copy-artifact s3.UploadPartCopy 3",
    "before completion": "copy-artifact s3.CompleteMultipartUpload 1",
}
PREFIX = {
    **BEFORE,
    "after the listing": "copy-artifact s3.HeadObject 1",
    "before an object": "copy-artifact s3.CopyObject 1",
    "before the next object": "copy-artifact s3.CopyObject 2",
    "before the last look": "copy-artifact s3.ListObjectsV2 3",
}
TAG = {
    **BEFORE,
    "before the manifest": "copy-image registry.GET manifests 1",
    "before the second layer": "copy-image storage.GET blob 2",
    "before the mirror's manifest": "copy-image registry.PUT manifests 1",
}


@dataclass
class Source:
    """Something in a spoke that has two states."""

    models: Models
    version: Version
    name: str
    states: tuple[bytes, bytes]

    def show(self, state: int) -> None:
        """Overwrite it."""
        self.models.stock.put(self.name, self.states[state])


class Tagged(Source):
    """A tag of a repository."""

    def show(self, state: int) -> None:
        """Move the tag."""
        stock = self.models.stock
        image = build_image({"state": self.states[state]}, layers=2)
        (data,) = stock.client("ecr").get_authorization_token()["authorizationData"]
        authorization = f"Basic {data['authorizationToken']}"
        push(image, data["proxyEndpoint"], authorization, stock.group, "moving")


@pytest.fixture
def models(world: World) -> Iterator[Models]:
    """Give objects and an image that no other test knows."""
    world.forget_letters()
    yield Models(world)
    world.forget_letters()


def an_object(models: Models, *, recorded: bool) -> Source:
    states = os.urandom(40 * KIB), os.urandom(40 * KIB)
    uri = models.stock.put("moving", states[0])
    etag = hashlib.md5(states[0]).hexdigest()  # noqa: S324 - the ETag of S3
    pin = {"ModelDataETag": etag} if recorded else {}
    version = models.version({"Image": models.stock.image, "ModelDataUrl": uri, **pin})
    return Source(models, version, "moving", states)


def a_prefix(models: Models) -> Source:
    version = models.version(models.containers[1])
    before = models.stock.artifacts[f"{models.folder}tokens"]
    return Source(models, version, "folder/tokens", (before, os.urandom(KIB)))


def a_tag(models: Models) -> Source:
    source = Tagged(models, models.version(models.containers[0]), "", (b"one", b"two"))
    source.show(0)
    source.version = models.version({"Image": models.stock.image.replace(":1", ":moving")})
    return source


def overwritten(world: World, source: Source, point: str) -> Operator:
    """Approve, and overwrite the source when the run has come to a point."""
    done: list[str] = []

    def overwrite(_: Any = None) -> None:
        if not done:
            done.append(point)
            source.show(1)

    strikes = []
    if " " in point:
        strikes.append(Strike(point, Effect.NOTHING, hook=overwrite))
    else:
        world.meanwhile = lambda function: overwrite() if function.startswith(point) else None
    world.begin(*strikes)
    source.version.scientist.approve(source.version.arn)
    world.settle()
    world.meanwhile = None
    assert done, f"the run never came to {point}"
    return Operator(world, source.version)


def copied(world: World, mirror: dict[str, Any], member: str) -> dict[str, bytes]:
    """Give what the mirror points to: bytes by name."""
    container = mirror["InferenceSpecification"]["Containers"][0]
    uri = container.get(member) or container["ModelDataSource"]["S3DataSource"]["S3Uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = world.aws.client("s3", HUB)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    return {each.rpartition("/")[2]: s3.get_object(Bucket=bucket, Key=each)["Body"].read() for each in keys}


def at_rest(world: World, source: Source, state: int) -> None:
    """Let the source stand still in a state, redrive, and check the guarantees."""
    source.show(state)
    world.redrive()
    seen = Operator(world, source.version)
    assert len(seen.mirrors) == 1, seen.letters
    check(seen, world.wire.calls)


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("point", OBJECT.values(), ids=list(OBJECT))
def test_an_object_is_what_was_registered_or_refused(
    world: World, models: Models, point: str, recorded: bool
) -> None:
    """With a recorded ETag the bytes of the registration count, without one those at the time of the copy."""
    source = an_object(models, recorded=recorded)
    seen = overwritten(world, source, point)
    copied_before = point in ("register", "copy-artifact s3.CompleteMultipartUpload 1")
    not_begun = point in ("plan", "copy")
    if copied_before or (not_begun and not recorded):
        (mirror,) = seen.mirrors
        shown = 0 if copied_before else 1
        assert list(copied(world, mirror, "ModelDataUrl").values()) == [source.states[shown]]
        at_rest(world, source, shown)
    else:
        assert seen.mirrors == []
        assert [letter["code"] for letter in seen.letters] == ["SOURCE_CHANGED"]
        at_rest(world, source, 0 if recorded else 1)


@pytest.mark.parametrize("point", PREFIX.values(), ids=list(PREFIX))
def test_a_prefix_is_of_one_moment_or_refused(world: World, models: Models, point: str) -> None:
    source = a_prefix(models)
    other = models.stock.artifacts[f"{models.folder}weights"]
    seen = overwritten(world, source, point)
    if seen.mirrors:
        found = copied(world, seen.mirrors[0], "")
        shown = source.states.index(found.pop("tokens"))
        assert found == {"weights": other}
        assert shown == (0 if point == "register" else 1)
    else:
        assert [letter["code"] for letter in seen.letters] == ["SOURCE_CHANGED"]
        assert point not in BEFORE.values()
        shown = 1  # nothing has to be put back: the prefix as it is now is mirrored
    at_rest(world, source, shown)


@pytest.mark.parametrize("point", TAG.values(), ids=list(TAG))
def test_an_image_is_the_one_that_was_registered(world: World, models: Models, point: str) -> None:
    source = a_tag(models)
    (container,) = source.version.scientist.describe(source.version.arn)["InferenceSpecification"][
        "Containers"
    ]
    seen = overwritten(world, source, point)
    (mirror,) = seen.mirrors
    assert mirror["InferenceSpecification"]["Containers"][0]["Image"].endswith(container["ImageDigest"])
    at_rest(world, source, 0)
