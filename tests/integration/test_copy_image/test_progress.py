"""What counts as getting on: blobs that arrive in an invocation, whatever happens to the others."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.images import LAYER, Blob, build_index, image_of
from replicator.aws.oci_http import Connections
from replicator.aws.oci_image import copy_image
from replicator.aws.oci_registry import Place, Registry
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.integration.test_copy_image.conftest import HUB, NAMESPACE, SPOKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.ecr.faults import Fault, Logged
    from local.images import OciImage
    from replicator.aws.oci_http import Answer
    from replicator.aws.oci_image import Outcome
    from tests.integration.test_copy_image.conftest import World

CONFIG = Blob("application/vnd.oci.image.config.v1+json", b"{}")


def layer(number: int, size: int) -> Blob:
    return Blob(LAYER, random.Random(number).randbytes(size))  # noqa: S311 - nothing secret


def sent(world: World) -> list[str]:
    """Give the digests of the blobs that the hub's registry took."""
    return [
        entry.path.rpartition("digest=")[2].replace("%3A", ":")
        for entry in world.registry.log.entries(HUB)
        if entry.method == "PUT" and "/blobs/uploads/" in entry.path and entry.status == 201
    ]


def looked_at(world: World) -> int:
    return world.registry.log.count("HEAD", r"/blobs/", HUB)


def of_an_older_version(world: World) -> tuple[OciImage, list[Blob]]:
    """Push an image whose small layers the hub has already, and give the two that it has not, bigger first."""
    small = [layer(number, 20_000) for number in range(6)]
    big = [layer(100, 90_000), layer(101, 80_000)]
    world.push(image_of(CONFIG, small), f"{NAMESPACE}/{SPOKE}/team/scorer", tag="base", account=HUB)
    image = image_of(CONFIG, [*small, *big])
    world.push(image, "team/scorer")
    world.registry.log.clear()
    return image, big


def test_a_layer_that_arrives_is_progress_though_less_is_looked_at_than_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, big = of_an_older_version(world)
    take = world.registry.faults.take

    def slowly(method: str, path: str) -> Fault | None:
        """Hold the two layers back until everything else is looked at."""
        end = time.monotonic() + 30
        while "/starport" in path and looked_at(world) < len(image.blobs) and time.monotonic() < end:
            time.sleep(0.01)
        return take(method, path)

    monkeypatch.setattr(world.registry.faults, "take", slowly)
    # The first time all that is there is found, and nothing arrives.
    first = world.copy(milliseconds=lambda: 900_000 if looked_at(world) < len(image.blobs) else 0)
    assert (first["done"], sent(world)) == (False, [])

    monkeypatch.setattr(world.registry.faults, "take", take)
    # The second time the biggest goes first, alone, and there is time for that one.
    before = looked_at(world)
    second = world.copy(
        progress=first["progress"], milliseconds=lambda: 900_000 if looked_at(world) < before + 2 else 0
    )

    assert sent(world) == [big[0].digest]
    assert second["progress"]["moved"] < first["progress"]["moved"]
    assert world.copy(progress=second["progress"])["result"]["pin"] == image.digest


class Clock:
    """Time until a test says that it is over."""

    def __init__(self) -> None:
        self.over = False

    def __call__(self) -> float:
        return 0 if self.over else 900_000


def sent_and_then_no_time(world: World, monkeypatch: pytest.MonkeyPatch, *, taken: bool) -> Clock:
    """Let the time be over when the first layer is sent whole; whether the registry takes it or not."""
    clock, upload = Clock(), Connections.upload

    def watched(
        connections: Connections, method: str, url: str, headers: Any, chunks: Iterable[memoryview]
    ) -> Answer:
        def until_sent() -> Iterator[memoryview]:
            yield from chunks
            if taken:
                answered.wait()
            clock.over = True

        return upload(connections, method, url, headers, until_sent())

    answered = threading.Event()
    add = world.registry.log.add

    def log(entry: Logged) -> None:
        add(entry)
        if entry.method == "PUT" and "/blobs/uploads/" in entry.path:
            answered.set()

    monkeypatch.setattr(world.registry.log, "add", log)
    monkeypatch.setattr(Connections, "upload", watched)
    return clock


ONE_STREAM: dict[str, Any] = {"moved": 0, "total": 1, "objects": 0}


def test_a_layer_that_arrives_after_the_deadline_is_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, big = of_an_older_version(world)
    with monkeypatch.context() as patches:
        clock = sent_and_then_no_time(world, patches, taken=True)
        first = world.copy(progress=ONE_STREAM, milliseconds=clock)
    assert not first["done"]
    assert first["progress"]["unconfirmed"] == [big[0].digest]
    assert sent(world) == [big[0].digest]

    # It is found, which is all that this invocation has time for.
    looked = looked_at(world)
    second = world.copy(
        progress=first["progress"], milliseconds=lambda: 900_000 if looked_at(world) <= looked else 0
    )

    assert not second["done"]
    assert second["progress"]["unconfirmed"] == []
    assert world.copy(progress=second["progress"])["result"]["pin"] == image.digest


