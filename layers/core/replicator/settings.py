"""What each function is told by its template: one frozen model per function.

A field is the environment variable of the same name in capitals. Handlers call ``from_environment``
when they are invoked; nothing is read at import. A test keeps each model and the variables that
``template.yaml`` gives the function the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from replicator.consumers import Consumers
from replicator.errors import ErrorCode, PermanentError
from replicator.model import Strict
from replicator.policy import Policy, aws_owned_buckets, aws_owned_registries
from replicator.spokes import package_of_spoke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.identifiers import ModelPackageArn

Account = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Text = Annotated[str, Field(min_length=1)]


def _comma_separated(value: Any) -> Any:
    if isinstance(value, str):
        return frozenset(part.strip() for part in value.split(",") if part.strip())
    return value


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if wrong := [part for part in parts if "=" not in part]:
        raise ValueError(f"{wrong[0]!r} is not <account>=<alias>")
    pairs = [part.split("=", 1) for part in parts]
    accounts = [account for account, _ in pairs]
    if twice := {account for account in accounts if accounts.count(account) > 1}:
        raise ValueError(f"{min(twice)} has more than one alias")
    return dict(pairs)


def _apart(aliases: dict[str, str]) -> dict[str, str]:
    """Refuse aliases that make two spokes look like one in the names of groups."""
    given = list(aliases.values())
    for alias in given:
        if given.count(alias) > 1:
            raise ValueError(f"{alias!r} is the alias of more than one account")
        if re.fullmatch(r"[0-9]{12}", alias):
            raise ValueError(f"{alias!r} looks like an account")
        if not re.fullmatch(r"[A-Za-z0-9](?:-*[A-Za-z0-9])*", alias):
            raise ValueError(f"{alias!r} cannot be part of a group's name")
    return aliases


def _tag(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(value.split("=", 1)) if value else None
    return value


Accounts = Annotated[frozenset[Account], BeforeValidator(_comma_separated)]
Texts = Annotated[frozenset[str], BeforeValidator(_comma_separated)]
Aliases = Annotated[dict[Account, str], BeforeValidator(_pairs), AfterValidator(_apart)]
Tag = Annotated[tuple[str, str] | None, BeforeValidator(_tag)]


class Settings(Strict):
    """What every function is told."""

    hub_account: Account

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings, or raise `PermanentError` that names each variable that is wrong."""
        names = {name: name.upper() for name in cls.model_fields}
        given = {name: environment[key] for name, key in names.items() if key in environment}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise PermanentError(
                ErrorCode.CONFIGURATION,
                f"the function's environment is wrong: {wrong}. Deploy the stack again.",
            ) from error


class LedgerSettings(Settings):
    """For the functions that keep the ledger."""

    ledger_table: Text
    spokes_table: Text
    """Holds which versions of each spoke have a slot."""


class SpokeSettings(Settings):
    """For the functions that read from a spoke."""

    spoke_role_name: Text
    spoke_accounts: Accounts
    """Empty when the organization is what admits a spoke."""

    def package(self, source_arn: str, region: str) -> ModelPackageArn:
        """Parse the ARN of a package of a spoke in the hub's Region; see `package_of_spoke`."""
        return package_of_spoke(
            source_arn, hub_account=self.hub_account, region=region, spokes=self.spoke_accounts
        )


class PolicySettings(LedgerSettings, SpokeSettings):
    """For the functions that decide what the mirror looks like."""

    hub_bucket: Text
    namespace: Text
    hub_approval_status: Literal["PendingManualApproval", "Mirrored"]
    group_name_template: Text
    image_accounts: Accounts
    """Accounts beside the spoke itself whose images a package may name; they are copied too."""

    replicated_statuses: Texts
    include_groups: Texts
    exclude_groups: Texts
    include_tag: Tag
    exclude_tag: Tag
    spoke_aliases: Aliases
    accept_eulas: bool

    def policy(self, partition: str, region: str) -> Policy:
        """Give the operator's choices as the pure modules take them."""
        return Policy(
            partition=partition,
            region=region,
            hub_account=self.hub_account,
            hub_bucket=self.hub_bucket,
            namespace=self.namespace,
            hub_approval_status=self.hub_approval_status,
            group_name_template=self.group_name_template,
            image_accounts=self.image_accounts,
            replicated_statuses=self.replicated_statuses,
            include_groups=self.include_groups,
            exclude_groups=self.exclude_groups,
            include_tag=self.include_tag,
            exclude_tag=self.exclude_tag,
            spoke_aliases=self.spoke_aliases,
            accept_eulas=self.accept_eulas,
            aws_registries=aws_owned_registries(region),
            aws_buckets=aws_owned_buckets(region),
        )


class IntakeSettings(LedgerSettings):
    """For ``intake``."""

    spoke_accounts: Accounts
    """Empty when the organization is what admits a spoke."""
    state_machine_arn: Text
    intake_queue_url: Text
    dead_letter_queue_url: Text
    runs_per_spoke: Annotated[int, Field(ge=1)]
    """How many runs of one spoke may be in flight."""

    max_receives: Annotated[int, Field(ge=1)]
    """After so many receives SQS moves a message to the dead-letter queue."""


class PlanSettings(PolicySettings):
    """For ``plan``."""


class CopyArtifactSettings(SpokeSettings):
    """For ``copy_artifact``."""

    hub_bucket: Text
    hub_key_arn: Text
    copy_role_arn: Text
    """The hub's role that reads the spoke's buckets, assumed with the session tag ``spoke``."""


class ConsumerSettings(Settings):
    """For the functions that let others read the mirrors."""

    consumer_accounts: Accounts
    consumer_organization: str
    """Id of the organization, every account of which may read; or empty."""

    @property
    def consumers(self) -> Consumers:
        """Give who may read the mirrors."""
        return Consumers(self.consumer_accounts, self.consumer_organization or None)


class CopyImageSettings(SpokeSettings, ConsumerSettings):
    """For ``copy_image``."""

    hub_key_arn: Text
    ecr_copy_role_arn: Text
    """The hub's role that writes the repositories of one spoke, assumed with the session tag ``spoke``."""
    namespace: Text
    image_accounts: Accounts


class RegisterSettings(PolicySettings, ConsumerSettings):
    """For ``register``."""

    follow_group_description: bool
    follow_group_tags: Texts
    """Keys of the tags that the hub's group takes over."""

    event_bus_name: Text
    hub_key_arn: Text


class RecordFailureSettings(LedgerSettings):
    """For ``record_failure``."""

    event_bus_name: Text
    dead_letter_queue_url: Text


class SweepSettings(LedgerSettings):
    """For ``sweep``."""

    event_bus_name: Text
    dead_letter_queue_url: Text
    hub_bucket: Text
    state_machine_arn: Text


class RedriveSettings(Settings):
    """For ``redrive``."""

    dead_letter_queue_url: Text
    intake_queue_url: Text


class ReconcileSettings(PolicySettings):
    """For ``reconcile``."""

    intake_queue_url: Text
    runs_per_spoke: Annotated[int, Field(ge=1)]
