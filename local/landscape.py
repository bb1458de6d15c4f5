"""The accounts that the demo, the tests and ``python -m local`` play in: one hub and two spokes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local.accounts import ensure_persona
from local.deploy import Stack, deploy
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-default-bucket",
        "The SageMaker Python SDK keeps models in a bucket sagemaker-{region}-{account}, which it makes itself.",
        Evidence.DOCUMENTED,
        "https://sagemaker.readthedocs.io/en/stable/api/utility/session.html",
    ),
)

ROOT = Path(__file__).parents[1]
HUB = "999999999999"
BREAK_GLASS = "break-glass"
"""Role in the hub that may write mirrored artifacts by hand; the person at the keyboard may not."""
SPOKES = {"spoke-a": "111111111111", "spoke-b": "222222222222"}


@dataclass(frozen=True)
class Landscape:
    """The deployed stacks; ``spokes`` by their names."""

    aws: LocalAws
    hub: Stack
    spokes: dict[str, Stack]


def default_bucket(aws: LocalAws, account: str) -> str:
    """Make SageMaker's default bucket of an account unless it is there; give its name."""
    name = f"sagemaker-{aws.region}-{account}"
    s3 = aws.client("s3", account)
    try:
        s3.head_bucket(Bucket=name)
    except ClientError:
        where = {"LocationConstraint": aws.region}
        more = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": where}
        s3.create_bucket(Bucket=name, **more)
    return name


def deploy_all(
    aws: LocalAws,
    hub_parameters: Mapping[str, str] | None = None,
    spoke_parameters: Mapping[str, str] | None = None,
    *,
    accounts: Mapping[str, str] = SPOKES,
) -> Landscape:
    """Deploy ``template.yaml`` into the hub and ``spoke.yaml`` into the spokes.

    The spokes let the hub copy server side from their default buckets, which are made first.

    Parameters
    ----------
    hub_parameters, spoke_parameters
        In place of the templates' defaults.
    accounts
        Of the spokes, by their names.
    """
    spokes = ",".join(accounts.values())
    own = {"SpokeAccounts": spokes, "BreakGlassRoleArn": ensure_persona(HUB, BREAK_GLASS)}
    hub = deploy(aws, HUB, ROOT / "template.yaml", {**own, **(hub_parameters or {})})
    deployed = {}
    for name, account in accounts.items():
        default_bucket(aws, account)
        parameters = {"HubAccount": HUB, "PolicyBucket": "default", **(spoke_parameters or {})}
        deployed[name] = deploy(aws, account, ROOT / "spoke.yaml", parameters)
    return Landscape(aws, hub, deployed)
