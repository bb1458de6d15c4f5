"""Operations on model packages."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING

from local.sagemaker import events, listing, packages
from local.sagemaker.groups import tag_map
from local.sagemaker.store import version_of
from local.sagemaker.updates import apply_update
from local.sagemaker.values import (
    PACKAGE,
    Caller,
    Document,
    Group,
    Hooks,
    Package,
    Reference,
    ServiceError,
    invalid,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local.sagemaker.announcer import Announcer
    from local.sagemaker.store import Store


class PackageOperations:
    """The operations on packages, by their name in the service model."""

    def __init__(
        self, store: Store, hooks: Hooks, announcer: Announcer, clock: Callable[[], datetime], delay: float
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._announcer = announcer
        self._clock = clock
        self._delay = timedelta(seconds=delay)
        self.operations: dict[str, Callable[[Caller, Document], Document]] = {
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self.describe,
            "UpdateModelPackage": self.update,
            "DeleteModelPackage": self.delete,
            "ListModelPackages": self.list,
            "BatchDescribeModelPackage": self.batch_describe,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Register a package: the next version of a group, or one outside any group."""
        packages.check_creation(request)
        key = ("Create", caller.account, caller.region, request.get("ClientToken", ""))
        with self._store.lock:
            owner = self._owner(caller, request).reference
            if arn := self._replayed(key, request):
                return {"ModelPackageArn": arn}
            members = packages.new_members(request)
            self._clone(caller, members)
        # The look at artifacts and images may call other services: not under the lock.
        packages.check_locations(members, owner, self._hooks)
        packages.record_digests(members, owner, self._hooks)
        with self._store.lock:
            if arn := self._replayed(key, request):
                return {"ModelPackageArn": arn}
            package = self._add(caller, request, members)
            self._remember(key, request, package.reference.arn)
        self._announcer.created(package)
        return {"ModelPackageArn": package.reference.arn}

    def _owner(self, caller: Caller, request: Document) -> Group | Package:
        # Either the group that gets a version, or the package outside any group that is to be.
        if name := request.get("ModelPackageGroupName"):
            return self._store.group(caller, name, "CreateModelPackage")
        reference = Reference(caller.account, caller.region, PACKAGE, request["ModelPackageName"])
        reference = reference.spelled(self._store.arn_spelling)
        now = self._clock()
        return Package(reference, now, caller, now + self._delay, {})

    def _add(self, caller: Caller, request: Document, members: Document) -> Package:
        owner = self._owner(caller, request)
        if isinstance(owner, Package):
            package = owner
            package.tags = tag_map(request.get("Tags", []))
            if package.reference in self._store.packages:
                raise invalid(f"Model Package already exists: {package.reference.arn}")
        else:
            owner.last_version += 1
            now = self._clock()
            completed = now + self._delay
            package = Package(version_of(owner.reference, owner.last_version), now, caller, completed, {})
        package.members = members
        self._store.packages[package.reference] = package
        return package

    def _clone(self, caller: Caller, members: Document) -> None:
        # "If you want to clone a model package, set it to the model package ARN" (embedded documentation of
        # SourceUri). That its inference specification is then taken over:
        # https://github.com/aws/sagemaker-python-sdk/pull/4492; which other members are, is not known.
        source = members.get("SourceUri", "")
        if f":{PACKAGE}/" not in source or "InferenceSpecification" in members:
            return
        original = self._store.package(caller, source, "DescribeModelPackage").members
        if "InferenceSpecification" in original:
            members["InferenceSpecification"] = deepcopy(original["InferenceSpecification"])

    def describe(self, caller: Caller, request: Document) -> Document:
        """Describe a package, by ARN or by name; with ``MetadataOnly`` the card is cut down."""
        with self._store.lock:
            package = self._store.package(caller, request["ModelPackageName"], "DescribeModelPackage")
            return packages.describe(package, self._clock(), request.get("IncludedData", "AllData"))

    def update(self, caller: Caller, request: Document) -> Document:
        """Update a package; see `updates.apply_update`."""
        arn: str = request["ModelPackageArn"]
        key = ("Update", caller.account, caller.region, request.get("ClientToken", ""))
        with self._store.lock:
            owner = self._store.package(caller, arn, "UpdateModelPackage").reference
            if self._replayed(key, request):
                return {"ModelPackageArn": arn}
        resolved = deepcopy(request)
        packages.check_locations(resolved, owner, self._hooks)
        packages.record_digests(resolved, owner, self._hooks)
        with self._store.lock:
            if self._replayed(key, request):
                return {"ModelPackageArn": arn}
            package = self._store.package(caller, arn, "UpdateModelPackage")
            package.members, changed = apply_update(package.members, resolved)
            if changed:
                package.modified, package.modified_by = self._clock(), caller
            self._remember(key, request, arn)
            detail = events.state_change(package, self._clock(), changed)
        if changed:  # An update that names nothing changes nothing; that it sends no event is inferred.
            self._announcer.send(package, detail)
        return {"ModelPackageArn": arn}

    def delete(self, caller: Caller, request: Document) -> Document:
        """Delete a package. No event: the documentation has none for a deletion."""
        with self._store.lock:
            package = self._store.package(caller, request["ModelPackageName"], "DeleteModelPackage")
            del self._store.packages[package.reference]
            self._store.forget(package.reference.arn)
        return {}

    def list(self, caller: Caller, request: Document) -> Document:
        """List the versions of a group, or the packages of the account: by default those outside groups."""
        status, kind = request.get("ModelApprovalStatus"), request.get("ModelPackageType", "Unversioned")
        with self._store.lock:
            if name := request.get("ModelPackageGroupName"):
                candidates = self._store.versions(self._store.group(caller, name, "ListModelPackages"))
            else:
                candidates = [
                    package
                    for reference, package in self._store.packages.items()
                    if (reference.account, reference.region) == (caller.account, caller.region)
                    and kind in ("Both", "Versioned" if package.versioned else "Unversioned")
                ]
            found = [
                package
                for package in candidates
                if listing.matches(package, request)
                and (status is None or package.members.get("ModelApprovalStatus") == status)
            ]
            shown, token = listing.page(found, request)
            now = self._clock()
            summaries = [packages.summarize(package, now, "ModelPackageSummary") for package in shown]
        return {"ModelPackageSummaryList": summaries} | ({"NextToken": token} if token else {})

    def batch_describe(self, caller: Caller, request: Document) -> Document:
        """Summarize packages by ARN; those that cannot be had are in the error map."""
        found: Document = {}
        failed: Document = {}
        shape = "BatchDescribeModelPackageSummary"
        with self._store.lock:
            for arn in request["ModelPackageArnList"]:
                try:
                    package = self._store.package(caller, arn, "BatchDescribeModelPackage")
                    found[arn] = packages.summarize(package, self._clock(), shape)
                except ServiceError as error:
                    failed[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        answer = {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": failed}
        return {name: value for name, value in answer.items() if value}

    def _replayed(self, key: tuple[str, ...], request: Document) -> str | None:
        return self._store.replayed(key, request, self._clock()) if key[-1] else None

    def _remember(self, key: tuple[str, ...], request: Document, arn: str) -> None:
        if key[-1]:
            self._store.remember(key, request, arn, self._clock())
