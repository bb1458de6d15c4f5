"""What botocore and moto do again for every invocation and every request, done once for the fault tests.

Each invocation makes sessions and clients of its own, as a function does that has just started, and the local AWS
answers in the same process. Much of that is the same each time: models of services, rules of endpoints, the list of
moto's services (these three alone took a fifth of a case's processor time), signatures of handlers, names of events.
Nothing of it depends on who calls or what is called.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.client
import botocore.endpoint
import botocore.regions
import moto.backends
from botocore.endpoint_provider import EndpointProvider
from botocore.hooks import BaseEventHooks, EventAliaser, HierarchicalEmitter
from botocore.model import ServiceModel

if TYPE_CHECKING:
    from collections.abc import Iterator

_alias: Any = EventAliaser._alias_event_name  # type: ignore[attr-defined]


@cache
def _aliased(name: str) -> str:
    return str(_alias(EventAliaser(HierarchicalEmitter()), name))


class _Once:
    """Makes an object once for the same arguments; documents that botocore's loader has read are told by identity."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._made: dict[Any, tuple[Any, Any]] = {}

    def __call__(self, *documents: Any, **named: Any) -> Any:
        key = tuple(map(id, documents)), tuple(sorted((k, _key(v)) for k, v in named.items()))
        if key not in self._made:
            # The arguments are kept too, or another document might get the identity of one that is gone.
            self._made[key] = (documents, named), self._make(*documents, **named)
        return self._made[key][1]


def _key(value: Any) -> Any:
    return id(value) if isinstance(value, dict) else repr(value)


class _NoSleep:
    """Stands for the module ``time`` where botocore waits before it tries again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        """Do not wait."""


@contextmanager
def taken() -> Iterator[None]:
    """Take the shortcuts; botocore's waits before it tries again are left out as well."""
    services = tuple(moto.backends.list_of_moto_modules())
    patches = (
        (BaseEventHooks, "_verify_accept_kwargs", lambda hooks, function: True),
        (EventAliaser, "_alias_event_name", lambda hooks, name: _aliased(name)),
        (botocore.client, "ServiceModel", _Once(ServiceModel)),
        (botocore.regions, "EndpointProvider", _Once(EndpointProvider)),
        (moto.backends, "list_of_moto_modules", lambda: services),
        (botocore.endpoint, "time", _NoSleep()),
    )
    with ExitStack() as stack:
        for target, name, new in patches:
            stack.enter_context(mock.patch.object(target, name, new))
        yield
