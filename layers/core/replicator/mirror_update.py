"""What an update of a mirror may change, and what is remembered of each write.

An update is three-way: what the source says now, what was last written (and how the hub showed it right
after), and what the hub shows now. What a person changed in the hub stays and is reported as drift; a
rejection in the spoke always goes through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replicator import provenance
from replicator.fields import RUNS
from replicator.mirror import (
    ADDITIONAL,
    APPROVAL,
    DESCRIPTION,
    LIFECYCLE,
    METADATA,
    OWN_WORDS,
    says_approved,
    unapproved,
)
from replicator.package import digest, rewrite
from replicator.policy import APPROVED, PENDING, REJECTED
from replicator.provenance import Intended

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from replicator.mirror import Desired
    from replicator.package import Description
    from replicator.policy import Policy

# UpdateModelPackage takes these as a whole.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_WHOLE = (
    "InferenceSpecification",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
    "SourceUri",
    DESCRIPTION,
)

_REASON = f"{OWN_WORDS}what runs changed in the source"
# ApprovalDescription: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_DESCRIPTION_MAX = 1024

DECISIONS = frozenset({DESCRIPTION, LIFECYCLE})
"""Beside the status, what a person says of a version in the hub. It stays theirs when the source says the same."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was last written to a mirror, kept in the ledger."""

    source_approval: str | None = None
    """The source's approval status when it was last applied."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Member (or ``member{key}``) to the digests ``<as desired>:<as the hub showed it after>``."""
    hub_approval: str | None = None
    """The approval status that we last wrote to the mirror; another one there is a person's decision."""


def intended(want: Desired, before: Intended, held: Collection[str] = ()) -> Intended:
    """Say what is about to be written; what is held back stays as it was intended before."""
    wanted = {u: digest(v) for u, v in _wanted(want).items() if u.partition("{")[0] not in held}
    return Intended(want.source_approval, {**before.members, **wanted}, before.hub_approval)


def last_written(meant: Intended) -> Written:
    """Say what a run wrote that made a mirror and died before it could note it.

    Create writes all at once, apart from what only an update takes.
    """
    members = {u: f"{d}:{d}" for u, d in meant.members.items() if u not in (DESCRIPTION, "SourceUri")}
    return Written(meant.source_approval, members, meant.hub_approval)


@dataclass(slots=True)
class Update:
    """The call that brings a mirror up to date."""

    request: dict[str, Any] = field(default_factory=dict)
    """For UpdateModelPackage, without the ARN; empty when there is nothing to write."""
    drift: list[str] = field(default_factory=list)
    """What a person changed in the hub, and that stays."""
    held: list[str] = field(default_factory=list)
    """What was not touched, because what it points to was not copied."""
    not_updatable: list[str] = field(default_factory=list)
    """What changed in the source and SageMaker cannot update."""
    kept: list[str] = field(default_factory=list)
    """What a person decided in the hub, and the source says too by now."""
    changed: list[str] = field(default_factory=list)
    """What of `RUNS` this call writes, or an earlier one wrote that could not be noted."""
    hub_approval: str | None = None
    """The approval status to remember as the last one of ours."""

    @property
    def untouched(self) -> list[str]:
        """Name what is remembered as before."""
        return [*self.drift, *self.held, *self.kept]


def _units(members: Mapping[str, Any]) -> dict[str, Any]:
    """Take members apart into what is compared by itself: metadata by key, additional specs by name."""
    units: dict[str, Any] = {}
    for name, value in members.items():
        if name == METADATA:
            units |= {
                f"{METADATA}{{{key}}}": v for key, v in value.items() if not key.startswith(provenance.PREFIX)
            }
        elif name == ADDITIONAL:
            units |= {f"{ADDITIONAL}{{{spec['Name']}}}": spec for spec in value}
        else:
            units[name] = value
    return units


def shown(mirror: Description) -> dict[str, Any]:
    """Give what a mirror shows, in the same units and without what SageMaker adds."""
    members = dict(rewrite(mirror, {}).members)
    if mirror.get(DESCRIPTION):
        members[DESCRIPTION] = mirror[DESCRIPTION]
    members.pop("SecurityConfig", None)
    return _units(members)


