"""Text that others wrote, as a person may safely be shown it: on a terminal, in a table, in a log.

What a spoke controls (names, keys, texts) may hold characters that move the cursor, turn the direction of what follows,
or have no shape at all. Each is spelled out, as JSON spells it.
"""

from __future__ import annotations

import re

# Letters and marks that show nothing, though Unicode counts them among what is printed: fillers and variation selectors
# (Default_Ignorable_Code_Point of https://www.unicode.org/reports/tr44/), and the empty Braille cell.
_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Spell out each character that has no shape: U+202E becomes the six characters ``\u202e``.

    These are control and format characters, surrogates, characters that Unicode has not assigned, and every space and
    line break but the common space. Letters of every script stay. Inside JSON it stays the same text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() and not _SHAPELESS.match(char) else _spelled(char) for char in text
    )


def shortened(text: str, most: int) -> str:
    """Take out the middle of a text that is longer than so many characters: its end often says what to do."""
    if len(text) <= most:
        return text
    left = (most - 3) // 2
    return f"{text[:left]} … {text[len(text) - (most - 3 - left) :]}"


def _spelled(char: str) -> str:
    point = ord(char)
    if point > 0xFFFF:
        point -= 0x10000
        return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
    return f"\\u{point:04x}"
