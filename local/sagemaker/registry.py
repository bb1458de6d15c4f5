"""The registry itself: operations on packages, the events they cause, and faults on demand."""

from __future__ import annotations

import logging
import threading
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.sagemaker import events, listing, packages
from local.sagemaker.groups import GroupOperations, TagOperations, tag_map
from local.sagemaker.store import Store, version_of
from local.sagemaker.updates import apply_update
from local.sagemaker.validation import read_request
from local.sagemaker.values import (
    GROUP,
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

_LOG = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class SageMakerRegistry:
    """A model registry for every account and region, safe to use from many threads.

    Parameters
    ----------
    hooks
        Events, image digests and the look at artifacts; see `Hooks`.
    completion_delay
        Seconds that a package stays ``Pending`` and then ``InProgress`` (half each) before it is ``Completed``.
        How long the real service takes is not documented.
    duplicate_events
        How many times more each event is sent: the service "may send multiple events" for a state change,
        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html.
    client_token_seconds
        How long a ClientToken is honoured, None for ever. The real time is not documented.
    clock
        The present moment, with a time zone.
    """

    def __init__(
        self,
        hooks: Hooks | None = None,
        *,
        completion_delay: float = 0.0,
        duplicate_events: int = 0,
        client_token_seconds: float | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._hooks = hooks or Hooks()
        self._delay = completion_delay
        self._duplicates = duplicate_events
        self._clock = clock
        self._store = Store(client_token_seconds)
        self._faults: dict[str, list[ServiceError]] = {}
        self._tags = TagOperations(self._store)
        self._operations: dict[str, Callable[[Caller, Document], Document]] = {
            "CreateModelPackage": self._create,
            "DescribeModelPackage": self._describe,
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
            "ListModelPackages": self._list,
            "BatchDescribeModelPackage": self._batch_describe,
            **GroupOperations(self._store, clock).operations,
            **self._tags.operations,
        }

    def serves(self, operation: str, body: Any) -> bool:
        """Whether a request is this registry's; anything else of SageMaker is moto's.

        ``body`` is the parsed request: tags of other resources are not ours.
        """
        if operation in self._tags.operations:
            arn = body.get("ResourceArn") if isinstance(body, dict) else None
            return isinstance(arn, str) and (f":{GROUP}/" in arn or f":{PACKAGE}/" in arn)
        return operation in self._operations

    def handle(self, operation: str, caller: Caller, body: Any) -> Document:
        """Answer a request with the members of the operation's output.

        Raises
        ------
        ServiceError
            As the real service would refuse it.
        """
        with self._store.lock:
            waiting = self._faults.get(operation)
            fault = waiting.pop(0) if waiting else None
        if fault:
            raise fault
        return self._operations[operation](caller, read_request(operation, body))

    def throttle(self, operation: str, count: int = 1) -> None:
        """Answer the next ``count`` calls of an operation, from any account, with ``ThrottlingException``."""
        self.fail_next(operation, ServiceError("ThrottlingException", "Rate exceeded"), count)

    def fail_next(self, operation: str, error: ServiceError, count: int = 1) -> None:
        """Answer the next ``count`` calls of an operation, from any account, with an error."""
        if operation not in self._operations:
            raise ValueError(f"{operation} is none of the operations served: {sorted(self._operations)}")
        with self._store.lock:
            self._faults.setdefault(operation, []).extend([error] * count)

    def reset(self) -> None:
        """Forget every group, package, token and fault."""
        with self._store.lock:
            self._store.clear()
            self._faults.clear()

    def _create(self, caller: Caller, request: Document) -> Document:
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
        self._announce_creation(package)
        return {"ModelPackageArn": package.reference.arn}

    def _owner(self, caller: Caller, request: Document) -> Group | Package:
        # Either the group that gets a version, or the package outside any group that is to be.
        if name := request.get("ModelPackageGroupName"):
            return self._store.group(caller, name, "CreateModelPackage")
        reference = Reference(caller.account, caller.region, PACKAGE, request["ModelPackageName"])
        now = self._clock()
        return Package(reference, now, caller, now + timedelta(seconds=self._delay), {})

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
            completed = now + timedelta(seconds=self._delay)
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

    def _describe(self, caller: Caller, request: Document) -> Document:
        with self._store.lock:
            package = self._store.package(caller, request["ModelPackageName"], "DescribeModelPackage")
            return packages.describe(package, self._clock(), request.get("IncludedData", "AllData"))

    def _update(self, caller: Caller, request: Document) -> Document:
        arn: str = request["ModelPackageArn"]
        key = ("Update", caller.account, caller.region, request.get("ClientToken", ""))
        request = deepcopy(request)
        with self._store.lock:
            owner = self._store.package(caller, arn, "UpdateModelPackage").reference
            if self._replayed(key, request):
                return {"ModelPackageArn": arn}
            plain = deepcopy(request)
        packages.check_locations(request, owner, self._hooks)
        packages.record_digests(request, owner, self._hooks)
        with self._store.lock:
            if self._replayed(key, plain):
                return {"ModelPackageArn": arn}
            package = self._store.package(caller, arn, "UpdateModelPackage")
            package.members, changed = apply_update(package.members, request)
            if changed:
                package.modified, package.modified_by = self._clock(), caller
            self._remember(key, plain, arn)
            detail = events.state_change(package, self._clock(), changed)
        if changed:  # An update that names nothing changes nothing; that it sends no event is inferred.
            self._emit(package, detail)
        return {"ModelPackageArn": arn}

    def _delete(self, caller: Caller, request: Document) -> Document:
        # No event: the documentation has none for a deletion.
        with self._store.lock:
            package = self._store.package(caller, request["ModelPackageName"], "DeleteModelPackage")
            del self._store.packages[package.reference]
            self._store.forget(package.reference.arn)
        return {}

    def _list(self, caller: Caller, request: Document) -> Document:
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

    def _batch_describe(self, caller: Caller, request: Document) -> Document:
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

    def _announce_creation(self, package: Package) -> None:
        with self._store.lock:
            detail = events.state_change(package, self._clock(), [])
        self._emit(package, detail)
        if self._delay and self._hooks.emit:
            timer = threading.Timer(self._delay, self._announce_completion, [package])
            timer.daemon = True
            timer.start()

    def _announce_completion(self, package: Package) -> None:
        with self._store.lock:
            gone = self._store.packages.get(package.reference) is not package
            detail = events.state_change(package, max(self._clock(), package.completed), [])
        if not gone:
            self._emit(package, detail)

    def _emit(self, package: Package, detail: Document) -> None:
        # To the bus of the account that owns the package, also when another account registered it (inferred).
        if not self._hooks.emit:
            return
        reference = package.reference
        for _ in range(1 + self._duplicates):
            try:
                self._hooks.emit(
                    reference.account,
                    reference.region,
                    events.SOURCE,
                    events.DETAIL_TYPE,
                    deepcopy(detail),
                    [reference.arn],
                )
            except Exception:  # The registry has done its part: a failing bus does not undo it.
                _LOG.exception("the state change event of %s could not be sent", reference.arn)