def test_a_layer_that_never_arrives_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, big = of_an_older_version(world)
    world.registry.faults.plan("PUT", r"/blobs/uploads/", status=503, times=100)

    def copy(progress: dict[str, Any]) -> dict[str, Any]:
        with monkeypatch.context() as patches:
            clock = sent_and_then_no_time(world, patches, taken=False)
            return world.copy(progress=progress, milliseconds=clock)

    first = copy(ONE_STREAM)
    assert first["progress"]["unconfirmed"] == [big[0].digest]
    with pytest.raises(PermanentError) as caught:
        copy(first["progress"])
    assert caught.value.code is ErrorCode.NO_PROGRESS


def test_more_that_is_looked_at_is_no_progress(world: World) -> None:
    of_an_older_version(world)
    world.registry.faults.plan("GET", r"^/v2/team/scorer/blobs/", status=503, times=100)
    with pytest.raises(PermanentError) as caught:
        world.copy(
            progress={"moved": 0, "total": 1, "objects": 0},
            milliseconds=lambda: 900_000 if looked_at(world) < 1 else 0,
        )
    assert caught.value.code is ErrorCode.NO_PROGRESS


def test_a_layer_whose_answer_was_lost_has_arrived(world: World) -> None:
    of_an_older_version(world)
    world.registry.faults.plan("PUT", r"/blobs/uploads/", silent=True)
    # The second look finds it, and then the time is up.
    answer = world.copy(
        progress={"moved": 0, "total": 1, "objects": 0},
        milliseconds=lambda: 900_000 if looked_at(world) < 2 else 0,
    )
    assert not answer["done"]
    assert len(sent(world)) == 1


def places(world: World) -> tuple[Place, Place]:
    world.ecr(HUB).create_repository(repositoryName="mirror")
    return (
        Place(Registry(*world.login(SPOKE)), "team/scorer"),
        Place(Registry(*world.login(HUB)), "mirror"),
    )


def test_a_blob_that_keeps_failing_does_not_stop_the_others(world: World) -> None:
    layers = [layer(number, 30_000 - number) for number in range(6)]
    image = image_of(CONFIG, layers)
    world.push(image, "team/scorer")
    source, hub = places(world)
    # It gives up while the two beside it are on their way.
    world.registry.faults.plan("GET", f"^/v2/team/scorer/blobs/{layers[0].digest}", status=503, times=10)
    world.registry.faults.plan("PUT", r"mirror/blobs/uploads/", delay=0.5, times=2)
    world.registry.log.clear()

    def copy() -> Outcome:
        return copy_image(source, hub, image.digest, backoff_seconds=0.001)

    first = copy()

    assert not first.done
    assert layers[0].digest in (first.stopped or "")
    assert sorted(sent(world)) == sorted(blob.digest for blob in image.blobs if blob is not layers[0])
    assert world.registry.log.count("POST", r"mirror/blobs/uploads/") == len(layers)  # each was sent once
    # Nothing more arrives while it fails, and that is for the state machine's retries.
    with pytest.raises(RetryableError) as caught:
        copy()
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    # When it works again, it is all that is sent.
    world.registry.log.clear()
    assert copy().done
    assert sent(world) == [layers[0].digest]


def test_what_will_never_succeed_is_said_though_something_else_may_pass(world: World) -> None:
    layers = [layer(number, 30_000 - number) for number in range(2)]
    world.push(image_of(CONFIG, layers), "team/scorer")
    source, hub = places(world)
    world.registry.faults.plan("GET", f"^/v2/team/scorer/blobs/{layers[0].digest}", status=503, times=10)
    world.registry.faults.plan("GET", f"^/v2/team/scorer/blobs/{layers[1].digest}", status=404, delay=0.5)
    with pytest.raises(PermanentError) as caught:
        copy_image(source, hub, "1.0", backoff_seconds=0.001)
    assert caught.value.code is ErrorCode.SOURCE_IMAGE_MISSING


def test_a_manifest_that_is_not_taken_now_does_not_go_on_for_ever(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The child of an index is put anew every time, which is no progress.
    world.push(build_index([image_of(CONFIG, [layer(0, 1000)])]), "team/scorer")
    monkeypatch.setattr("replicator.aws.oci_http.ATTEMPTS", 2)
    world.registry.faults.plan("PUT", r"/manifests/mirror-", status=503, times=4)

    first = world.copy()

    assert not first["done"]
    assert "putting the manifest" in first["progress"]["stopped"]
    reasons = [vars(record).get("reason") for record in caplog.records]
    assert first["progress"]["stopped"] in reasons
    with pytest.raises(RetryableError):
        world.copy(progress=first["progress"])
    assert world.copy(progress=first["progress"])["done"]
