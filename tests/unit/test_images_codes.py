"""What an error document of a registry says, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicator.aws.oci_codes import MOST_SAID, codes_of, text_of


@pytest.mark.parametrize(
    ("document", "codes", "text"),
    [
        ({"errors": [{"code": "DENIED", "message": "no"}]}, {"DENIED"}, "DENIED no"),
        (
            {"errors": [{"code": "DENIED"}, {"message": "no"}, {"code": "UNKNOWN", "message": "why"}]},
            {"DENIED", "UNKNOWN"},
            "DENIED; no; UNKNOWN why",
        ),
        ({"errors": [{"code": 7, "message": "DENIED"}, "DENIED"]}, set(), "7 DENIED"),
        ({"errors": "DENIED"}, set(), '{"errors": "DENIED"}'),
        ({"errors": []}, set(), '{"errors": []}'),
        (["DENIED"], set(), '["DENIED"]'),
        (None, set(), "null"),
    ],
)
def test_codes_come_from_the_member_that_has_them(document: Any, codes: set[str], text: str) -> None:
    body = json.dumps(document).encode()
    assert set(codes_of(body)) == codes
    assert text_of(body) == text


@pytest.mark.parametrize("body", [b"", b"<html>\nDENIED", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_document_has_no_codes(body: bytes) -> None:
    assert not codes_of(body)
    assert "\n" not in text_of(body)
    assert len(text_of(body)) <= MOST_SAID


def test_a_long_text_is_cut() -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "x" * 10_000}]}).encode()
    assert len(text_of(body)) == MOST_SAID
