"""User metadata: S3 decodes what is encoded as RFC 2047 says, and encodes it again where it is not ASCII."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import TYPE_CHECKING

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = (
    Rule(
        "s3-metadata-encoding",
        "User metadata in the form of RFC 2047 is decoded when it is written; what is not ASCII then is read in that "
        "form, quoted where most of it is ASCII and base64 where not. What cannot be decoded becomes U+FFFD.",
        Evidence.RECORDED,
        "s3/listings-and-metadata.json",
    ),
)

_WORD = re.compile(r"=\?([\w-]+)\?([QqBb])\?([^?]*)\?=")
_PREFIX = "x-amz-meta-"


def decoded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers of a write with their user metadata decoded."""
    return {
        name: _WORD.sub(_decode_word, value) if name.lower().startswith(_PREFIX) else value
        for name, value in headers.items()
    }


def encoded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers of an object as a reader gets them."""
    return {
        name: _encode(value) if name.lower().startswith(_PREFIX) else value for name, value in headers.items()
    }


def _decode_word(found: re.Match[str]) -> str:
    charset, kind, text = found.groups()
    try:
        data = base64.b64decode(text) if kind in "Bb" else quopri.decodestring(text, header=True)
        return data.decode(charset, errors="replace")
    except (binascii.Error, LookupError):
        return found[0]


def _encode(text: str) -> str:
    foreign = sum(each >= "\x7f" or (each < " " and each not in "\r\n\t") for each in text)
    if not foreign:
        return text
    data = text.encode()
    if foreign >= len(text) - foreign:
        return f"=?UTF-8?B?{base64.b64encode(data).decode()}?="
    return f"=?UTF-8?Q?{''.join(_quoted(byte) for byte in data)}?="


def _quoted(byte: int) -> str:
    if byte == 0x20:
        return "_"
    return f"={byte:02X}" if byte < 0x20 or byte >= 0x7F or byte in b"=_?" else chr(byte)
