"""How SageMaker spells the ARNs of a group whose name has capital letters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tools.real_checks.checks import Check, check, expect
from tools.real_checks.messages import path
from tools.real_checks.world import delete_group

if TYPE_CHECKING:
    from tools.real_checks.world import World


@check(
    "arn-spelling",
    "The ARNs of a group with capital letters are spelled one way in all answers and events, and are taken so.",
    source="contradictory: ARNs of tuning jobs are reported in lower case, recorded ones of groups as written",
    relies="layers/core/replicator/identifiers.py (either way is taken for the same version)",
    makes="a group with a version, in the spoke",
)
def arn_spelling(world: World) -> str:
    """Create, describe and list a group and a version, and wait for the event."""
    way, sagemaker, name = path(world), world.spoke.client("sagemaker"), f"{world.prefix}-Capitals"
    created = sagemaker.create_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
    world.finally_delete(f"model package group {name}", lambda: delete_group(sagemaker, name))
    arn = world.register(ModelPackageGroupName=name)
    described = world.describe(arn)
    group = sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    (listed,) = sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    groups = sagemaker.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    event: dict[str, Any] = way.next(world.hub, arn) or {}
    seen = {
        "CreateModelPackageGroup": created,
        "DescribeModelPackageGroup": group["ModelPackageGroupArn"],
        "ListModelPackageGroups": groups[0]["ModelPackageGroupArn"] if groups else "nothing",
        "CreateModelPackage": arn,
        "DescribeModelPackage": described["ModelPackageArn"],
        "ListModelPackages": listed["ModelPackageArn"],
        "event": event.get("detail", {}).get("ModelPackageArn", "no event"),
        "event's resources": (event.get("resources") or ["none"])[0],
    }
    spelled = {where: _spelling(arn, name) for where, arn in seen.items()}
    names = {
        "DescribeModelPackage": described.get("ModelPackageGroupName"),
        "event": event.get("detail", {}).get("ModelPackageGroupName"),
    }
    return expect(
        len(set(spelled.values())) == 1 and "other" not in spelled.values(),
        f"ARNs: {json.dumps(spelled)}; ModelPackageGroupName: {json.dumps(names)}",
    )


def _spelling(arn: str, name: str) -> str:
    if f"/{name}" in arn:
        return "as written"
    return "lower case" if f"/{name.lower()}" in arn else "other"


CHECKS: tuple[Check, ...] = (arn_spelling,)
