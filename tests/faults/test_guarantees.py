"""Each guarantee is planted a violation of, and says so: what never fails shows nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from local.landscape import BREAK_GLASS, HUB
from replicator.identifiers import version_key
from tests.faults import guarantees
from tests.faults.guarantees import Broken, Operator
from tests.faults.requests import Request
from tests.faults.wire import Call
from tests.faults.world import SPOKE_A, SPOKE_B

if TYPE_CHECKING:
    from tests.faults.models import Models, Version
    from tests.faults.world import World


@pytest.fixture
def version(world: World, models: Models) -> Version:
    """One that is mirrored, and of which all eight hold."""
    version = models.version(CustomerMetadataProperties={"revision": "1"})
    version.scientist.approve(version.arn)
    world.settle()
    guarantees.check(Operator(world, version), world.wire.calls, [1])
    return version


@pytest.fixture
def seen(world: World, version: Version) -> Operator:
    return Operator(world, version)


def mirror_of(seen: Operator) -> dict[str, Any]:
    (mirror,) = seen.mirrors
    return mirror


def write_entry(world: World, version: Version, **values: str) -> None:
    world.aws.client("dynamodb", HUB).update_item(
        TableName=world.landscape.hub.resources["Ledger"],
        Key={"source_arn": {"S": version_key(version.arn)}},
        AttributeUpdates={name: {"Value": {"S": value}, "Action": "PUT"} for name, value in values.items()},
    )


def containers(seen: Operator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = mirror_of(seen)["InferenceSpecification"]["Containers"]
    return found


def place(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


@pytest.mark.parametrize("state", ["RUNNING", "FAILED"])
def test_1_a_run_that_nobody_ends_or_tells_of(
    world: World, version: Version, seen: Operator, state: str
) -> None:
    write_entry(world, version, state=state)
    with pytest.raises(Broken, match=f"guarantee 1: .* is {state}"):
        guarantees.nothing_lost(seen)


def test_1_an_event_that_is_lost(world: World, models: Models) -> None:
    version = models.version()
    version.scientist.approve(version.arn)
    world.lose_messages()
    with pytest.raises(Broken, match=r"guarantee 1: .* is nowhere"):
        guarantees.nothing_lost(Operator(world, version))


def test_1_a_dead_letter_without_a_reason(world: World, version: Version, seen: Operator) -> None:
    url = world.landscape.hub.resources["DeadLetterQueue"]
    world.aws.client("sqs", HUB).send_message(QueueUrl=url, MessageBody=json.dumps({"about": version.arn}))
    with pytest.raises(Broken, match=r"guarantee 1: a dead letter .* says no reason"):
        guarantees.nothing_lost(seen)
    world.forget_letters()


def test_1_and_2_a_mirror_that_is_gone_or_there_twice(world: World, version: Version, seen: Operator) -> None:
    sagemaker, mirror = world.aws.client("sagemaker", HUB), mirror_of(seen)
    members = ("ModelPackageGroupName", "InferenceSpecification", "CustomerMetadataProperties")
    again = sagemaker.create_model_package(**{name: mirror[name] for name in members})
    with pytest.raises(Broken, match=r"guarantee 2: .* has 2 mirrors"):
        guarantees.nothing_doubled(seen)
    for arn in (again["ModelPackageArn"], mirror["ModelPackageArn"]):
        sagemaker.delete_model_package(ModelPackageName=arn)
    with pytest.raises(Broken, match=r"guarantee 1: the mirror .* is not there"):
        guarantees.nothing_lost(seen)


def test_3_an_object_with_other_bytes_or_none(world: World, seen: Operator) -> None:
    s3, (one, two) = world.aws.client("s3", HUB, BREAK_GLASS), containers(seen)
    folder = two["ModelDataSource"]["S3DataSource"]["S3Uri"]
    at = place(one["ModelDataUrl"])
    right = s3.get_object(**at)["Body"].read()
    s3.put_object(**at, Body=b"x" + right[1:])
    with pytest.raises(Broken, match=r"guarantee 3: .*Containers\[0\].ModelDataUrl: .* has other bytes"):
        guarantees.same_bytes(seen)
    s3.put_object(**at, Body=right)
    guarantees.same_bytes(seen)
    s3.delete_object(**place(f"{folder}weights"))
    with pytest.raises(Broken, match=r"guarantee 3: .*S3Uri: .*'tokens', 'weights'\] became \['tokens'\]"):
        guarantees.same_bytes(seen)


def test_3_a_layer_with_other_bytes(world: World, version: Version, seen: Operator) -> None:
    repository = containers(seen)[0]["Image"].partition("/")[2].partition("@")[0]
    digest = version.image.blobs[-1].digest
    repositories = world.aws.images.repositories
    file = repositories.blob(repositories.find(HUB, world.aws.region, repository), digest)
    right = file.read_bytes()
    file.write_bytes(b"x")
    try:
        with pytest.raises(Broken, match=f"guarantee 3: .*{digest} of .* has the bytes of"):
            guarantees.same_bytes(seen)
    finally:
        file.write_bytes(right)


def test_3_a_mirror_that_points_to_another_spokes_copy(world: World, seen: Operator) -> None:
    theirs = {"Bucket": world.hub_bucket, "Key": f"models/{SPOKE_B}/x"}
    version = world.aws.client("s3", HUB, BREAK_GLASS).put_object(**theirs, Body=b"")["VersionId"]
    specification = mirror_of(seen)["InferenceSpecification"]
    specification["Containers"][0]["ModelDataUrl"] = f"s3://{world.hub_bucket}/models/{SPOKE_B}/x"
    world.aws.client("sagemaker", HUB).update_model_package(
        ModelPackageArn=mirror_of(seen)["ModelPackageArn"], InferenceSpecification=specification
    )
    with pytest.raises(Broken, match=r"guarantee 3: .* not a copy of the hub"):
        guarantees.same_bytes(seen)
    world.aws.client("s3", HUB, BREAK_GLASS).delete_object(**theirs, VersionId=version)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"ModelApprovalStatus": "Rejected"}, "the rejection .* is not in the hub"),
        ({"CustomerMetadataProperties": {"revision": "2"}}, "metadata revision is '2', in the hub '1'"),
        ({"ApprovalDescription": "newer"}, "ApprovalDescription is 'newer' in the spoke and None"),
    ],
)
def test_4_a_change_of_the_spoke_that_did_not_arrive(
    world: World, version: Version, seen: Operator, change: dict[str, Any], what: str
) -> None:
    version.scientist.update(version.arn, **change)
    with pytest.raises(Broken, match=f"guarantee 4: {what}"):
        guarantees.same_state(seen)


def test_4_a_change_in_the_hub_that_no_person_made(world: World, version: Version, seen: Operator) -> None:
    version.scientist.update(version.arn, ApprovalDescription="theirs")
    world.settle()
    arn = mirror_of(seen)["ModelPackageArn"]
    world.aws.client("sagemaker", HUB).update_model_package(ModelPackageArn=arn, ApprovalDescription="ours")
    with pytest.raises(Broken, match="guarantee 4: ApprovalDescription is 'theirs' in the spoke and 'ours'"):
        guarantees.same_state(seen)
    guarantees.same_state(Operator(world, version, edited=frozenset({"ApprovalDescription"})))


def test_5_an_upload_that_is_left(world: World, version: Version, seen: Operator) -> None:
    s3, key = world.aws.client("s3", HUB, BREAK_GLASS), f"models/{SPOKE_A}/{version.group}/1/x"
    upload = s3.create_multipart_upload(Bucket=world.hub_bucket, Key=key)["UploadId"]
    with pytest.raises(Broken, match="guarantee 5: multipart uploads are left open"):
        guarantees.no_litter(seen)
    s3.abort_multipart_upload(Bucket=world.hub_bucket, Key=key, UploadId=upload)


def test_5_half_an_image(world: World, models: Models, seen: Operator) -> None:
    ecr, name = world.aws.client("ecr", HUB), f"{world.namespace}/{SPOKE_A}/{models.stock.group}"
    (image,) = ecr.describe_images(repositoryName=name)["imageDetails"]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": tag} for tag in image["imageTags"]])
    if not ecr.describe_images(repositoryName=name)["imageDetails"]:
        # The last tag took the image with it, as in Amazon ECR; put it again without one.
        ecr.put_image(repositoryName=name, imageManifest=models.image.manifest.data.decode())
    with pytest.raises(Broken, match="guarantee 5: a half image is left"):
        guarantees.no_litter(seen)
    models.forget_copies()


def test_5_an_item_that_still_holds_something(world: World, version: Version, seen: Operator) -> None:
    write_entry(world, version, unsettled=SPOKE_A)
    with pytest.raises(Broken, match=r"guarantee 5: .* still holds {'unsettled'"):
        guarantees.no_litter(seen)


def test_5_a_slot_that_is_not_given_back(world: World, version: Version, seen: Operator) -> None:
    world.aws.client("dynamodb", HUB).update_item(
        TableName=world.landscape.hub.resources["Spokes"],
        Key={"account": {"S": SPOKE_A}},
        UpdateExpression="ADD running :one",
        ExpressionAttributeValues={":one": {"SS": [version_key(version.arn)]}},
    )
    with pytest.raises(Broken, match=r"guarantee 5: .* still holds a slot"):
        guarantees.no_litter(seen)
    world.sweep()
    guarantees.no_litter(seen)


def written(world: World, path: str, service: str = "s3") -> Call:
    signed = {
        "authorization": f"AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-west-1/{service}/aws4_request, x"
    }
    return Call("f", service, "Put", 1, Request("PUT", path, signed, 1))


@pytest.mark.parametrize(
    "path", ["/{b}/models/222222222222/g/1/x", "/{b}/x", "/other/models/111111111111/g/1/x"]
)
def test_6_a_request_that_writes_elsewhere(world: World, path: str) -> None:
    call = written(world, path.replace("{b}", world.hub_bucket))
    with pytest.raises(Broken, match=r"guarantee 6: .* writes .*, outside"):
        guarantees.own_prefix_only(world, [call], SPOKE_A)


def test_6_a_layer_that_is_pushed_elsewhere(world: World) -> None:
    request = Request("PUT", f"/v2/{world.namespace}/{SPOKE_B}/i/blobs/uploads/1", {}, 1)
    with pytest.raises(Broken, match=r"guarantee 6: .* writes .*, outside"):
        guarantees.own_prefix_only(world, [Call("f", "registry", "PUT blobs/uploads", 1, request)], SPOKE_A)


def test_6_something_in_the_hub_that_is_nobodys(world: World) -> None:
    s3, ecr = world.aws.client("s3", HUB, BREAK_GLASS), world.aws.client("ecr", HUB)
    for key in ("x", "models/333333333333/x"):
        version = s3.put_object(Bucket=world.hub_bucket, Key=key, Body=b"")["VersionId"]
        with pytest.raises(Broken, match="guarantee 6: the hub's bucket has"):
            guarantees.own_prefix_only(world, [], SPOKE_A)
        s3.delete_object(Bucket=world.hub_bucket, Key=key, VersionId=version)
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName="elsewhere")
    with pytest.raises(Broken, match="guarantee 6: the hub has the repository elsewhere"):
        guarantees.own_prefix_only(world, [], SPOKE_A)
    ecr.delete_repository(repositoryName="elsewhere")
    guarantees.own_prefix_only(world, [], SPOKE_A)


def test_7_a_request_that_reads_from_another_spoke(world: World) -> None:
    other = f"sagemaker-{world.aws.region}-{SPOKE_B}"
    signed = written(world, "/").request.headers
    read = Request("GET", f"/{other}/x", signed, 1)
    copied = Request("PUT", f"/{world.hub_bucket}/x", {**signed, "x-amz-copy-source": f"{other}/x"}, 1)
    pulled = Request("GET", "/v2/i/manifests/1", {}, world.aws.images.port_for(SPOKE_B))
    for request in (read, copied, pulled):
        call = Call("f", request.service, "Get", 1, request)
        with pytest.raises(Broken, match=f"guarantee 7: .* reads from account {SPOKE_B}"):
            guarantees.no_confused_deputy(world, [call], SPOKE_A)
        guarantees.no_confused_deputy(world, [call], SPOKE_A, frozenset({SPOKE_B}))


def test_8_a_mirror_that_goes_back() -> None:
    guarantees.no_going_back([1, 1, 2, 3])
    with pytest.raises(Broken, match="guarantee 8: the mirror went back from revision 3 to 2"):
        guarantees.no_going_back([1, 3, 2])
