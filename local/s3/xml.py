"""Writes the documents of the S3 protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(root: str, members: Mapping[str, Any], *, namespace: bool = True) -> bytes:
    """Return a document.

    Parameters
    ----------
    root
        The name of its element.
    members
        Elements by name. A mapping is an element with members, a list is an element for each item, None is left out.
    namespace
        Whether the root declares the namespace of S3, as every answer but an error does.
    """
    inner = "".join(_element(name, value) for name, value in members.items())
    opened = f"{root}{_NAMESPACE if namespace else ''}"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{opened}>{inner}</{root}>'.encode()


def _element(name: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return "".join(_element(name, each) for each in value)
        case dict():
            text = "".join(_element(*each) for each in value.items())
        case bool():
            text = str(value).lower()
        case _:
            text = escape(str(value), {"\r": "&#13;"})
    return f"<{name}>{text}</{name}>"
