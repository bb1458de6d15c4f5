"""What an update of a mirror may change, and what is remembered of each write.

An update is three-way: what the source says now, what was last written (and how the hub showed it right
after), and what the hub shows now. What a person changed in the hub stays and is reported as drift; a
rejection in the spoke always goes through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replicator import provenance
from replicator.mirror import ADDITIONAL, APPROVAL, DESCRIPTION, METADATA
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

# What runs when the mirror is deployed: model data, image, environment, and where they come from.
_RUNS = frozenset({"InferenceSpecification", f"{ADDITIONAL}ToAdd", "SourceUri"})
_REASON = "Replicator: what runs changed in the source"
# ApprovalDescription: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
_DESCRIPTION_MAX = 1024


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
    hub_approval: str | None = None
    """The approval status that we last wrote, with this call."""
    not_updatable: list[str] = field(default_factory=list)
    """What changed in the source and SageMaker cannot update."""

    @property
    def changed(self) -> list[str]:
        """Name the fields of what runs that this call writes, as UpdateModelPackage names them."""
        return sorted(_RUNS & self.request.keys())


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
        What was not written (drift, or held back): it is remembered as before.
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
    _make_room(mirror, result)
    _approve(want, mirror, last, meant, policy, result)
    noted = meant.hub_approval if mirror.get(APPROVAL) == meant.hub_approval else None
    result.hub_approval = result.request.get(APPROVAL) or noted or last.hub_approval
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
        return
    if digest(hub) not in ours:
        result.drift.append(unit)
    elif digest(wanted) != (last or digest(None)).partition(":")[0] or digest(hub) != _showed(last):
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
    # By the source's ARN a mirror is found again, so that goes last.
    own = sorted(
        (key for key in there if key.startswith(provenance.PREFIX)), key=lambda k: k == provenance.SOURCE_ARN
    )
    if own[:over]:
        result.request[f"{METADATA}ToRemove"] = [*removed, *own[:over]]
    for key in [key for key in added if key not in there][: max(over - len(own), 0)]:
        del added[key]
        result.held.append(f"{METADATA}{{{key}}}")
    if METADATA in result.request and not added:
        del result.request[METADATA]


def _approve(
    want: Desired, mirror: Description, last: Written, meant: Intended, policy: Policy, result: Update
) -> None:
    now = mirror.get(APPROVAL)
    if want.source_approval == REJECTED and last.source_approval != REJECTED:
        if now != REJECTED:
            result.request[APPROVAL] = REJECTED
            # The reason of the rejection goes with it, whatever stands in the hub.
            if DESCRIPTION in want.members:
                result.request[DESCRIPTION] = want.members[DESCRIPTION]
                result.drift = [unit for unit in result.drift if unit != DESCRIPTION]
        return
    if policy.hub_approval_status != "Mirrored":
        _bind(want, mirror, result)
        return
    if now == want.source_approval:
        return
    ours = now in (last.hub_approval, meant.hub_approval) and want.source_approval != REJECTED
    if ours or (result.changed and now == APPROVED):
        result.request[APPROVAL] = want.source_approval
    else:
        result.drift.append(APPROVAL)


def _bind(want: Desired, mirror: Description, result: Update) -> None:
    """Keep an approval of the hub to what was approved: other things to run go to a person again.

    The call that writes what runs always carries the status, so it also wins over an approval that came
    after the mirror was read. The source's words do not stand beside a status that a person gave in the hub,
    nor take the place of our reason.
    """
    now = mirror.get(APPROVAL)
    stands = str(mirror.get(DESCRIPTION) or "").startswith(_REASON)
    if stands:
        result.drift = [unit for unit in result.drift if unit != DESCRIPTION]
    follows = now == PENDING or (now == REJECTED and want.source_approval == REJECTED)
    if stands or not follows:
        result.request.pop(DESCRIPTION, None)
    if not result.changed:
        return
    result.request[APPROVAL] = REJECTED if now == REJECTED else PENDING
    if now == APPROVED or stands:
        source = mirror.get(METADATA, {}).get(provenance.SOURCE_ARN, "of this mirror")
        reason = f"{_REASON} {source}: {', '.join(result.changed)}. Review it again."
        result.request[DESCRIPTION] = reason[:_DESCRIPTION_MAX]
        result.drift = [unit for unit in result.drift if unit != DESCRIPTION]
