"""The registry: one entrance for every operation, and faults on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.sagemaker.announcer import Announcer
from local.sagemaker.groups import GroupOperations, TagOperations
from local.sagemaker.package_operations import PackageOperations
from local.sagemaker.store import Store
from local.sagemaker.validation import read_request
from local.sagemaker.values import GROUP, PACKAGE, ArnSpelling, Caller, Document, Hooks, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable


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
    arn_spelling
        Of the names in the ARNs of what is registered from now on.
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
        arn_spelling: ArnSpelling = ArnSpelling.AS_WRITTEN,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = Store(client_token_seconds, arn_spelling)
        self._faults: dict[str, list[tuple[ServiceError, str]]] = {}
        hooks = hooks or Hooks()
        announcer = Announcer(self._store, hooks, clock, completion_delay, duplicate_events)
        self._tags = TagOperations(self._store).operations
        self._operations: dict[str, Callable[[Caller, Document], Document]] = {
            **PackageOperations(self._store, hooks, announcer, clock, completion_delay).operations,
            **GroupOperations(self._store, clock).operations,
            **self._tags,
        }

    def serves(self, operation: str, body: Any) -> bool:
        """Whether a request is this registry's; anything else of SageMaker is moto's.

        ``body`` is the parsed request: tags of other resources are not ours.
        """
        if operation in self._tags:
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
            waiting = self._faults.get(operation, [])
            mine = next((each for each in waiting if each[1] in caller.arn), None)
            if mine:
                waiting.remove(mine)
        if mine:
            raise mine[0]
        return self._operations[operation](caller, read_request(operation, body))

    @property
    def arn_spelling(self) -> ArnSpelling:
        """How the ARNs of groups and packages that are registered from now on spell their names."""
        return self._store.arn_spelling

    @arn_spelling.setter
    def arn_spelling(self, spelling: ArnSpelling) -> None:
        self._store.arn_spelling = spelling

    def policy_of(self, arn: str) -> str | None:
        """Give the resource policy that holds for a group or a version in one: its group's, or None."""
        return self._store.policy_of(arn)

    def throttle(self, operation: str, count: int = 1, caller: str = "") -> None:
        """Answer the next ``count`` calls of an operation with ``ThrottlingException``, as `fail_next` does."""
        self.fail_next(operation, ServiceError("ThrottlingException", "Rate exceeded"), count, caller)

    def fail_next(self, operation: str, error: ServiceError, count: int = 1, caller: str = "") -> None:
        """Answer the next ``count`` calls of an operation, from any account, with an error.

        Parameters
        ----------
        caller
            Only those of whom this is a part of the ARN: of a role, for instance.
        """
        if operation not in self._operations:
            raise ValueError(f"{operation} is none of the operations served: {sorted(self._operations)}")
        with self._store.lock:
            self._faults.setdefault(operation, []).extend([(error, caller)] * count)

    @property
    def failing(self) -> dict[str, int]:
        """Say how many calls of which operations are still to be answered with an error."""
        with self._store.lock:
            return {operation: len(waiting) for operation, waiting in self._faults.items() if waiting}

    def calm(self, operation: str) -> None:
        """Answer an operation as it should be again."""
        with self._store.lock:
            self._faults.pop(operation, None)

    def reset(self) -> None:
        """Forget every group, package, token and fault."""
        with self._store.lock:
            self._store.clear()
            self._faults.clear()
