"""What must be true of the hub when the spokes are empty: each mirror is whole, and models predict as before."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from local.demo import proof
from local.demo.report import Row
from local.demo.scientist import aws_sklearn
from local.demo.stage import DIABETES, DIGITS, SPOKES, TUMOURS, WINES

if TYPE_CHECKING:
    from local.demo.scientist import Registered
    from local.demo.stage import Stage


@dataclass
class Seen:
    """What was found of one version in the hub."""

    mirror: dict[str, Any]
    predictions: int = 0
    """How many were the same as before."""
    objects: dict[str, int] = field(default_factory=dict)
    """Sizes by location."""
    problems: list[str] = field(default_factory=list)


def prove(stage: Stage) -> list[Row]:
    """Check every mirror and give the rows of the table."""
    mirrors, seen = stage.hub.mirrors(), dict[str, Seen]()
    with (
        stage.screen.step("Loading every model from the hub alone, and predicting"),
        tempfile.TemporaryDirectory() as scratch,
    ):
        for name, version in stage.versions.items():
            found = mirrors.get(version.arn)
            if not found:
                continue
            seen[name] = Seen(found[0])
            folder = Path(scratch) / version.label.replace(" ", "-")
            try:
                _inspect(stage, version, seen[name], folder)
            except Exception as error:
                seen[name].problems.append(f"{version.label}: {type(error).__name__}: {error}")
                continue
            same, rows = seen[name].predictions, len(version.trained.rows)
            stage.screen.news(f"{version.label:20} {same} of {rows} predictions as before registration")
        served = _serve(stage, seen, Path(scratch))
    _check_mirrors(stage, mirrors, seen)
    _check_models(stage, seen)
    stage.report.check(
        "The program in the hub's image serves the hub's model, same predictions", not served, served
    )
    uploads = stage.hub.open_uploads()
    stage.report.check("No multipart upload was left open", not uploads, f"{uploads} are open")
    return [_row(stage, version, seen.get(name)) for name, version in stage.versions.items()]


def _inspect(stage: Stage, version: Registered, seen: Seen, folder: Path) -> None:
    """Read everything that a mirror names; what is wrong goes into ``problems``."""
    containers = proof.containers(seen.mirror)
    models = proof.unpack_models(stage.hub, seen.mirror, folder / "model")
    predictions = proof.predict(models, version.trained.rows)
    seen.predictions = int(np.sum(np.asarray(predictions) == version.trained.predictions))
    hub_bucket = f"s3://{stage.hub.bucket}/models/{version.account}/"
    located = {text for text in proof.strings(_told(seen.mirror)) if text.startswith("s3://")}
    for uri in located:
        if not uri.startswith(hub_bucket):
            seen.problems.append(f"{version.label} still names {uri}")
    digests = {uri: hashlib.sha256(stage.hub.get(uri)).hexdigest() for uri in located}
    seen.objects = {uri: int(stage.hub.head(uri)["ContentLength"]) for uri in located}
    if sorted(digests.values()) != sorted(version.artifacts.values()):
        seen.problems.append(f"{version.label}: the artifacts differ from what was registered")
    expected = list(version.images.items())
    if len(containers) != len(expected):
        seen.problems.append(f"{version.label}: {len(containers)} containers in place of {len(expected)}")
    for number, (container, (source, digest)) in enumerate(zip(containers, expected, strict=False)):
        image = container["Image"]
        if digest is None:
            if image != source:
                seen.problems.append(f"{version.label}: {source} became {image}")
            continue
        registry = f"{stage.hub.account}.dkr.ecr.{stage.aws.region}.amazonaws.com/"
        if not image.startswith(registry) or not image.endswith(f"@{digest}"):
            seen.problems.append(f"{version.label}: image {image}, not {digest} in the hub")
            continue
        proof.pull(stage.hub, image, folder / "image" / str(number))


def _told(mirror: dict[str, Any]) -> dict[str, Any]:
    # Its provenance may name the spoke, that is what it is for.
    return {name: value for name, value in mirror.items() if name != "CustomerMetadataProperties"}


def _serve(stage: Stage, seen: dict[str, Seen], scratch: Path) -> str:
    """Run a pulled program on a pulled model; say what is wrong, or nothing."""
    version = stage.versions[TUMOURS]
    if TUMOURS not in seen:
        return f"{version.label} has no mirror"
    folder = scratch / version.label.replace(" ", "-")
    try:
        with proof.served(folder / "image" / "0", folder / "model" / "0") as url:
            answers = proof.invoke(url, version.trained.rows)
    except (OSError, proof.ProofError) as error:
        return str(error)
    same = int(np.sum(np.asarray(answers) == version.trained.predictions))
    stage.screen.news(
        f"{version.label:20} served by the program of its image: {same} of {len(answers)} as before"
    )
    return "" if same == len(version.trained.predictions) else f"{same} of {len(answers)} are the same"


def _check_mirrors(stage: Stage, mirrors: dict[str, list[Any]], seen: dict[str, Seen]) -> None:
    report, versions = stage.report, stage.versions
    one = {versions[name].label: len(mirrors.get(versions[name].arn, ())) for name in versions}
    strangers = set(mirrors) - {version.arn for version in versions.values()}
    report.check(
        f"Each of the {len(versions)} approved versions has exactly one mirror, and there is no other",
        set(one.values()) == {1} and not strangers,
        f"mirrors: {one}; not of these: {sorted(strangers)}",
    )
    problems = [problem for found in seen.values() for problem in found.problems]
    whole = not problems and len(seen) == len(versions)
    report.check(
        "Every artifact in the hub is, by sha256, what was registered; nothing names a spoke",
        whole and all(found.objects for found in seen.values()),
        "; ".join(problems) or "mirrors are missing",
    )
    report.check(
        "Every image is pulled from the hub by the digest that was pushed, each layer verified",
        whole,
        "; ".join(problems) or "mirrors are missing",
    )
    aws_owned = seen.get(DIABETES) and proof.containers(seen[DIABETES].mirror)[0]["Image"]
    report.check(
        "AWS's own image stays as it is", aws_owned == aws_sklearn(stage.aws.region), f"it is {aws_owned}"
    )
    both = len(proof.containers(seen[WINES].mirror)) if WINES in seen else 0
    report.check("The pipeline has both its containers, in order", both == 2, f"it has {both}")
    largest, parts = _parts(stage, seen)
    report.check(
        f"The largest artifact went in several parts ({largest:,} B, streamed from {SPOKES[1]})",
        parts > 1,
        f"in {parts}",
    )


def _parts(stage: Stage, seen: dict[str, Seen]) -> tuple[int, int]:
    """Give bytes and parts of the largest artifact; S3 ends the ETag of several parts with their number."""
    if DIGITS not in seen or not seen[DIGITS].objects:
        return 0, 0
    uri, size = max(seen[DIGITS].objects.items(), key=lambda item: item[1])
    etag = stage.hub.head(uri)["ETag"].strip('"')
    return size, int(etag.partition("-")[2] or 1)


def _check_models(stage: Stage, seen: dict[str, Seen]) -> None:
    wrong = [
        f"{version.label}: {seen[name].predictions if name in seen else 'no mirror'}"
        for name, version in stage.versions.items()
        if name not in seen or seen[name].predictions != len(version.trained.predictions)
    ]
    total = sum(len(version.trained.predictions) for version in stage.versions.values())
    claim = f"Every model loaded from the hub predicts as before: {total:,} of {total:,} predictions"
    stage.report.check(claim, not wrong, "; ".join(wrong))


def _row(stage: Stage, version: Registered, seen: Seen | None) -> Row:
    source = f"{version.account}\n{version.trained.name}/{version.version}"
    if seen is None:
        outcome = stage.hub.outcome(version.arn)
        return Row(source, f"none:\n{outcome.get('Code', 'no outcome')}", "", "", "failed", None)
    group, number = seen.mirror["ModelPackageGroupName"], seen.mirror["ModelPackageVersion"]
    mirror = f"{version.account}-\n{group.removeprefix(f'{version.account}-')}/{number}"
    artifacts = f"{len(seen.objects)} objects\n{sum(seen.objects.values()):,} B"
    images = [container["Image"] for container in proof.containers(seen.mirror)]
    image = "\n".join(_short(image) for image in images)
    status = seen.mirror["ModelApprovalStatus"].replace("PendingManualApproval", "pending")
    steps = "redriven," if _failed_once(stage, version.arn) else "mirrored,"
    return Row(
        source, mirror, artifacts, image, f"{steps}\n{status.lower()}", stage.hub.first_seconds(version.arn)
    )


def _short(image: str) -> str:
    digest = image.partition("@")[2]
    return digest[:19] if digest else "AWS's own image"


def _failed_once(stage: Stage, arn: str) -> bool:
    return any(o["SourceModelPackageArn"] == arn and o["Status"] == "Failed" for o in stage.hub.outcomes)
