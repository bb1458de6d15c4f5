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
from local.lookups import aws_image

if TYPE_CHECKING:
    from collections.abc import Callable

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
    problems: dict[str, list[str]] = field(default_factory=lambda: {look: [] for look in LOOKS})
    """What is wrong, by the name of the look in `LOOKS` that found it."""


def prove(stage: Stage) -> list[Row]:
    """Check every mirror and give the rows of the table."""
    mirrors, seen = stage.hub.mirrors(), dict[str, Seen]()
    with (
        stage.screen.step("Loading every model from the hub alone, and predicting"),
        tempfile.TemporaryDirectory() as scratch,
    ):
        for name, version in stage.versions.items():
            if found := mirrors.get(version.arn):
                folder = Path(scratch) / version.label.replace(" ", "-")
                seen[name] = _inspect(stage, version, found[0], folder)
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


def _inspect(stage: Stage, version: Registered, mirror: dict[str, Any], folder: Path) -> Seen:
    seen = Seen(mirror)
    for name, look in LOOKS.items():
        try:
            wrong = look(stage, version, seen, folder)
        except Exception as error:
            wrong = [f"{type(error).__name__}: {error}"]
        seen.problems[name] += [f"{version.label}: {problem}" for problem in wrong]
    return seen


def _look_at_model(stage: Stage, version: Registered, seen: Seen, folder: Path) -> list[str]:
    """Predict with what the mirror names."""
    models = proof.unpack_models(stage.hub, seen.mirror, folder / "model")
    predictions = np.asarray(proof.predict(models, version.trained.rows))
    seen.predictions = int(np.sum(predictions == version.trained.predictions))
    total = len(version.trained.predictions)
    return [] if seen.predictions == total else [f"{seen.predictions} of {total} predictions are the same"]


def _look_at_artifacts(stage: Stage, version: Registered, seen: Seen, folder: Path) -> list[str]:
    """Compare every object that the mirror names with what was uploaded in the spoke."""
    located = {text for text in proof.strings(_told(seen.mirror)) if text.startswith("s3://")}
    own = f"s3://{stage.hub.bucket}/models/{version.account}/"
    strangers = [f"{uri} is not under {own}" for uri in located if not uri.startswith(own)]
    if strangers:
        return strangers
    contents = {uri: stage.hub.get(uri) for uri in located}
    seen.objects = {uri: len(data) for uri, data in contents.items()}
    digests = sorted(hashlib.sha256(data).hexdigest() for data in contents.values())
    same = digests == sorted(version.artifacts.values())
    return [] if same else ["the artifacts differ from what was registered"]


def _look_at_images(stage: Stage, version: Registered, seen: Seen, folder: Path) -> list[str]:
    """Pull every image of the mirror from the hub, by the digest that was pushed in the spoke."""
    containers, expected = proof.containers(seen.mirror), list(version.images.items())
    if len(containers) != len(expected):
        return [f"{len(containers)} containers in place of {len(expected)}"]
    registry = f"{stage.hub.account}.dkr.ecr.{stage.aws.region}.amazonaws.com/"
    wrong = []
    for number, (container, (source, digest)) in enumerate(zip(containers, expected, strict=True)):
        image = container["Image"]
        if digest is None:
            wrong += [] if image == _by_digest(stage, source) else [f"{source} became {image}"]
        elif not image.startswith(registry) or not image.endswith(f"@{digest}"):
            wrong.append(f"the image is {image}, not {digest} in the hub")
        else:
            proof.pull(stage.hub, image, folder / "image" / str(number))
    return wrong


def _by_digest(stage: Stage, image: str) -> str:
    """Name an image of AWS's by the digest that its tag has, for AWS moves tags."""
    return f"{image.rpartition(':')[0]}@{stage.aws.aws_images.digest(aws_image(image))}"


LOOKS: dict[str, Callable[[Stage, Registered, Seen, Path], list[str]]] = {
    "model": _look_at_model,
    "artifacts": _look_at_artifacts,
    "images": _look_at_images,
}
"""How a mirror is looked at, each giving what is wrong."""


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
    none = "" if len(seen) == len(versions) else "mirrors are missing"
    for look, claim in (
        ("artifacts", "Every artifact in the hub is, by sha256, what was registered; nothing names a spoke"),
        ("images", "Every image is pulled from the hub by the digest that was pushed, each layer verified"),
    ):
        wrong = "; ".join(filter(None, [none, *(p for found in seen.values() for p in found.problems[look])]))
        report.check(claim, not wrong, wrong)
    aws_owned = seen.get(DIABETES) and proof.containers(seen[DIABETES].mirror)[0]["Image"]
    report.check(
        "AWS's own image stays where it is, named by its digest",
        aws_owned == _by_digest(stage, aws_sklearn(stage.aws.region)),
        f"it is {aws_owned}",
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
    """Give bytes and parts of the largest artifact."""
    if DIGITS not in seen or not seen[DIGITS].objects:
        return 0, 0
    uri, size = max(seen[DIGITS].objects.items(), key=lambda item: item[1])
    return size, stage.hub.parts(uri)


def _check_models(stage: Stage, seen: dict[str, Seen]) -> None:
    wrong = [problem for found in seen.values() for problem in found.problems["model"]]
    wrong += [f"{version.label}: no mirror" for name, version in stage.versions.items() if name not in seen]
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
