"""Takes secrets out of text that others wrote, before it becomes text of ours.

A package may hold a presigned URL or a password in a location, and what AWS, a registry or a library says may
repeat it. Messages, dead-letter messages, ledger, events and logs must not.
"""

from __future__ import annotations

import re

GONE = "[removed]"
"""What takes the place of a secret."""

# Every pattern is linear in the text: it begins with something that what follows cannot contain.
_WORD = re.compile(r"[^\s'\"<>\\]+")
_USER = re.compile(r"(?<=://)[^/?#]*@")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(token|secret|password|passwd|signature|credential|accesskeyid|api[_-]?key)(=|%3D)[^&;]+", re.IGNORECASE
)
_AUTHORIZATION = re.compile(r"\b(basic|bearer)(\s+)[A-Za-z0-9+/=._~-]{20,}", re.IGNORECASE)
_TOKEN_ELEMENT = re.compile(r"(<[A-Za-z-]{0,30}token[A-Za-z0-9-]{0,10}>)[^<]*", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return the text without what can sign in: user and password, query of an http URL, tokens, signatures."""
    text = _AUTHORIZATION.sub(rf"\1\2{GONE}", text)
    text = _TOKEN_ELEMENT.sub(rf"\1{GONE}", text)
    return _WORD.sub(lambda found: _word(found[0]), text)


def _word(word: str) -> str:
    if "://" in word:
        word = _USER.sub(f"{GONE}@", word)
        if url := _HTTP.search(word):
            start, mark, _ = word[url.end() :].partition("?")
            word = word[: url.end()] + start + (mark and f"?{GONE}")
    return _PARAMETER.sub(rf"\1\2{GONE}", word)
