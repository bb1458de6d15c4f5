"""The sentences that the code produces, read from its sources: for each error code, as patterns."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from tests.infra import stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER = stacks.ROOT / "layers" / "core" / "replicator"
_FIXED = 10  # characters that a sentence has to say by itself, or anything would match


@cache
def patterns() -> dict[str, list[re.Pattern[str]]]:
    """Give what may be said with each code; under ``""`` what may be said with any.

    A sentence belongs to the codes that are named in the same call or tuple. Where the code is a variable, it
    belongs to those that the same function names, and, when that names none, to all.
    """
    found: dict[str, list[re.Pattern[str]]] = defaultdict(list)
    for file in sorted(LAYER.rglob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                named = {code for node in ast.walk(function) for code in _codes(node)}
                for codes, sentence in _sentences(function):
                    for code in codes or named or {""}:
                        found[code].append(sentence)
    # What AWS says is put into words in one place, for whichever codes its caller chooses.
    found[""] += [sentence for _, sentence in _sentences(_function("aws/failures.py", "translated"))]
    return found


def says(code: str, sentence: str) -> bool:
    """Tell whether the code may produce a sentence."""
    return any(pattern.fullmatch(sentence) for pattern in [*patterns().get(code, ()), *patterns()[""]])


def _function(file: str, name: str) -> ast.FunctionDef:
    tree = ast.parse((LAYER / file).read_text(encoding="utf-8"))
    return next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)


def _sentences(function: ast.FunctionDef) -> Iterator[tuple[set[str], re.Pattern[str]]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call | ast.Tuple):
            parts = node.args if isinstance(node, ast.Call) else node.elts
            if len(parts) >= 2 and (sentence := _pattern(parts[1])):
                yield _codes(parts[0]), sentence


def _codes(node: ast.AST) -> set[str]:
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return {node.attr} if named and node.value.id == "ErrorCode" else set()  # type: ignore[attr-defined]


def _pattern(node: ast.expr) -> re.Pattern[str] | None:
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    fixed = [str(part.value) if isinstance(part, ast.Constant) else None for part in values]
    if sum(len(text) for text in fixed if text) < _FIXED:
        return None
    return re.compile("".join(".*" if text is None else re.escape(text) for text in fixed), re.DOTALL)
