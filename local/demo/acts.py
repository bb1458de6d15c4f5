"""The acts: what people do in the spokes and in the hub. Nobody here helps the system along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.demo import models
from local.demo.scientist import aws_sklearn
from local.demo.stage import CAST, DIABETES, HUB, IRISES, LINKS, ROOT, SECOND_TRY, SPOKES
from local.deploy import deploy

if TYPE_CHECKING:
    from local.demo.stage import Stage
    from local.deploy import Stack

MISSING = "SOURCE_OBJECT_MISSING"


def deploy_stacks(stage: Stage, cut: str | None) -> None:
    """Deploy hub and spokes from the shipped templates, as the README says."""
    with stage.screen.step("Deploying the shipped templates"):
        stacks = [deploy(stage.aws, HUB, ROOT / "template.yaml", {"SpokeAccounts": ",".join(SPOKES)})]
        for account, person in stage.people.items():
            person.make_bucket()
            # One spoke lets the hub copy server side, the other does not: its artifacts are streamed.
            more = {"PolicyBucket": "default"} if account == SPOKES[0] else {}
            stacks.append(deploy(stage.aws, account, ROOT / "spoke.yaml", {"HubAccount": HUB} | more))
        for stack, template in zip(stacks, ("template.yaml", "spoke.yaml", "spoke.yaml"), strict=True):
            stage.screen.news(_deployed(stack, template))
        stage.hub.subscribe()
        if cut:
            account, rule, bus = LINKS[cut]
            stage.aws.client("events", account).disable_rule(Name=rule, EventBusName=bus)
            stage.screen.news(f"disabled the rule {rule} in {account}, as asked", "bold red")


def _deployed(stack: Stack, template: str) -> str:
    return f"{template:14} in {stack.account}: {len(stack.resources)} resources"


def register_models(stage: Stage) -> None:
    """Train, pack, upload, push and register; nothing may reach the hub yet."""
    with stage.screen.step("Training models on data that ship with scikit-learn"):
        trained = models.train(*CAST)
        for model in trained.values():
            measure, value = next(iter(model.quality.items()))
            stage.screen.news(
                f"{model.name:17}  tells {model.title}; {model.algorithm}, {measure} {value:.3f}"
            )
    with stage.screen.step("Uploading artifacts, pushing images, registering versions in the spokes"):
        for account, person in stage.people.items():
            images = {step: person.push(step, f"{account} {step}") for step in ("preprocessing", "model")}
            for name in (name for name in CAST if CAST[name] == account):
                chosen = {"model": aws_sklearn(stage.aws.region)} if name == DIABETES else images
                used = {step: chosen[step] for step in trained[name].steps}
                version = stage.versions[name] = person.register(trained[name], used)
                size = sum(map(len, trained[name].archives.values()))
                stage.screen.news(f"{account}  {version.label:20} PendingManualApproval, model {size:,} B")
        quiet = stage.hub.wait_until_quiet(stage.patience, stage.tell)
        stage.report.check("Before the approvals, nothing is in the hub", quiet and not stage.hub.mirrors())


def approve(stage: Stage) -> None:
    """Approve every version; the artifact of one is gone by then."""
    lost = _lost_artifact(stage)
    with stage.screen.step("Approving all versions; the rest is the system's doing"):
        stage.owner(IRISES).delete(lost)
        stage.screen.news(f"{stage.versions[IRISES].label} has just lost its artifact, by mistake:", "yellow")
        stage.screen.news(lost, "yellow")
        for name, version in stage.versions.items():
            stage.owner(name).approve(version.arn, "Passed the review")
        arns = [version.arn for version in stage.versions.values()]
        late = stage.hub.wait_for(arns, stage.patience, stage.tell)
    for arn in sorted(late):
        stage.report.check(
            f"A run about {stage.named(arn)} comes to an end", False, f"none within {stage.patience:.0f} s"
        )


def reject(stage: Stage) -> None:
    """Reject a version that is mirrored."""
    version = stage.versions[SECOND_TRY]
    if not stage.hub.outcome(version.arn):
        stage.report.check("A rejection reaches the hub", False, f"{version.label} has no mirror to reject")
        return
    with stage.screen.step(f"Rejecting {version.label} in its spoke"):
        stage.owner(SECOND_TRY).reject(version.arn, "Trained on rows of the test set")
        stage.hub.wait_for([version.arn], stage.patience, stage.tell)
    mirror = _mirror(stage, SECOND_TRY)
    status, why = mirror.get("ModelApprovalStatus"), mirror.get("ApprovalDescription")
    held = status == "Rejected" and why == "Trained on rows of the test set"
    stage.report.check("A rejection reaches the hub, with its reason", held, f"status {status}, reason {why}")


def repeat(stage: Stage) -> None:
    """Approve again what is approved, and deliver the approvals' events a second time, late."""
    with stage.screen.step("Approving a second time, and delivering every approval's event again"):
        before = {source: len(mirrors) for source, mirrors in stage.hub.mirrors().items()}
        for name, version in stage.versions.items():
            if name not in (SECOND_TRY, IRISES):
                stage.owner(name).approve(version.arn, "Passed the review, again")
            if name != IRISES:
                _deliver_again(stage, version.account, version.arn)
        quiet = stage.hub.wait_until_quiet(stage.patience, stage.tell)
        after = {source: len(mirrors) for source, mirrors in stage.hub.mirrors().items()}
        stage.screen.news(f"{sum(after.values())} mirrors before and after")
    held = quiet and after == before and set(after.values()) == {1}
    stage.report.check(
        "Second approvals and repeated events make no second mirror", held, f"mirrors: {after}"
    )
    status = _mirror(stage, SECOND_TRY).get("ModelApprovalStatus")
    stage.report.check("A late approval does not undo a rejection", status == "Rejected", f"it is {status}")


