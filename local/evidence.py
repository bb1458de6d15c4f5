"""Where each rule of the local AWS comes from.

A module of `local` that imitates a service lists its rules in a constant ``RULES``, next to the code. A test collects
them into the table of ``docs/real-account.md`` and holds each recorded one to a recording that a test replays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """What a rule rests on, the best first."""

    RECORDED = "recorded"
    """An answer of real AWS. The source is a file below ``tests/recorded/``, which a test replays."""
    DOCUMENTED = "documented"
    """A page of AWS. The source is its URL."""
    REPORTED = "reported"
    """A person saw it and said so in public. The source is the thread: ``owner/repository#number`` or a URL."""
    INFERRED = "inferred"
    """Nobody says so. The source is a sentence: what it was concluded from."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that AWS does and the local AWS imitates.

    Parameters
    ----------
    name
        Unique, lower case with hyphens: ``s3-null-checksum-mode``.
    claim
        What AWS does, in one sentence.
    evidence, source
        What the claim rests on; see `Evidence` for the form of the source.
    """

    name: str
    claim: str
    evidence: Evidence
    source: str
