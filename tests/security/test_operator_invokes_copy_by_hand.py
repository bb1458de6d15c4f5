"""Somebody in the hub's account who may invoke one function copies what the hub must not hold.

The attacker: a person in the hub with `lambda:InvokeFunction` on one function of the path, or with the credentials of
one function's role; no other right. The asset: what the roles of the hub can read, and whose place it is put in. What
holds: each function asks whether the account is a spoke, what it writes is the version's own place, and the roles
that touch bytes are tied to one spoke by the tag of their session.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.accounts import Credentials, LocalSession
from local.deploy import deploy
from local.landscape import ROOT
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, Landscape, policy
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.data_scientist import DataScientist

STRANGER = "333333333333"
BY_ORGANIZATION = "by-organization"
REGION = "eu-west-1"
FUNCTIONS = ("plan", "copy-artifact", "copy-image", "register")


@pytest.fixture(scope="module")
def open_hub(deployment: Landscape) -> Iterator[Hub]:
    """Give a hub that an organization admits spokes to, with a stranger outside of it."""
    aws = deployment.aws
    options = {"Namespace": BY_ORGANIZATION, "SpokeAccounts": "", "OrganizationId": aws.organization}
    stack = deploy(aws, HUB, ROOT / "template.yaml", options, BY_ORGANIZATION)
    aws.authority.outside.add(STRANGER)
    yield Hub(aws, stack, BY_ORGANIZATION)
    aws.authority.outside.discard(STRANGER)


def package(account: str = SPOKE_A, region: str = REGION) -> str:
    return f"arn:aws:sagemaker:{region}:{account}:model-package/planted/1"


def artifact(uri: str, account: str = SPOKE_A, **changes: Any) -> dict[str, Any]:
    place = {"destination": f"models/{account}/planted/1/"}
    return {"kind": "artifact", "uri": uri, "type": "object"} | place | changes


def image(uri: str, account: str = SPOKE_A, **changes: Any) -> dict[str, Any]:
    own = {"repository": f"registry-replicator/{account}/planted"}
    return {"kind": "image", "uri": uri} | own | changes


def invoke(hub: Hub, function: str, **request: Any) -> dict[str, Any]:
    """Invoke a function by hand, and give the error that it answers with."""
    answer = hub.client("lambda").invoke(
        FunctionName=f"{hub.namespace}-{function}", Payload=json.dumps(request).encode()
    )
    error: dict[str, Any] = json.loads(answer["Payload"].read())
    assert answer.get("FunctionError"), error
    return error


def request(function: str, arn: str) -> dict[str, Any]:
    """Write what the state machine gives a function."""
    plan = {"action": "MIRROR", "reason": "-", "wanted": 1, "fingerprint": "0" * 64, "copies": []}
    account = arn.split(":")[4]
    wanted: dict[str, dict[str, Any]] = {
        "plan": {"attempt": 1},
        "register": {"attempt": 1, "plan": plan, "results": []},
        "copy-artifact": {"copy": artifact(f"s3://registry-replicator-{HUB}-{REGION}/models/x", account)},
        "copy-image": {"copy": image(f"{account}.dkr.ecr.{REGION}.amazonaws.com/planted:1", account)},
    }
    return {"source_arn": arn, **wanted[function]}


def bait(s3: Any, bucket: str, *, open_to_all: bool) -> None:
    """Put something that the hub must not read into a bucket."""
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="models/x", Body=b"[]")
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    if open_to_all:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy(everybody))


def mirrored(hub: Hub, prefix: str) -> list[str]:
    """List what lies under a prefix of the hub's bucket."""
    found = hub.client("s3").list_objects_v2(Bucket=hub.stack.resources["HubBucket"], Prefix=prefix)
    return [each["Key"] for each in found.get("Contents", [])]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (package(HUB), "OWN_ACCOUNT"),
        (package(STRANGER), "UNKNOWN_ACCOUNT"),
        (package(region="us-east-1"), "REGION_NOT_SERVED"),
        (f"{package()}/../2", "MALFORMED_EVENT"),
    ],
    ids=["the hub", "a stranger", "another region", "no version"],
)
def test_a_function_works_for_spokes_only(hub: Hub, function: str, arn: str, code: str) -> None:
    error = invoke(hub, function, **request(function, arn))
    assert error["errorType"] == "PermanentError"
    assert code in error["errorMessage"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_hub_of_an_organization_does_not_read_itself(open_hub: Hub, function: str) -> None:
    assert "OWN_ACCOUNT" in invoke(open_hub, function, **request(function, package(HUB)))["errorMessage"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_hub_of_an_organization_reads_nobody_outside(
    deployment: Landscape, open_hub: Hub, function: str
) -> None:
    """The stranger has a role of the right name and a bucket, and both let everybody in."""
    aws, bucket = deployment.aws, f"bait-{function}"
    iam, role = aws.client("iam", STRANGER), f"{BY_ORGANIZATION}-{REGION}-read"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust))
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=policy(anything))
    bait(aws.client("s3", STRANGER), bucket, open_to_all=True)
    asked = request(function, package(STRANGER))
    if function == "copy-artifact":
        asked["copy"] = artifact(f"s3://{bucket}/models/x", STRANGER)
    if function == "copy-image":
        asked["copy"]["repository"] = f"{BY_ORGANIZATION}/{STRANGER}/planted"
    if function == "plan":  # the ledger knows no such version, so nothing is read
        answer = open_hub.client("lambda").invoke(
            FunctionName=f"{BY_ORGANIZATION}-plan", Payload=json.dumps(asked).encode()
        )
        assert json.loads(answer["Payload"].read())["action"] == "NOTHING"
        return
    assert "SOURCE_ACCESS_DENIED" in invoke(open_hub, function, **asked)["errorMessage"]
    assert mirrored(open_hub, f"models/{STRANGER}/") == []


