"""Time that a test moves on: that of the functions, and of the registry and the bus of the local AWS."""

from __future__ import annotations

import importlib
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCAL = ("local.sagemaker.registry", "local.events")
_FUNCTIONS = Path(__file__).parents[2] / "functions"


class Clock:
    """Runs as the real one does, ahead of it by what it was moved on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def tick(self, **by: float) -> None:
        """Move on; ``by`` is as for `datetime.timedelta`."""
        self.ahead += timedelta(**by)

    def now(self, zone: Any = None) -> datetime:
        """Stand for `datetime.now`."""
        return datetime.now(UTC if zone is None else zone) + self.ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)

    @contextmanager
    def set(self) -> Iterator[None]:
        """Let the functions and the local AWS ask this clock."""
        modules = [f"functions.{path.parent.name}.handler" for path in _FUNCTIONS.glob("*/handler.py")]
        with ExitStack() as stack:
            for module in map(importlib.import_module, (*_LOCAL, *modules)):
                if hasattr(module, "datetime"):
                    stack.enter_context(mock.patch.object(module, "datetime", self))
            yield
