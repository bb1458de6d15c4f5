"""What a person is shown of a text that somebody else wrote."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.visible import shortened, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\u001b[2J"),
        ("\x9b31m", "\\u009b31m"),
        ("a\nb\tc\r", "a\\u000ab\\u0009c\\u000d"),
        ("x\u202egz.rat", "x\\u202egz.rat"),
        ("\u2066\u200f\u200b\ufeff", "\\u2066\\u200f\\u200b\\ufeff"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\u0085"),
        ("\u00a0\u3164\u2800\ufe0f", "\\u00a0\\u3164\\u2800\\ufe0f"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
        ("\ue000\uffff", "\\ue000\\uffff"),
        ("\x7f", "\\u007f"),
    ],
)
def test_what_has_no_shape_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text", ["churn/3 [/x] {y}", "Größe", "模型", "модель", "نموذج", "मॉडल", "👍", "e\u0301", "\\n", ""]
)
def test_letters_of_every_script_stay(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_nothing_that_is_shown_steers_a_terminal_and_twice_is_once(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert visible(shown) == shown


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_inside_json_it_is_the_same_text(text: str) -> None:
    assert json.loads(visible(json.dumps({"a": text}, ensure_ascii=False))) == {"a": text}


@given(st.text(), st.integers(3, 40))
def test_what_is_shortened_keeps_beginning_and_end(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) <= most or short == text
    if short != text:
        head, tail = short.split(" … ", 1) if text.count(" … ") == 0 else (short[0:0], short[0:0])
        assert text.startswith(head)
        assert text.endswith(tail)