@pytest.mark.parametrize(
    "destination",
    [
        f"models/{SPOKE_B}/planted/1/", "provenance/", "", "models/", f"models/{SPOKE_A}/",
        f"models/{SPOKE_A}/planted/", f"models/{SPOKE_A}/planted/2/", f"models/{SPOKE_A}/other/1/",
        f"models/{SPOKE_A}/planted/1", f"models/{SPOKE_A}/planted/1/../../../{SPOKE_B}/planted/1/",
        f"models/{SPOKE_A}/planted/1/deeper/",
    ],
)  # fmt: skip
def test_an_artifact_goes_to_its_own_versions_place(hub: Hub, spoke: DataScientist, destination: str) -> None:
    copy = artifact(spoke.put("model.tar.gz"), destination=destination)
    error = invoke(hub, "copy-artifact", source_arn=package(), copy=copy)
    assert "HUB_REFUSED" in error["errorMessage"]
    assert mirrored(hub, f"{destination}planted") == []


@pytest.mark.parametrize("whose", ["the hub's", "another spoke's", "another spoke's, open to all"])
@pytest.mark.parametrize("kind", ["object", "prefix", "manifest"])
def test_an_artifact_is_read_from_the_versions_account_only(
    deployment: Landscape, hub: Hub, fresh: Any, whose: str, kind: str
) -> None:
    account = HUB if whose == "the hub's" else SPOKE_B
    bucket = fresh("bait")
    bait(deployment.aws.client("s3", account), bucket, open_to_all="open" in whose)
    uri = f"s3://{bucket}/models/" + ("" if kind == "prefix" else "x")
    error = invoke(hub, "copy-artifact", source_arn=package(), copy=artifact(uri, type=kind))
    assert "SOURCE_ACCESS_DENIED" in error["errorMessage"] or "FOREIGN_BUCKET" in error["errorMessage"]
    assert mirrored(hub, f"models/{SPOKE_A}/planted/") == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"repository": f"registry-replicator/{SPOKE_B}/planted"}, "HUB_REFUSED"),
        ({"repository": "somebody/elses"}, "HUB_REFUSED"),
        ({"repository": f"registry-replicator/{SPOKE_A}"}, "HUB_REFUSED"),
        ({"neighbours": [f"registry-replicator/{SPOKE_B}/theirs"]}, "HUB_REFUSED"),
        ({"uri": f"{SPOKE_B}.dkr.ecr.{REGION}.amazonaws.com/theirs:1"}, "FOREIGN_REGISTRY"),
        (
            {"uri": f"{HUB}.dkr.ecr.{REGION}.amazonaws.com/registry-replicator/{SPOKE_B}/x:1"},
            "FOREIGN_REGISTRY",
        ),
        ({"uri": f"{SPOKE_A}.dkr.ecr.us-east-1.amazonaws.com/planted:1"}, "FOREIGN_REGION"),
        ({"uri": "registry.example.com/planted:1"}, "INVALID_LOCATION"),
    ],
)
def test_an_image_comes_from_its_spoke_and_goes_to_its_own_repositories(
    hub: Hub, changes: dict[str, Any], code: str
) -> None:
    copy = image(f"{SPOKE_A}.dkr.ecr.{REGION}.amazonaws.com/planted:1") | changes
    assert code in invoke(hub, "copy-image", source_arn=package(), copy=copy)["errorMessage"]


