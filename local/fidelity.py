"""Puts the corrections of single services around moto's WSGI application, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    from local.server import LocalAws


def wrap(aws: LocalAws, app: Any, stack: ExitStack) -> Any:
    """Give the application that is served; what has to be undone at the end goes on the stack."""
    return app
