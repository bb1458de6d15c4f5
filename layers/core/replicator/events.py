"""The events that arrive and those that we emit.

What arrives is a trigger and an identity, no more: a run reads the package itself. So the model is strict
on what identifies and admits (source, detail-type, account, region, ARN) and loose on all the rest.
https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import json
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticSerializationError

from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn, UnversionedPackageError
from replicator.model import Frozen, Strict
from replicator.spokes import check_spoke

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Model Package State Change"
OWN_SOURCE = "model-registry-replicator"
OWN_DETAIL_TYPE = "Model Replication State Change"


def read_time(value: Any) -> datetime | None:
    """Read a time in any form that SageMaker's events use; None for what is none of them.

    The forms are ISO 8601 with ``Z`` and up to nanoseconds, and milliseconds since the epoch as integer,
    float or text.
    """
    found = value if isinstance(value, datetime) else _parsed(value)
    # In the first and the last year there is, neither a time zone nor a second more may be left to reckon with.
    if found is None or not MINYEAR < found.year < MAXYEAR:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _parsed(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _only_one(value: Any) -> Any:
    # The sample in the documentation repeats "source", the second time as a list of one.
    return value[0] if isinstance(value, list) and len(value) == 1 else value


Time = Annotated[datetime | None, BeforeValidator(read_time)]


class ModelPackageDetail(Frozen):
    """The part of the detail that is read."""

    arn: str = Field(alias="ModelPackageArn")
    group: Any = Field(None, alias="ModelPackageGroupName")
    version: Any = Field(None, alias="ModelPackageVersion")
    approval_status: Any = Field(None, alias="ModelApprovalStatus")
    last_modified: Time = Field(None, alias="LastModifiedTime")


class ModelPackageEvent(Frozen):
    """The event of a model package's state change, in EventBridge's envelope."""

    version: Any = "0"
    id: Any = None
    detail_type: str = Field(alias="detail-type")
    source: Annotated[str, BeforeValidator(_only_one)]
    account: str
    time: Time = None
    region: str
    resources: Any = []
    detail: ModelPackageDetail

    @property
    def changed(self) -> datetime | None:
        """When the package changed, at the latest; None when the event does not say."""
        if self.time is None:
            return None
        return max(self.time, self.detail.last_modified or self.time)

    @classmethod
    def from_message(cls, body: str) -> ModelPackageEvent:
        """Read the body of a message. Raises `PermanentError` (``MALFORMED_EVENT``, ``WRONG_SOURCE``)."""
        try:
            raw = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise PermanentError(
                ErrorCode.MALFORMED_EVENT,
                f"the message is not JSON ({error}). Delete it, or mend and resend it.",
            ) from error
        if isinstance(raw, dict):
            _check_kind(raw)
        try:
            event = cls.model_validate(raw)
            event.to_message()  # the ledger keeps it as a message
        except PydanticSerializationError as error:
            raise PermanentError(
                ErrorCode.MALFORMED_EVENT,
                "the event cannot be written as JSON again: it is nested too deeply, or a text in it is no Unicode. "
                "Delete it.",
            ) from error
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'the message'}: {e['msg']}"
                for e in error.errors()
            )
            raise PermanentError(
                ErrorCode.MALFORMED_EVENT, f"not an event about a model package: {wrong}."
            ) from error
        return event

    @classmethod
    def about(cls, arn: ModelPackageArn) -> ModelPackageEvent:
        """Give the event that asks for a look at a version, as reconcile and sweep send it to intake.

        It has no time, so that no earlier reading of the source counts as having seen it.
        """
        named = {"account": arn.account, "region": arn.region, "detail": {"ModelPackageArn": str(arn)}}
        return cls.model_validate({"source": SOURCE, "detail-type": DETAIL_TYPE, **named})

    def to_message(self) -> str:
        """Give the event as JSON text that `from_message` takes again: what is read of it, and no more."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def _check_kind(raw: dict[str, Any]) -> None:
    kind = (_only_one(raw.get("source")), raw.get("detail-type"))
    if kind != (SOURCE, DETAIL_TYPE) and kind != (None, None):
        raise PermanentError(
            ErrorCode.WRONG_SOURCE,
            f'the event is {kind[1]!r} from {kind[0]!r}; only "{DETAIL_TYPE}" from "{SOURCE}" is replicated. '
            "Look at the rule that forwarded it.",
        )


def admit(
    event: ModelPackageEvent, *, hub_account: str, region: str, spokes: AbstractSet[str]
) -> ModelPackageArn:
    """Say which package the event is about, or raise `PermanentError` when it may not be replicated.

    Parameters
    ----------
    event
        As it arrived. Only EventBridge can set ``account`` in the envelope.
    hub_account, region
        Where the hub is.
    spokes
        The registered accounts. Empty when the event bus admits by organization.
    """
    try:
        arn = ModelPackageArn.parse(event.detail.arn)
    except UnversionedPackageError as error:
        raise PermanentError(
            ErrorCode.UNVERSIONED,
            f"{error}. Only versions in a model package group are replicated: register the model in a group.",
        ) from error
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.MALFORMED_EVENT, f"detail.ModelPackageArn is {error}.") from error
    if event.account != arn.account:
        raise PermanentError(
            ErrorCode.ACCOUNT_MISMATCH,
            f"the event comes from account {event.account} but names {arn}. Find out who sent it.",
        )
    check_spoke(arn, hub_account=hub_account, region=region, spokes=spokes)
    if event.region != region:
        raise PermanentError(
            ErrorCode.REGION_NOT_SERVED,
            f"the event about {arn} comes from {event.region}, not from {region}, the region that this hub serves. "
            "Deploy a hub in that region.",
        )
    return arn


class ReplicationDetail(Strict):
    """Detail of "Model Replication State Change": how a run ended."""

    status: str = Field(alias="Status")
    """``Mirrored``, ``Updated``, ``SourceDeleted``, ``Refused`` or ``Failed``."""
    source_arn: str = Field(alias="SourceModelPackageArn")
    hub_arn: str | None = Field(None, alias="HubModelPackageArn")
    hub_group: str | None = Field(None, alias="HubModelPackageGroupName")
    hub_version: int | None = Field(None, alias="HubModelPackageVersion")
    source_approval_status: str | None = Field(None, alias="SourceModelApprovalStatus")
    hub_approval_status: str | None = Field(None, alias="HubModelApprovalStatus")
    code: ErrorCode | None = Field(None, alias="Code")
    reason: str | None = Field(None, alias="Reason")
    artifacts: int | None = Field(None, alias="Artifacts")
    images: int | None = Field(None, alias="Images")
    bytes: int | None = Field(None, alias="Bytes")
    drift: list[str] | None = Field(None, alias="Drift")
    """Members that a person changed in the hub, and that were left as they are."""
    not_updatable: list[str] | None = Field(None, alias="NotUpdatable")
    """Members that changed in the spoke and that SageMaker cannot update."""
    changed: list[str] | None = Field(None, alias="ChangedFields")
    """What runs (`replicator.fields.RUNS`) and was written to a mirror that was there; an additional
    specification as ``AdditionalInferenceSpecifications{its name}``."""
    seconds: float | None = Field(None, alias="DurationSeconds")
    """From the claim of the run to its end."""

    def to_detail(self) -> str:
        """Give the detail as JSON text for PutEvents."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
