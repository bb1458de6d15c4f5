"""Reconcile with very many versions, through the real handler, in pieces that are cut off anywhere.

``RECONCILE_VERSIONS=10000 make test JOBS=0 ARGS="tests/faults/test_reconcile_many.py -s"`` prints how long it took.
"""

from __future__ import annotations

import gc
import json
import os
import random
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from functions.reconcile import handler
from replicator.aws.ledger_pages import LedgerPages
from replicator.ledger import Entry
from tests.faults.landscape_of_many import Many, filled
from tests.faults.machine import StateError
from tests.faults.wire import Effect, Strike
from tests.faults.world import KILLED, SPOKE_A, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSIONS = int(os.environ.get("RECONCILE_VERSIONS", "1000"))
GROUPS = 10


class Time:
    """Stands for the module ``time`` in the handler: waiting takes no time, and empties the intake queue."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ahead = 0.0
        self.taken: list[str] = []

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds
        self.take()

    def take(self) -> None:
        """Take all messages, as intake would."""
        queue = self.world.intake_queue
        self.taken += [json.loads(m.body)["detail"]["ModelPackageArn"] for m in queue._messages]
        queue._messages.clear()


@contextmanager
def passing(world: World) -> Iterator[Time]:
    fake = Time(world)
    with mock.patch.object(handler, "time", SimpleNamespace(monotonic=fake.monotonic, sleep=fake.sleep)):
        yield fake


@contextmanager
def items_held() -> Iterator[list[int]]:
    """Count the items of the ledger that are in memory, at every fifth page of it."""
    held: list[int] = []
    page, pages = LedgerPages.page, Counter[str]()

    def counted(self: LedgerPages, after: str | None, size: int) -> Any:
        pages["read"] += 1
        if pages["read"] % 5 == 0:
            held.append(sum(type(each) is Entry for each in gc.get_objects()))
        return page(self, after, size)

    with mock.patch.object(LedgerPages, "page", counted):
        yield held


def reconcile(world: World, chance: random.Random, **request: Any) -> tuple[list[dict[str, Any]], int]:
    """Call until it is done, with any time for each call; give the answers, and how many calls died."""
    answers: list[dict[str, Any]] = []
    died = 0
    for _ in range(5000):
        with mock.patch.object(handler, "SECONDS_MOST", chance.choice([0.0, 0.3, 1.0, 3.0, 10.0])):
            try:
                answer = world.invoke("reconcile", request)
            except StateError as error:
                if error.error != KILLED:
                    raise
                died += 1
                continue
        answers.append(answer)
        assert len(json.dumps(answer["next"])) < 2048, "the place grows"
        assert len(json.dumps(answer)) < 200_000, "the answer grows"
        if answer["done"]:
            return answers, died
        request = answer["next"]
    raise AssertionError(f"it does not end: {request}")


def expected(many: Many) -> list[tuple[str, str]]:
    kinds = {"MISSING": many.missing, "NEWER": many.newer, "GONE": many.gone, "DRIFTED": many.drifted}
    return sorted((kind, arn) for kind, arns in kinds.items() for arn in arns)


@pytest.fixture
def landscape(world: World) -> Iterator[Callable[..., Many]]:
    """Fill the world with versions that are gone after the test."""
    with ExitStack() as stack:
        yield lambda *what: stack.enter_context(filled(world, *what))


@pytest.mark.timeout(3000)
def test_thousands_of_versions_are_gone_through_in_pieces(
    world: World, landscape: Callable[..., Many]
) -> None:
    many = landscape("many", GROUPS, VERSIONS // GROUPS)
    # Those of other tests, whose world this is too, are listed as well: a page for each group.
    groups = sum(group.account == SPOKE_A for group in world.aws.registry._store.groups)
    world.begin()
    began = time.monotonic()
    with passing(world) as fake, items_held() as held:
        answers, _ = reconcile(world, random.Random(5), accounts=[SPOKE_A])  # noqa: S311 - nothing secret
        fake.take()
    seconds = time.monotonic() - began
    # Nothing is passed over, and nothing is done twice.
    found = [(each["kind"], each["source_arn"]) for answer in answers for each in answer["findings"]]
    assert sorted(each for each in found if "/many-" in each[1]) == expected(many)
    ours = [arn for arn in fake.taken if "/many-" in arn]
    assert Counter(ours) == Counter(many.sent)
    assert len(answers) > 1  # how many, depends on the machine
    # Two descriptions for each mirror, one where the source is gone; listings in pages of a hundred.
    calls = Counter(call.operation for call in world.wire.calls)
    mirrored = answers[-1]["totals"]["compared"]
    assert mirrored >= VERSIONS - len(many.missing)
    redone = 2 * 24 * len(answers)  # what there was no room for is looked at again
    assert calls["DescribeModelPackage"] <= 2 * mirrored + redone, calls
    assert calls["ListModelPackages"] <= VERSIONS // 100 + groups + 2 * len(answers)
    assert calls["ListModelPackageGroups"] <= groups // 100 + len(answers) + 2
    # What there was no room for is looked up again, and suspects once more.
    assert calls["BatchGetItem"] <= VERSIONS // 100 * 2 + groups + 5 * len(answers)
    # A page of the ledger and what was looked up of it, not the ledger.
    assert held
    assert max(held) <= 400, held
    print(f"\n{VERSIONS} versions in {seconds:.0f} s, {len(answers)} invocations, {dict(calls)}")


@pytest.mark.parametrize("seed", range(2))
def test_invocations_that_die_anywhere_pass_nothing_over(
    world: World, landscape: Callable[..., Many], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    many = landscape(f"dying-{seed}", 2, 250)
    operations = {"sagemaker.DescribeModelPackage": 400, "dynamodb.Scan": 3, "sqs.SendMessageBatch": 3}
    world.begin(
        *(
            Strike(f"reconcile {name} {chance.randint(1, most)}", effect)
            for name, most in operations.items()
            for effect in (Effect.CRASH_BEFORE, Effect.CRASH_AFTER)
        )
    )
    with passing(world) as fake:
        answers, died = reconcile(world, chance, accounts=[SPOKE_A], group=f"dying-{seed}-1")
        fake.take()
    assert died
    mine = [arn for arn in many.sent if f"/dying-{seed}-1/" in arn]
    sent = Counter(fake.taken)
    assert set(sent) == set(mine)
    # A send whose answer was lost is made again; a second look does no harm.
    assert sum(sent.values()) <= len(mine) + 10 * died
    assert answers[-1]["totals"]["listed"] == 250 - 3
