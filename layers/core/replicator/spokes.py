"""Which accounts the hub replicates from: the rule that every function asks before it reads anything of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


def refusal(account: str, *, hub_account: str, spokes: AbstractSet[str]) -> ErrorCode | None:
    """Say why an account may not be a spoke: ``OWN_ACCOUNT``, ``UNKNOWN_ACCOUNT``, or None when it may.

    Parameters
    ----------
    spokes
        The registered accounts. Empty when an organization is what admits a spoke: IAM asks whether an account
        belongs to it, on the bus and when the hub assumes a role there.
    """
    if account == hub_account:
        return ErrorCode.OWN_ACCOUNT
    if spokes and account not in spokes:
        return ErrorCode.UNKNOWN_ACCOUNT
    return None


def check_spoke(arn: ModelPackageArn, *, hub_account: str, region: str, spokes: AbstractSet[str]) -> None:
    """Raise `PermanentError` unless the package is one of a spoke of this hub.

    The code is that of `refusal`, or ``REGION_NOT_SERVED`` when the package is not in ``region``, the hub's.
    """
    code = refusal(arn.account, hub_account=hub_account, spokes=spokes)
    if code is ErrorCode.OWN_ACCOUNT:
        raise PermanentError(
            ErrorCode.OWN_ACCOUNT, f"{arn} is in the hub itself; a hub does not replicate its own packages."
        )
    if code is ErrorCode.UNKNOWN_ACCOUNT:
        raise PermanentError(
            ErrorCode.UNKNOWN_ACCOUNT,
            f"account {arn.account} of {arn} is not a registered spoke. Add it to SpokeAccounts of the hub's "
            "stack, deploy, then redrive.",
        )
    if arn.region != region:
        raise PermanentError(
            ErrorCode.REGION_NOT_SERVED,
            f"{arn} is not in {region}, the region that this hub serves. Deploy a hub in that region.",
        )


def package_of_spoke(
    source_arn: str, *, hub_account: str, region: str, spokes: AbstractSet[str]
) -> ModelPackageArn:
    """Parse the ARN that a function is given, and check it.

    A function that a state machine calls can be called by a person too, who may write any ARN.

    Raises
    ------
    PermanentError
        ``MALFORMED_EVENT`` when it is no ARN of a version; else as `check_spoke`.
    """
    try:
        arn = ModelPackageArn.parse(source_arn)
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.MALFORMED_EVENT, f"source_arn is {error}.") from error
    check_spoke(arn, hub_account=hub_account, region=region, spokes=spokes)
    return arn