def _mirror(stage: Stage, name: str) -> dict[str, Any]:
    """Give the only mirror of a version, or nothing."""
    found = stage.hub.mirrors().get(stage.versions[name].arn, [])
    return found[0] if len(found) == 1 else {}


def _deliver_again(stage: Stage, account: str, arn: str) -> None:
    group, version = arn.rpartition("model-package/")[2].split("/")
    detail = {
        "ModelPackageGroupName": group,
        "ModelPackageVersion": int(version),
        "ModelPackageArn": arn,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "UpdatedModelPackageFields": ["ModelApprovalStatus"],
    }
    stage.aws.emit(account, "aws.sagemaker", "SageMaker Model Package State Change", detail, [arn])


def redrive(stage: Stage) -> None:
    """Look at the dead letter, mend what it names, and send it back."""
    version, lost = stage.versions[IRISES], _lost_artifact(stage)
    with stage.screen.step("Reading the dead-letter queue"):
        letters = [letter for letter in stage.hub.dead_letters() if letter["source_arn"] == version.arn]
        for letter in letters:
            stage.screen.news(f"{letter['code']}: {letter['reason']}", "yellow")
    told = len(letters) == 1 and letters[0]["code"] == MISSING and lost in letters[0]["reason"]
    claim = "A missing artifact becomes one dead letter, which names the object and what to do"
    stage.report.check(claim, told, f"letters about {version.label}: {letters}")
    if not letters:
        return
    with stage.screen.step("Putting the artifact back, and redriving"):
        stage.owner(IRISES).bring_back(lost)
        sent = stage.hub.redrive(MISSING)
        stage.screen.news(f"{sent} message is back in the intake queue")
        stage.hub.wait_for([version.arn], stage.patience, stage.tell)
        left = stage.hub.dead_letters()
    mirrored = bool(stage.hub.mirrors().get(version.arn))
    stage.report.check(
        "Once it is there again, a redrive makes the mirror and empties the queue",
        mirrored and not left,
        f"{'a' if mirrored else 'no'} mirror, {len(left)} dead letters: {left}",
    )


def _lost_artifact(stage: Stage) -> str:
    return next(uri for uri in stage.versions[IRISES].artifacts if uri.endswith("model.tar.gz"))


def burn_down(stage: Stage) -> None:
    """Delete the buckets and the repositories of both spokes."""
    left: list[str] = []
    with stage.screen.step("Deleting the buckets and repositories of both spokes"):
        for account, person in stage.people.items():
            objects, images = person.delete_everything()
            stage.screen.news(f"{account}: {objects} objects and {images} images are gone")
            left += person.leftovers()
    stage.report.check(
        "The spokes have neither a bucket nor a repository any more", not left, f"left: {left}"
    )