def written(
    want: Desired, mirror: Description, before: Written, kept: Collection[str], approval: str | None = None
) -> Written:
    """Say what is to be remembered after a write, from what was desired and what the hub shows now.

    Parameters
    ----------
    want, mirror
        What was desired, and the mirror as it was described after the write.
    before
        What was remembered so far.
    kept
        What was not written (see `Update.untouched`): it is remembered as before.
    approval
        The approval status that we last wrote.
    """
    now = shown(mirror)
    members = {
        unit: f"{digest(value)}:{digest(now.get(unit))}"
        for unit, value in _wanted(want).items()
        if unit not in kept
    }
    # What SageMaker cannot take away is still there, and is still what we wrote.
    gone = {unit for unit in before.members if unit not in members and now.get(unit) is not None}
    members |= {unit: f"{digest(None)}:{digest(now[unit])}" for unit in gone}
    members |= {unit: before.members[unit] for unit in kept if unit in before.members}
    if _asks_again(mirror):
        members[DESCRIPTION] = f"{_asked(members.get(DESCRIPTION))}:{digest(now[DESCRIPTION])}"
    return Written(want.source_approval, members, approval)


def _wanted(want: Desired) -> dict[str, Any]:
    return _units({name: value for name, value in want.members.items() if name != "SecurityConfig"})


def update(
    want: Desired,
    mirror: Description,
    last: Written,
    policy: Policy,
    held: Collection[str] = (),
    meant: Intended | None = None,
    identity: Mapping[str, str] | None = None,
) -> Update:
    """Say what has to be written to a mirror, what drifted, and what cannot be updated.

    Parameters
    ----------
    want, mirror, last
        What the mirror should show, shows, and was last written.
    policy
        Whether the approval status is mirrored.
    held
        Members of the package that are not touched, because what they point to was not copied.
    meant
        What the last write was about to write; it may have been written without being noted.
    identity
        The entries by which the mirror is known: what is missing of them is written.
    """
    result = Update()
    meant = meant or Intended()
    hub, wanted = shown(mirror), _wanted(want)
    for unit in {**wanted, **last.members}:
        if unit.partition("{")[0] in held:
            result.held.append(unit)
        else:
            ours = {_showed(last.members.get(unit)), meant.members.get(unit)}
            _compare(unit, wanted.get(unit), hub.get(unit), last.members.get(unit), ours, result)
    if provenance.SOURCE_DELETED in mirror.get(METADATA, {}):
        # It was out of sight for a while, and is here again.
        result.request.setdefault(f"{METADATA}ToRemove", []).append(provenance.SOURCE_DELETED)
    there = mirror.get(METADATA, {})
    if missing := {key: value for key, value in (identity or {}).items() if there.get(key) != value}:
        result.request[METADATA] = {**missing, **result.request.get(METADATA, {})}
    _make_room(mirror, result)
    _approve(want, mirror, last, meant, policy, result)
    return result


def source_deleted(mirror: Description, at: str, rejection: str | None = None) -> Update:
    """Say how a mirror is marked whose source is not there any more. Nothing else of it changes.

    Where the metadata is full and nothing of it is ours, the mark is held back.

    Parameters
    ----------
    at
        When that was found out.
    rejection
        For the mirror's approval description, if the source was rejected before, and nobody could read that any more.
    """
    result = Update()
    if rejection is not None and mirror.get(APPROVAL) != REJECTED:
        result.request = {APPROVAL: REJECTED, DESCRIPTION: rejection}
    if provenance.SOURCE_DELETED not in mirror.get(METADATA, {}):
        result.request[METADATA] = {provenance.SOURCE_DELETED: at}
        _make_room(mirror, result)
    return result


