"""Writes ``docs/what-is-not-copied.md`` from the field map and from what the code really refuses.

``python -m tools.what_is_not_copied`` writes the file, with ``--check`` it only compares. The tables come
from `replicator.fields`; every refusal in it was provoked, with a made-up package, in the code that ships.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicator import fields, provenance
from replicator.errors import PermanentError
from replicator.events import ModelPackageEvent, admit
from replicator.fields import Decided, Drop, Each, ReadOnly, Refuse, Values
from replicator.identifiers import ModelPackageArn
from replicator.mirror import LIFECYCLE, METADATA, desired
from replicator.plan import plan
from replicator.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.fields import Node, Rule

FOLDER = Path(__file__).parent
TEXT = FOLDER / "what_is_not_copied.in.md"
TARGET = FOLDER.parent / "docs" / "what-is-not-copied.md"

ARN = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/3")
POLICY = Policy(
    partition="aws",
    region="eu-west-1",
    hub_account="999999999999",
    hub_bucket="registry-replicator-999999999999-eu-west-1",
    namespace="registry-replicator",
    hub_approval_status="PendingManualApproval",
    group_name_template="{account}-{group}",
)
_SHORTER = (str(ARN).rpartition("churn")[0], "arn:…/")
_CONTAINERS = ("InferenceSpecification.Containers[]", "AdditionalInferenceSpecifications[].Containers[]")
_LATER = "(a member that a later SageMaker has)"
_REGISTRY = "dkr.ecr.eu-west-1.amazonaws.com"


def rules(node: Node | None = None, path: str = "") -> Iterator[tuple[str, Rule]]:
    """Give every member of the field map with its path and rule."""
    node = fields.PACKAGE if node is None else node
    if isinstance(node, dict):
        for name, member in node.items():
            yield from rules(member, f"{path}.{name}" if path else name)
    elif isinstance(node, Each):
        yield from rules(node.node, f"{path}[]")
    elif isinstance(node, Values):
        yield path, node.rule
    else:
        yield path, node


def _short(path: str) -> str:
    for prefix in _CONTAINERS:
        path = path.replace(prefix, "*container*", 1) if path.startswith(prefix) else path
    return path


def _members(paths: list[str]) -> str:
    """Write paths for people; what follows a comma is a word about the path and not part of it."""
    shown = []
    for path in dict.fromkeys(_short(path) for path in paths):
        name, _, word = path.removeprefix("*container*.").partition(", ")
        text = f"`{name}`" if name[0].isalpha() else name
        text += " of a container" if path.startswith("*container*") else ""
        shown.append(f"{text}, {word}" if word else text)
    return "; ".join(shown)


def _table(head: tuple[str, str], by_reason: dict[str, list[str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {_members(paths)} | {_cell(reason)} |" for reason, paths in by_reason.items()]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def dropped() -> dict[str, list[str]]:
    """Give what is dropped, by its reason: from the map, and from what the code says while it rewrites."""
    found: dict[str, list[str]] = {}
    for path, rule in rules():
        if isinstance(rule, Drop):
            found.setdefault(rule.reason, []).append(path)
    source = {
        "SourceUri": str(ARN),
        METADATA: {f"{provenance.PREFIX}...": "x"},
        LIFECYCLE: {"Stage": "Production", "StageStatus": "Approved"},
        _LATER: "x",
    }
    for path, reason in desired(source, {}, "").dropped.items():
        shown = f"{path}, when it is an ARN" if path == "SourceUri" else path
        found.setdefault(reason, []).append(shown)
    return found


def decided() -> dict[str, list[str]]:
    """Give what the replicator decides, by how it does."""
    found: dict[str, list[str]] = {}
    for path, rule in rules():
        if isinstance(rule, Decided):
            found.setdefault(rule.how, []).append(path)
    return found


def read_only() -> list[str]:
    """Give what SageMaker sets."""
    return [path for path, rule in rules() if isinstance(rule, ReadOnly)]


def _package(**members: Any) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "churn",
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [_container()]},
    } | members


def _container(**members: Any) -> dict[str, Any]:
    return {"Image": f"111111111111.{_REGISTRY}/churn@sha256:{'0' * 64}", **members}


def _with(**members: Any) -> dict[str, Any]:
    return _package(InferenceSpecification={"Containers": [_container(**members)]})


def _source(**members: Any) -> dict[str, Any]:
    return _with(ModelDataSource={"S3DataSource": {"S3Uri": "s3://b/k", "S3DataType": "S3Object", **members}})


_HUB_CONTENT = "arn:aws:sagemaker:eu-west-1:111111111111:hub-content/ours/Model/churn/1.0.0"
EXAMPLES: dict[str, dict[str, Any]] = {
    "ProductId": _with(ProductId="prod-0123456789abc"),
    "ManagedStorageType": _package(ManagedStorageType="Restricted"),
    "AcceptEula": _source(ModelAccessConfig={"AcceptEula": True}),
    "HubContentArn": _source(HubAccessConfig={"HubContentArn": _HUB_CONTENT}),
    "a source algorithm alone": {
        name: value
        for name, value in _package(SourceAlgorithmSpecification={"SourceAlgorithms": [{}]}).items()
        if name != "InferenceSpecification"
    },
    "an image of another account": _with(Image=f"333333333333.{_REGISTRY}/churn:1"),
    "an image outside Amazon ECR": _with(Image="docker.io/library/python:3.13"),
    "an image of another region": _with(
        Image=f"111111111111.{_REGISTRY.replace('eu-west-1', 'us-east-1')}/churn:1"
    ),
    "a location that is not in S3": _with(ModelDataUrl="https://example.com/model.tar.gz"),
    "one location named as an object and as a prefix": _with(
        ModelDataUrl="s3://models/churn/",
        ModelDataSource={"S3DataSource": {"S3Uri": "s3://models/churn/", "S3DataType": "S3Prefix"}},
    ),
    "one location registered with two ETags": _package(
        InferenceSpecification={
            "Containers": [
                _container(ModelDataUrl="s3://models/churn.tar.gz", ModelDataETag=etag * 32) for etag in "01"
            ]
        }
    ),
    "a package that failed": _package(ModelPackageStatus="Failed"),
}
"""For each member under `Refuse`, and for each other reason, a package that is refused for it."""


def refusals() -> list[tuple[str, str, str]]:
    """Provoke every refusal; give what the package has, the code and the sentence.

    Raises `RuntimeError` for a member under `Refuse` that has no example here, and for an example that
    is mirrored.
    """
    members = {path.rpartition(".")[2] for path, rule in rules() if isinstance(rule, Refuse)}
    if missing := members - set(EXAMPLES):
        raise RuntimeError(f"no example of a refusal for {', '.join(sorted(missing))}: add it to EXAMPLES")
    found = []
    for what, description in EXAMPLES.items():
        try:
            plan(ARN, description, None, POLICY)
        except PermanentError as error:
            found.append((what, error.code.value, error.message))
        else:
            raise RuntimeError(f"{what} is not refused any more: take it from EXAMPLES")
    return [*found, _unversioned()]


def _unversioned() -> tuple[str, str, str]:
    arn = str(ARN).rpartition("/")[0]
    event = {"account": ARN.account, "region": ARN.region, "detail": {"ModelPackageArn": arn}}
    event |= {"source": "aws.sagemaker", "detail-type": "SageMaker Model Package State Change"}
    try:
        admit(
            ModelPackageEvent.model_validate(event),
            hub_account=POLICY.hub_account,
            region=POLICY.region,
            spokes={ARN.account},
        )
    except PermanentError as error:
        return "a package outside a group", error.code.value, error.message
    raise RuntimeError("a package outside a group is not refused any more")


def _refusal_table() -> str:
    lines = ["| what the package has | code | the sentence, in an example |", "|---|---|---|"]
    for what, code, sentence in refusals():
        shown = f"`{what}`" if what.isalnum() else what
        lines.append(f"| {shown} | `{code}` | {_cell(sentence.replace(*_SHORTER))} |")
    return "\n".join(lines)


def document() -> str:
    """Give the whole document."""
    parts = {
        "<!-- dropped -->": _table(("member", "why it is not carried over"), dropped()),
        "<!-- decided -->": _table(("member", "what decides"), decided()),
        "<!-- read-only -->": ", ".join(f"`{path}`" for path in read_only()),
        "<!-- refused -->": _refusal_table(),
    }
    text = TEXT.read_text(encoding="utf-8")
    for mark, part in parts.items():
        if mark not in text:
            raise RuntimeError(f"{TEXT.name} has no place for {mark}")
        text = text.replace(mark, part)
    return text


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.what_is_not_copied", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare only; 1 when the file is not up to date"
    )
    options = parser.parse_args(arguments)
    wanted = document()
    if not options.check:
        TARGET.write_text(wanted, encoding="utf-8")
        print(f"wrote {TARGET.name}")
        return 0
    if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != wanted:
        print(
            f"{TARGET} is not what the field map says: run python -m tools.what_is_not_copied",
            file=sys.stderr,
        )
        return 1
    print(f"{TARGET.name} is what the field map says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
