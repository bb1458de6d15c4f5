"""Where groups and packages are kept, and how names and ARNs of a request find them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local.evidence import Evidence, Rule
from local.sagemaker import access
from local.sagemaker.values import (
    GROUP,
    PACKAGE,
    ArnSpelling,
    Caller,
    Document,
    Group,
    Package,
    Reference,
    ServiceError,
    invalid,
)

if TYPE_CHECKING:
    from datetime import datetime


_ERRORS = "sagemaker/errors.json"
RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-missing",
        "A version or group that is not there is a ValidationException that ends with the words: does not exist.",
        Evidence.RECORDED,
        _ERRORS,
    ),
    Rule(
        "sagemaker-region-of-arn",
        "The ARN of another region is a ValidationException that names the region which was called.",
        Evidence.RECORDED,
        _ERRORS,
    ),
    Rule(
        "sagemaker-token-repeated",
        "The same request with the same ClientToken answers what the first one did.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html",
    ),
    Rule(
        "sagemaker-token-conflict",
        "Another request with the same ClientToken is a ConflictException.",
        Evidence.INFERRED,
        "ConflictException is the one modelled error that fits.",
    ),
)


@dataclass(frozen=True, slots=True)
class _Remembered:
    request: str
    arn: str
    at: datetime


class Store:
    """The state of every account and region. Whoever reads or changes it holds ``lock``."""

    def __init__(self, token_seconds: float | None, arn_spelling: ArnSpelling) -> None:
        self.arn_spelling = arn_spelling
        self.lock = threading.RLock()
        self.groups: dict[Reference, Group] = {}
        self.packages: dict[Reference, Package] = {}
        self._tokens: dict[tuple[str, ...], _Remembered] = {}
        self._token_seconds = token_seconds

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.groups.clear()
            self.packages.clear()
            self._tokens.clear()

    def group(self, caller: Caller, name_or_arn: str, action: str) -> Group:
        """Find a group for an action on it.

        Raises
        ------
        ServiceError
            ``ValidationException`` when the caller's account has no such group, ``AccessDeniedException`` when
            it is another account's and its policy does not allow the action, whether the group exists or not.
        """
        reference = Reference.parse(name_or_arn, caller, GROUP)
        _require_region(caller, reference)
        group = _find(self.groups, reference)
        _require(caller, reference, group, action, self._resources(reference, group, action))
        if group is None:
            raise invalid(f"ModelPackageGroup {reference.arn} does not exist.")
        return group

    @staticmethod
    def _resources(reference: Reference, group: Group | None, action: str) -> list[str]:
        # The documented policy for other accounts names versions for these two, the group for the rest:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html. For ListModelPackages that
        # for discovery names both: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-ram-discover.html
        if action == "CreateModelPackage":
            return [version_of(reference, (group.last_version if group else 0) + 1).arn]
        if action == "ListModelPackages":
            return [reference.arn, version_of(reference, 0).arn.removesuffix("0") + "*"]
        return [reference.arn]

    def package(self, caller: Caller, name_or_arn: str, action: str) -> Package:
        """Find a package for an action on it; errors as of `group`."""
        reference = Reference.parse(name_or_arn, caller, PACKAGE)
        _require_region(caller, reference)
        package = _find(self.packages, reference)
        group = _find(self.groups, Reference(reference.account, reference.region, GROUP, reference.name))
        _require(caller, reference, group if reference.version else None, action, [reference.arn])
        if package is None:
            raise invalid(f"ModelPackage {reference.arn} does not exist.")
        return package

    def versions(self, group: Group) -> list[Package]:
        """List the versions of a group, in no particular order."""
        own = group.reference
        return [
            package
            for reference, package in self.packages.items()
            if package.versioned
            and (reference.account, reference.region, reference.name) == (own.account, own.region, own.name)
        ]

    def policy_of(self, arn: str) -> str | None:
        """Give the policy of the group that an ARN names, or of whose version it is; None without one."""
        found = Reference.read(arn)
        if found is None or found.type not in (GROUP, PACKAGE):
            return None
        with self.lock:
            group = _find(self.groups, Reference(found.account, found.region, GROUP, found.name))
        return group.policy if group and (found.type == GROUP or found.version is not None) else None

    def replayed(self, key: tuple[str, ...], request: Document, now: datetime) -> str | None:
        """Answer what the same request with the same ClientToken was answered, or None when there was none.

        What happens to a different request with the same token is not documented; ``ConflictException`` is the
        one modelled error of CreateModelPackage and UpdateModelPackage that fits.
        """
        found = self._tokens.get(key)
        if found is None:
            return None
        if self._token_seconds is not None and (now - found.at).total_seconds() > self._token_seconds:
            return None
        if found.request != _canonical(request):
            raise ServiceError(
                "ConflictException", f"ClientToken {key[-1]} was already used with different parameters."
            )
        return found.arn

    def remember(self, key: tuple[str, ...], request: Document, arn: str, now: datetime) -> None:
        """Keep the answer to a request with a ClientToken."""
        self._tokens[key] = _Remembered(_canonical(request), arn, now)

    def forget(self, arn: str) -> None:
        """Drop the tokens of a deleted package: an answer that names it would be of no use (inferred)."""
        self._tokens = {key: value for key, value in self._tokens.items() if value.arn != arn}


def _find[T: (Group, Package)](among: dict[Reference, T], reference: Reference) -> T | None:
    """Find by a name as ARNs spell it, or by another spelling of a name that was registered in lower case."""
    if found := among.get(reference):
        return found
    found = among.get(reference.spelled(ArnSpelling.LOWER_CASE))
    return found if found and found.reference.as_written else None


def version_of(group: Reference, version: int) -> Reference:
    """Name a version of a group."""
    return replace(group, type=PACKAGE, version=version)


def _require_region(caller: Caller, reference: Reference) -> None:
    if reference.region != caller.region:
        raise invalid(f"ARN should be scoped to correct region: {caller.region}")


def _require(
    caller: Caller, reference: Reference, group: Group | None, action: str, resources: list[str]
) -> None:
    if reference.account != caller.account:
        access.require(group.policy if group else None, caller, f"sagemaker:{action}", resources)


def _canonical(request: Document) -> str:
    rest = {name: value for name, value in request.items() if name != "ClientToken"}
    return json.dumps(rest, sort_keys=True, default=str)