def written_rejection(mirror: Description, before: Written, rejection: str, approval: str | None) -> Written:
    """Say what is to be remembered of a mirror that was rejected although nobody could read its source any more."""
    ours = f"{digest(rejection)}:{digest(rejection)}"
    members = {DESCRIPTION: ours} if mirror.get(DESCRIPTION) == rejection else {}
    return Written(REJECTED, {**before.members, **members}, approval)


def drifted(source: Description, mirror: Description, last: Written, mirrored: bool) -> list[str]:
    """Name what a person changed in the hub, so that it is not what the source says.

    That is what the mirror shows otherwise than after the last write; and what was never written, because a
    person had set it before the source did.

    Parameters
    ----------
    mirrored
        Whether the mirror's approval status is that of the source. Else it is for people in the hub to decide.
    """
    hub = shown(mirror)
    found = [unit for unit, was in last.members.items() if digest(hub.get(unit)) != _showed(was)]
    theirs = {unit: value for unit, value in shown(source).items() if unit not in last.members}
    found += [unit for unit, value in theirs.items() if hub.get(unit) not in (None, value)]
    if mirrored and last.source_approval and mirror.get(APPROVAL) != last.source_approval:
        found.append(APPROVAL)
    return found


def _showed(last: str | None) -> str:
    return last.partition(":")[2] if last else digest(None)


def _asked(last: str | None) -> str:
    return (last or digest(None)).partition(":")[0]


def _compare(
    unit: str, wanted: Any, hub: Any, last: str | None, ours: Collection[str | None], result: Update
) -> None:
    """Compare one unit three ways; None is a unit that is not there.

    Parameters
    ----------
    ours
        Digests of what the hub shows when nobody but us wrote it.
    """
    if wanted == hub:
        if unit in DECISIONS and hub is not None and digest(hub) not in ours:
            result.kept.append(unit)
        elif unit.partition("{")[0] in RUNS and digest(wanted) != _asked(last):
            result.changed.append(unit)  # a run wrote it that could not note it
        return
    if digest(hub) not in ours:
        result.drift.append(unit)
    elif digest(wanted) != _asked(last) or digest(hub) != _showed(last):
        _write(unit, wanted, hub, result)


def _write(unit: str, wanted: Any, hub: Any, result: Update) -> None:
    name, _, key = unit.rstrip("}").partition("{")
    if name == METADATA and wanted is None:
        result.request.setdefault(f"{METADATA}ToRemove", []).append(key)
    elif name == METADATA:
        result.request.setdefault(METADATA, {})[key] = wanted
    elif name == ADDITIONAL and hub is None:
        # A specification of that name can be neither changed nor taken away.
        result.request.setdefault(f"{ADDITIONAL}ToAdd", []).append(wanted)
    elif name == DESCRIPTION:
        result.request[DESCRIPTION] = wanted or ""
    elif name in _WHOLE and wanted is not None:
        result.request[name] = wanted
    else:
        result.not_updatable.append(unit)
        return
    if name in RUNS:
        result.changed.append(unit)


def _make_room(mirror: Description, result: Update) -> None:
    """Keep the metadata within what SageMaker takes: our own entries make room for the source's.

    What a person added stays; what finds no room even then is held back.
    """
    removed = result.request.get(f"{METADATA}ToRemove", [])
    added: dict[str, str] = result.request.get(METADATA, {})
    there = [key for key in mirror.get(METADATA, {}) if key not in removed]
    over = len({*there, *added}) - provenance.ENTRIES_MAX
    if over <= 0:
        return
    # By its identity a mirror is found again, so that stays.
    own = [key for key in there if key.startswith(provenance.PREFIX) and key not in provenance.IDENTITY]
    if own[:over]:
        result.request[f"{METADATA}ToRemove"] = [*removed, *own[:over]]
    new = sorted((key for key in added if key not in there), key=lambda k: k in provenance.IDENTITY)
    for key in new[: max(over - len(own), 0)]:
        del added[key]
        result.held.append(f"{METADATA}{{{key}}}")
    if METADATA in result.request and not added:
        del result.request[METADATA]