def tags(*values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in zip(("spoke", "other"), values, strict=False)]


@pytest.mark.parametrize("role", ["s3-copy", "ecr-copy"])
@pytest.mark.parametrize(
    ("caller", "given"),
    [
        ("own", []), ("own", tags(HUB)), ("own", tags(STRANGER)), ("own", tags("*")), ("own", tags(SPOKE_A, "x")),
        ("plan", tags(SPOKE_A)), ("register", tags(SPOKE_A)), ("reconcile", tags(SPOKE_A)), ("other", tags(SPOKE_A)),
        ("a person", tags(SPOKE_A)),
    ],
    ids=[
        "no spoke", "the hub", "a stranger", "every spoke", "two tags", "plan", "register", "reconcile",
        "the other copy function", "a person",
    ],
)  # fmt: skip
def test_a_copy_role_is_taken_by_its_function_for_one_spoke(
    deployment: Landscape, role: str, caller: str, given: list[dict[str, str]]
) -> None:
    functions = {"s3-copy": "copy-artifact", "ecr-copy": "copy-image"}
    names = {"own": functions[role], "other": functions[{"s3-copy": "ecr-copy"}.get(role, "s3-copy")]}
    prefix = f"registry-replicator-{REGION}"
    who = () if caller == "a person" else (f"{prefix}-{names.get(caller, caller)}",)
    sts = deployment.aws.client("sts", HUB, *who)
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(
            RoleArn=f"arn:aws:iam::{HUB}:role/{prefix}-{role}", RoleSessionName="somebody", Tags=given
        )


@pytest.mark.parametrize("role", ["s3-copy", "ecr-copy"])
def test_in_a_hub_of_an_organization_no_session_is_tagged_with_the_hub(
    deployment: Landscape, open_hub: Hub, role: str
) -> None:
    function = {"s3-copy": "copy-artifact", "ecr-copy": "copy-image"}[role]
    prefix = f"{BY_ORGANIZATION}-{REGION}"
    sts = deployment.aws.client("sts", HUB, f"{prefix}-{function}")
    arn = f"arn:aws:iam::{HUB}:role/{prefix}-{role}"
    assert sts.assume_role(RoleArn=arn, RoleSessionName="somebody", Tags=tags(SPOKE_A))["Credentials"]
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=arn, RoleSessionName="somebody", Tags=tags(HUB))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("create_repository", {}),
        ("initiate_layer_upload", {}),
        ("put_image", {"imageManifest": "{}"}),
        ("batch_get_image", {"imageIds": [{"imageTag": "1"}]}),
        ("set_repository_policy", {"policyText": "{}"}),
        ("delete_repository", {}),
        ("tag_resource", {}),
    ],
)
def test_a_session_for_one_spoke_touches_no_other_spokes_repository(
    deployment: Landscape, operation: str, arguments: dict[str, Any]
) -> None:
    aws, prefix = deployment.aws, f"registry-replicator-{REGION}"
    taken = aws.client("sts", HUB, f"{prefix}-copy-image").assume_role(
        RoleArn=f"arn:aws:iam::{HUB}:role/{prefix}-ecr-copy", RoleSessionName="somebody", Tags=tags(SPOKE_A)
    )["Credentials"]
    keys = Credentials(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    ecr = LocalSession(aws.endpoint, REGION, keys).client("ecr")
    theirs = f"registry-replicator/{SPOKE_B}/theirs"
    named: dict[str, Any] = {"repositoryName": theirs}
    if operation == "tag_resource":
        named = {"resourceArn": f"arn:aws:ecr:{REGION}:{HUB}:repository/{theirs}", "tags": []}
    with pytest.raises(ClientError, match="AccessDenied"):
        getattr(ecr, operation)(**named, **arguments)
