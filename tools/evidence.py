"""Writes the table of the local AWS's rules, with what each rests on, into ``docs/real-account.md``.

``python -m tools.evidence`` writes it, with ``--check`` it only compares. The rules are the constants ``RULES`` of the
modules of ``local``; see `local.evidence`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import local
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "docs" / "real-account.md"
RECORDED: Final = ROOT / "tests" / "recorded"
BEGIN, END = "<!-- rules: written by python -m tools.evidence -->", "<!-- end of rules -->"
EXCEPTIONS: Final[dict[str, str]] = {
    "local.accounts": "makes accounts and credentials, with moto's own operations",
    "local.fidelity": "puts the corrections of single services in their order",
    "local.iam.directory": "looks up callers and policies in moto; `local.iam.authority` decides with them",
    "local.iam.middleware": "hands requests to `local.iam.authority` and answers with what it decides",
    "local.iam.requests": "finds the operation of a request by botocore's models",
    "local.s3": "puts the modules of S3 in the place of moto's operations",
    "local.s3.errors": "writes the errors that the other modules of S3 decide on",
    "local.s3.storage": "keeps objects in moto, with what the other modules of S3 give them",
    "local.sagemaker.callers": "looks up in moto who signed a request",
    "local.server": "serves what the other modules answer",
}
"""Modules that patch moto or answer requests and imitate nothing themselves, with what they do."""
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_URL = re.compile(r"https://[\w.-]+/\S+")
_THREAD = re.compile(r"[\w.-]+/[\w.-]+#\d+")

type Rules = dict[str, tuple[Rule, ...]]
"""The rules of each module, by its name."""


def modules() -> list[str]:
    """Give the names of the modules of ``local`` but for the demo, which is a client."""
    names = [each.name for each in pkgutil.walk_packages(local.__path__, "local.")]
    return sorted(n for n in names if not n.startswith("local.demo") and not n.endswith("__main__"))


def collect() -> Rules:
    """Give the rules of all modules that have some."""
    found = {name: tuple(getattr(importlib.import_module(name), "RULES", ())) for name in modules()}
    return {name: rules for name, rules in found.items() if rules}


def problems(rules: Mapping[str, Sequence[Rule]], recorded: Path = RECORDED) -> Iterator[str]:
    """Say what is wrong with names, claims and sources."""
    counts = Counter(rule.name for each in rules.values() for rule in each)
    for module, each in rules.items():
        for rule in each:
            if counts[rule.name] > 1:
                yield f"{module}: {rule.name} is the name of {counts[rule.name]} rules"
            if not _NAME.fullmatch(rule.name):
                yield f"{module}: {rule.name} is no name: words in lower case with hyphens between them"
            if not rule.claim.endswith("."):
                yield f"{module}: the claim of {rule.name} is no sentence"
            if wrong := source_problem(rule, recorded):
                yield f"{module}: the source of {rule.name} {wrong}: {rule.source}"


def source_problem(rule: Rule, recorded: Path = RECORDED) -> str | None:
    """Say what is wrong with a rule's source for its level, or None."""
    match rule.evidence:
        case Evidence.RECORDED:
            inside = not Path(rule.source).is_absolute() and ".." not in Path(rule.source).parts
            file = inside and rule.source.endswith(".json") and (recorded / rule.source).is_file()
            return None if file else "is no file below tests/recorded"
        case Evidence.DOCUMENTED:
            return None if _URL.fullmatch(rule.source) else "is no URL"
        case Evidence.REPORTED:
            known = _URL.fullmatch(rule.source) or _THREAD.fullmatch(rule.source)
            return None if known else "is neither a thread (owner/repository#number) nor a URL"
        case Evidence.INFERRED:
            said = " " in rule.source and not _URL.fullmatch(rule.source)
            return None if said else "is no sentence that says what it was concluded from"


def imitates(source: str) -> bool:
    """Whether a module replaces something of moto's, or answers requests itself."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="patch") | ast.Name(id="patch" | "setattr")):
                return True
            case ast.Call(func=ast.Attribute(attr="object", value=ast.Attribute(attr="patch"))):
                return True
            case ast.Call(func=ast.Name(id="start_response") | ast.Attribute(attr="send_response")):
                return True
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "moto":
                return True
    return False


def without_rules(rules: Mapping[str, Sequence[Rule]]) -> list[str]:
    """Give the modules that imitate AWS, have no rules and are no exception."""
    return [name for name in _imitating() if name not in rules and name not in EXCEPTIONS]


def needless_exceptions(rules: Mapping[str, Sequence[Rule]]) -> list[str]:
    """Give the exceptions that are none: the module is gone, imitates nothing or has rules."""
    imitating = _imitating()
    return [name for name in EXCEPTIONS if name not in imitating or name in rules]


def _imitating() -> list[str]:
    found = []
    for name in modules():
        file = importlib.import_module(name).__file__
        if file and imitates(Path(file).read_text(encoding="utf-8")):
            found.append(name)
    return found


def table(rules: Mapping[str, Sequence[Rule]]) -> str:
    """Give the table in Markdown, the best evidence last: what is least sure is what a reader looks for."""
    order = list(reversed(Evidence))
    flat = [(rule, module) for module, each in rules.items() for rule in each]
    flat.sort(key=lambda one: (order.index(one[0].evidence), one[0].name))
    counts = Counter(rule.evidence for rule, _ in flat)
    lines = [
        f"{len(flat)} rules: " + ", ".join(f"{counts[level]} {level}" for level in Evidence) + ".",
        "",
        "| evidence | rule | what AWS does | source | where |",
        "|---|---|---|---|---|",
    ]
    for rule, module in flat:
        where = f"`{module.removeprefix('local.')}`"
        what = f"`{rule.name}` | {_cell(rule.claim)}"
        lines.append(f"| {rule.evidence} | {what} | {_source(rule)} | {where} |")
    return "\n".join(lines)


def _source(rule: Rule) -> str:
    if rule.evidence is Evidence.RECORDED:
        return f"`{rule.source}`"
    if _THREAD.fullmatch(rule.source):
        repository, _, number = rule.source.partition("#")
        return f"[{rule.source}](https://github.com/{repository}/issues/{number})"
    return f"<{rule.source}>" if _URL.fullmatch(rule.source) else _cell(rule.source)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def document(text: str, rules: Mapping[str, Sequence[Rule]]) -> str:
    """Give the document with the table between its marks. Raises `ValueError` without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{TARGET.name} has no place for the rules: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table(rules)}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 1 when a rule has a fault, or when the document is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m tools.evidence", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; 1 when it is not up to date")
    options = parser.parse_args(arguments)
    rules = collect()
    if wrong := list(problems(rules)):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    text = TARGET.read_text(encoding="utf-8")
    wanted = document(text, rules)
    if not options.check:
        TARGET.write_text(wanted, encoding="utf-8")
        print(f"wrote {TARGET.name}")
        return 0
    if text != wanted:
        print(f"{TARGET} is not what the rules say: run python -m tools.evidence", file=sys.stderr)
        return 1
    print(f"{TARGET.name} is what the rules say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