def _approve(
    want: Desired, mirror: Description, last: Written, meant: Intended, policy: Policy, result: Update
) -> None:
    """Decide status and description: a person's decision stays, and an approval holds for what was approved."""
    now, mirrored = mirror.get(APPROVAL), policy.hub_approval_status == "Mirrored"
    # Items of earlier releases do not say what was written.
    ours = last.hub_approval or policy.first_approval_status(last.source_approval or PENDING)
    persons = now not in (ours, meant.hub_approval)
    if want.source_approval == REJECTED and last.source_approval != REJECTED and now != REJECTED:
        result.request[APPROVAL] = REJECTED
        # The reason of the rejection goes with it, whatever stands in the hub.
        if DESCRIPTION in want.members:
            _describe(want.members[DESCRIPTION], result)
    else:
        binds = any(name.removesuffix("ToAdd") in RUNS for name in result.request)
        status = _status(want.source_approval, now, binds=binds, mirrored=mirrored, persons=persons)
        if status is not None:
            result.request[APPROVAL] = status
        if mirrored and (status or now) != want.source_approval:
            result.drift.append(APPROVAL)
        _hold_words(mirror, persons and status in (None, now), result)
        if binds and status == PENDING and (persons or not mirrored):
            _ask_again(mirror, result)
    status = result.request.get(APPROVAL)
    # What a person decided stays theirs: with a mirrored status, a rejection of the source that is taken back would
    # else undo it.
    if status is not None and not (persons and (status == now or (mirrored and status == REJECTED))):
        result.hub_approval = status
    else:
        result.hub_approval = ours if persons else now


def _status(source: str, now: str | None, *, binds: bool, mirrored: bool, persons: bool) -> str | None:
    """Say which status an update writes; None for none.

    A call that writes what runs carries the status, so that it also wins over an approval that came after the mirror
    was read. A rejection in the hub stays.

    Parameters
    ----------
    source, now
        Status of the source, and the one that the mirror shows.
    binds
        Whether the call writes what runs.
    mirrored
        Whether the mirror follows the source's status.
    persons
        Whether a person in the hub gave the one that it shows.
    """
    if mirrored and not persons:
        return source if now != source and source != REJECTED else None
    if not binds:
        return None
    if now == REJECTED:
        return REJECTED
    return None if mirrored and now == source == APPROVED else PENDING


def _describe(words: str, result: Update) -> None:
    result.request[DESCRIPTION] = words
    result.drift = [unit for unit in result.drift if unit != DESCRIPTION]
    result.held = [unit for unit in result.held if unit != DESCRIPTION]


def _asks_again(mirror: Description) -> bool:
    """Whether a mirror's description is our reason for asking a person again."""
    return str(mirror.get(DESCRIPTION) or "").startswith(_REASON)


def _hold_words(mirror: Description, persons: bool, result: Update) -> None:
    """Keep the source's words from standing beside a person's status, and from taking the place of our reason."""
    if _asks_again(mirror):
        result.drift = [unit for unit in result.drift if unit != DESCRIPTION]
    elif not persons:
        return
    if result.request.pop(DESCRIPTION, None) is not None:
        result.held.append(DESCRIPTION)


def _ask_again(mirror: Description, result: Update) -> None:
    """Say why a mirror is pending again, and that its stage is not approved either.

    What changed since the last approval is named, not only what this call writes; a name that the source chose is not.
    """
    now = mirror.get(APPROVAL)
    if now != APPROVED and not _asks_again(mirror):
        return
    names = {unit.partition("{")[0] for unit in result.changed}
    if now != APPROVED:
        names |= RUNS & set(re.findall(r"\w+", mirror[DESCRIPTION]))
    source = mirror.get(METADATA, {}).get(provenance.SOURCE_ARN, "of this mirror")
    reason = f"{_REASON} {source}: {', '.join(sorted(names))}. Review it again."
    _describe(reason[:_DESCRIPTION_MAX], result)
    stage = result.request.get(LIFECYCLE) or mirror.get(LIFECYCLE) or {}
    if says_approved(stage):
        result.request[LIFECYCLE] = unapproved(stage)
