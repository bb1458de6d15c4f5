"""Random sequences: the spoke changes, people edit the hub, functions die, old events come again.

Run longer with ``HYPOTHESIS_EXAMPLES=300 make test ARGS=tests/integration/test_sequences.py``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.sagemaker import ArnSpelling
from replicator.fields import RUNS
from replicator.mirror import DESCRIPTION, OWN_WORDS, desired
from replicator.mirror_update import DECISIONS, shown
from replicator.provenance import PREFIX
from replicator.steps import Action, PlanAnswer
from tests.integration.registry_world import KEY, CrashError, Runner, the_policy, world
from tests.unit.shapes import IMAGES, OBJECTS, PREFIXES

if TYPE_CHECKING:
    from datetime import datetime

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "10"))
APPROVAL, REJECTED = "ModelApprovalStatus", "Rejected"


def specification(image: str, artifact: str) -> dict[str, Any]:
    return {"Containers": [{"Image": image, "ModelDataUrl": artifact, "Environment": {"CODE": OBJECTS[1]}}]}


def card(status: str, note: str) -> dict[str, Any]:
    content = json.dumps({"model_overview": {"model_artifact": [OBJECTS[0]], "model_name": note}})
    return {"ModelCardContent": content, "ModelCardStatus": status}


# What UpdateModelPackage takes.
CHANGES = st.one_of(
    st.sampled_from(["Approved", REJECTED, "PendingManualApproval"]).map(lambda status: {APPROVAL: status}),
    st.sampled_from(["good", "bad", ""]).map(lambda text: {DESCRIPTION: text}),
    st.builds(
        lambda key, value: {"CustomerMetadataProperties": {key: value}},
        st.sampled_from("abc"),
        st.sampled_from(["1", "2", OBJECTS[0], OBJECTS[1]]),
    ),
    st.sampled_from("abc").map(lambda key: {"CustomerMetadataPropertiesToRemove": [key]}),
    st.integers(0, 49).map(
        lambda n: {"CustomerMetadataProperties": {f"many-{i}": str(n % 2) for i in range(n)} or {"a": "1"}}
    ),
    st.builds(
        lambda *a: {"ModelCard": card(*a)}, st.sampled_from(["Draft", "Approved"]), st.sampled_from("xy")
    ),
    st.sampled_from(["Dev", "Prod"]).map(
        lambda s: {"ModelLifeCycle": {"Stage": s, "StageStatus": "Approved"}}
    ),
    st.sampled_from(["Logged", "Registered"]).map(lambda kind: {"ModelPackageRegistrationType": kind}),
    st.sampled_from([PREFIXES[0], "words", "arn:aws:sagemaker:us-east-1:111111111111:model/m"]).map(
        lambda uri: {"SourceUri": uri}
    ),
    st.builds(
        lambda image, artifact: {"InferenceSpecification": specification(image, artifact)},
        st.sampled_from(IMAGES[:2]),
        st.sampled_from(OBJECTS[:2]),
    ),
    st.builds(
        lambda name, image: {
            "AdditionalInferenceSpecificationsToAdd": [{"Name": name, **specification(image, OBJECTS[0])}]
        },
        st.sampled_from(["one", "two"]),
        st.sampled_from(IMAGES[:2]),
    ),
)


class Mirroring(RuleBasedStateMachine):
    """One source version, and all that happens to it and to its mirror."""

    spelling = ArnSpelling.AS_WRITTEN

    def __init__(self) -> None:
        super().__init__()
        self.world = world(self.spelling)
        self.edited: set[str] = set()
        """Units (and the approval status) that a person holds in the hub."""
        self.stuck: set[str] = set()
        """What was reported as not updatable."""
        self.wanted: dict[str, Any] = {}
        """What the source asked for when it was last read."""
        self.applied: str | None = None
        """The source's approval status when it was last applied."""
        self.ours: dict[str, Any] = {}
        """What the mirror showed of a person's decisions when we last wrote them."""
        self.meant: dict[str, Any] = {}
        """What a run that died may have written of them."""
        self.quiet = False
        self.first: datetime | None = None

    @initialize(
        status=st.sampled_from(["Approved", "Approved", "PendingManualApproval", REJECTED]),
        mirrored=st.booleans(),
    )
    def register(self, status: str, mirrored: bool) -> None:
        self.mirrored = mirrored
        policy = the_policy(hub_approval_status="Mirrored" if mirrored else "PendingManualApproval")
        self.group = self.world.group()
        arn = self.world.scientist.create_model_package(
            ModelPackageGroupName=self.group,
            InferenceSpecification=specification(IMAGES[0], OBJECTS[0]),
            ModelApprovalStatus=status,
            CustomerMetadataProperties={"a": "1", "b": OBJECTS[0]},
        )["ModelPackageArn"]
        self.runner = Runner(self.world, arn, policy)
        self.first = self.world.clock.now

    # What is there

    def source(self) -> dict[str, Any]:
        return self.world.describe(self.world.scientist, self.runner.arn)

    def mirror(self) -> dict[str, Any] | None:
        arns = self.world.mirrors(self.group)
        assert len(arns) <= 1, "two mirrors of one source"
        return self.world.describe(self.world.person, arns[0]) if arns else None

    def units(self, mirror: dict[str, Any] | None) -> dict[str, Any]:
        if mirror is None:
            return {}
        return shown(mirror) | ({APPROVAL: mirror[APPROVAL]} if self.mirrored else {})

    def wants(self) -> dict[str, Any]:
        entry, source = self.world.ledger.get(self.runner.arn), self.source()
        locations = entry.locations if entry else {}
        members = desired(source, locations, KEY, follows_approval=self.mirrored).members
        return self.units({**members, APPROVAL: source[APPROVAL]})

    # What happens

    @rule(change=CHANGES)
    def the_spoke_changes(self, change: dict[str, Any]) -> None:
        self._update(self.world.scientist, self.runner.arn, change)
        self.quiet = False

    @precondition(lambda self: self.world.mirrors(self.group))
    @rule(change=CHANGES)
    def a_person_edits_the_hub(self, change: dict[str, Any]) -> None:
        before = self.units(self.mirror())
        self._update(self.world.person, self.world.mirrors(self.group)[0], change)
        after = self.units(self.mirror())
        for unit in {*before, *after}:
            if before.get(unit) != after.get(unit):
                agrees = after.get(unit) == self.wanted.get(unit)
                if unit in {*DECISIONS, APPROVAL}:
                    agrees = after.get(unit) in (self.ours.get(unit), self.meant.get(unit))
                (self.edited.discard if agrees else self.edited.add)(unit)

    def _update(self, client: Any, arn: str, change: dict[str, Any]) -> None:
        self.world.clock.tick()
        try:
            client.update_model_package(ModelPackageArn=arn, **change)
        except client.exceptions.ClientError as error:
            assert "cannot exceed 50" in str(error)  # noqa: PT017  (not a test of the error)

    @rule(crash=st.none() | st.integers(0, 9), after=st.booleans(), change=st.none() | CHANGES)
    def an_event_comes(self, crash: int | None, after: bool, change: dict[str, Any] | None) -> None:
        """Deliver; the register function may die at a call, and the source may change behind the plan."""
        before = self.mirror()
        meanwhile = (lambda: self.the_spoke_changes(change)) if change else (lambda: None)
        self.world.bus.last = None
        died = False
        try:
            answers = self.runner.settle(crash=crash, after=after, meanwhile=meanwhile)
        except CrashError:
            died = True
        if died:
            self.quiet = False
            self._check_edits(before, self.mirror())
            self.wanted = self.meant = self.wants()
            return
        self.meant = {}
        self.quiet = True
        assert answers
        assert not any(isinstance(a, PlanAnswer) and a.action is Action.REFUSE for a in answers), answers
        self._check_edits(before, self.mirror())
        self._check_state()

    @precondition(lambda self: self.quiet)
    @rule(old=st.booleans())
    def an_event_comes_again(self, old: bool) -> None:
        before = self.mirror()
        self.runner.settle(self.first if old else None)
        assert self.mirror() == before

    # What must hold

    @invariant()
    def there_is_at_most_one_mirror(self) -> None:
        if hasattr(self, "group"):
            assert len(self.world.mirrors(self.group)) <= 1

    def _check_edits(self, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        was, now, wanted = self.units(before), self.units(after), self.wants()
        rejects = self.source()[APPROVAL] == REJECTED and self.applied != REJECTED
        runs = any(was.get(u) != now.get(u) for u in {*was, *now} if u.partition("{")[0] in RUNS)
        self._check_approval(before, after, runs=runs)
        asks_again = runs and (after or {}).get(APPROVAL) == "PendingManualApproval"
        for unit in list(self.edited):
            decision = unit in {*DECISIONS, APPROVAL}
            if was.get(unit) == wanted.get(unit) and not decision:
                self.edited.discard(unit)
            elif rejects and unit in (APPROVAL, DESCRIPTION):
                # A person decides on, although the source's rejection went through.
                if was.get(unit) != now.get(unit) and unit == DESCRIPTION:
                    self.edited.discard(unit)
            elif not (asks_again and decision):
                assert now.get(unit) == was.get(unit), f"a person's {unit} was overwritten"
            elif now.get(unit) == wanted.get(unit):
                self.edited.discard(unit)
        for unit in {*DECISIONS, APPROVAL} - self.edited:
            self.ours[unit] = now.get(unit)
        own = {k: v for k, v in (before or {}).get("CustomerMetadataProperties", {}).items()}
        assert not own or any(k.startswith(PREFIX) for k in own) or len(own) >= 50

    def _check_approval(
        self, before: dict[str, Any] | None, after: dict[str, Any] | None, *, runs: bool
    ) -> None:
        """Check that an approval holds for what was approved, and that it takes a person to undo a person's "no"."""
        if before is None or after is None or after[APPROVAL] != "Approved":
            return
        follows = self.mirrored and self.source()[APPROVAL] == "Approved"
        assert follows or not runs, "an approval was carried over to something else"
        assert follows or before[APPROVAL] == "Approved", "the hub approved on its own"

    def _check_state(self) -> None:
        mirror, source = self.mirror(), self.source()
        if mirror is None:
            assert source[APPROVAL] != "Approved"
            return
        if source[APPROVAL] == REJECTED and self.applied != REJECTED:
            assert mirror[APPROVAL] == REJECTED, "a rejection did not reach the hub"
        self.applied, self.wanted = source[APPROVAL], self.wants()
        report = self.world.bus.last
        if report:
            self.stuck |= set(report.not_updatable or [])
        now = self.units(mirror)
        for unit in {*now, *self.wanted}:
            if now.get(unit) == self.wanted.get(unit):
                self.stuck.discard(unit)
            elif unit != DESCRIPTION or not str(now.get(unit)).startswith(OWN_WORDS):
                assert unit in self.edited | self.stuck, f"{unit} differs, and nobody edited or reported it"
                assert not report or unit in {*(report.drift or []), *self.stuck} or unit not in self.wanted


TestMirroring = Mirroring.TestCase
TestMirroring.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=14,
    derandomize=EXAMPLES == 10,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


class MirroringInLowerCase(Mirroring):
    """The same, where ARNs spell the group in lower case."""

    spelling = ArnSpelling.LOWER_CASE


TestMirroringInLowerCase = MirroringInLowerCase.TestCase
TestMirroringInLowerCase.settings = TestMirroring.settings


# The sequences on which each promise hangs, played whatever chance draws.

LIFE_CYCLES = [
    {"ModelLifeCycle": {"Stage": stage, "StageStatus": "Approved"}} for stage in ("Dev", "QA", "Prod")
]
METADATA = [{"CustomerMetadataProperties": {f"m-{i}": "1" for i in range(n)}} for n in (1, 48)]


def machine(*, mirrored: bool = False, spelling: ArnSpelling = ArnSpelling.AS_WRITTEN) -> Mirroring:
    """Give a version that is approved in the spoke and not mirrored yet."""
    it = MirroringInLowerCase() if spelling is ArnSpelling.LOWER_CASE else Mirroring()
    it.register(status="Approved", mirrored=mirrored)
    return it


def deliver(it: Mirroring, crash: int | None = None) -> None:
    it.an_event_comes(crash=crash, after=True, change=None)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_rejection_overrules_a_person_and_no_other_change_does(mirrored: bool) -> None:
    it = machine(mirrored=mirrored)
    it.the_spoke_changes(change=LIFE_CYCLES[0])
    deliver(it)
    it.a_person_edits_the_hub(change=LIFE_CYCLES[1])
    it.a_person_edits_the_hub(change={APPROVAL: "Approved"})
    it.the_spoke_changes(change=LIFE_CYCLES[2])
    deliver(it)
    assert "ModelLifeCycle" in it.edited
    it.the_spoke_changes(change={APPROVAL: REJECTED, DESCRIPTION: "bad"})
    deliver(it)


@pytest.mark.parametrize("spelling", ArnSpelling)
@pytest.mark.parametrize("crash", range(10))
def test_a_rejection_reaches_a_mirror_whose_making_was_cut_off(crash: int, spelling: ArnSpelling) -> None:
    it = machine(spelling=spelling)
    deliver(it, crash)
    it.the_spoke_changes(change={APPROVAL: REJECTED})
    deliver(it)


def test_the_sources_metadata_takes_the_room_that_our_own_had() -> None:
    it = machine()
    deliver(it)
    it.the_spoke_changes(change=METADATA[1])
    deliver(it)


def test_what_cannot_be_taken_away_is_reported() -> None:
    it = machine()
    it.the_spoke_changes(change={"SourceUri": "words"})
    deliver(it)
    it.the_spoke_changes(change={"SourceUri": "arn:aws:sagemaker:us-east-1:111111111111:model/m"})
    deliver(it)
    assert it.stuck == {"SourceUri"}
    it.the_spoke_changes(change={"SourceUri": PREFIXES[0]})
    deliver(it)
    assert not it.stuck


OTHER = {"InferenceSpecification": specification(IMAGES[1], OBJECTS[1])}


@pytest.mark.parametrize("change", [OTHER, {"SourceUri": "words"}], ids=lambda change: next(iter(change)))
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("crash", range(9))
def test_an_approval_is_not_carried_over_wherever_register_dies(
    crash: int, after: bool, change: dict[str, Any]
) -> None:
    it = machine()
    deliver(it)
    it.a_person_edits_the_hub(change={APPROVAL: "Approved", DESCRIPTION: "by a person"})
    it.the_spoke_changes(change={**change, DESCRIPTION: "words of the source"})
    it.an_event_comes(crash=crash, after=after, change=None)
    events = [it.world.bus.last]
    deliver(it)
    events.append(it.world.bus.last)
    mirror = it.mirror()
    assert mirror is not None
    assert mirror[APPROVAL] == "PendingManualApproval"
    assert next(iter(change)) in mirror[DESCRIPTION]
    assert [*change] in [event.changed for event in events if event]


@pytest.mark.parametrize("decision", [REJECTED, "PendingManualApproval"])
def test_a_spoke_does_not_undo_a_persons_decision_by_rejecting_and_approving(decision: str) -> None:
    it = machine(mirrored=True)
    deliver(it)
    it.a_person_edits_the_hub(change={APPROVAL: decision})
    for status in (REJECTED, "Approved", "PendingManualApproval", "Approved"):
        it.the_spoke_changes(change={APPROVAL: status, DESCRIPTION: f"words beside {status}"})
        deliver(it)
        mirror = it.mirror()
        assert mirror is not None
        assert mirror[APPROVAL] != "Approved"
    it.a_person_edits_the_hub(change={APPROVAL: "Approved"})
    it.the_spoke_changes(change={APPROVAL: "PendingManualApproval"})
    deliver(it)
    assert it.units(it.mirror())[APPROVAL] == "PendingManualApproval"


def test_a_stage_that_a_person_chose_stays_theirs_although_the_source_agrees() -> None:
    it = machine(mirrored=True)
    it.the_spoke_changes(change=LIFE_CYCLES[0])
    deliver(it)
    it.a_person_edits_the_hub(change=LIFE_CYCLES[1])
    for change in LIFE_CYCLES[1:]:
        it.the_spoke_changes(change=change)
        deliver(it)
    assert it.units(it.mirror())["ModelLifeCycle"] == LIFE_CYCLES[1]["ModelLifeCycle"]
