"""The local registry itself: each test names the documented behaviour that it follows."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from local.ecr.tokens import LIFETIME_SECONDS, Caller, TokenError, Tokens
from local.images import MANIFEST, build_image, build_index, push
from tests.integration.test_copy_image.conftest import OTHER, REGION, SPOKE

if TYPE_CHECKING:
    from tests.integration.test_copy_image.conftest import World

IMAGE = build_image({f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}, layers=2)
NAME = "team/scorer"


def call(world: World, method: str, path: str, body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
    """Make a request to the spoke's registry with its own token."""
    url, authorization = world.login(SPOKE)
    own = {"Authorization": authorization} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return urllib3.request(
        method,
        path if path.startswith("http") else f"{url}/v2/{path}",
        body=body,
        headers=own,
        redirect=False,
    )


def errors(answer: urllib3.BaseHTTPResponse) -> list[str]:
    return [error["code"] for error in answer.json()["errors"]]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_the_endpoint_is_on_the_host_where_the_api_was_called(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html
    data = world.ecr(SPOKE).get_authorization_token()["authorizationData"][0]
    assert data["proxyEndpoint"] == f"http://127.0.0.1:{world.registry.port_for(SPOKE)}"
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
    assert 0 < data["expiresAt"].timestamp() - time.time() <= LIFETIME_SECONDS
    two = world.ecr(SPOKE).get_authorization_token(registryIds=[SPOKE, OTHER])["authorizationData"]
    assert len({each["proxyEndpoint"] for each in two}) == 2


def test_without_a_genuine_token_nobody_gets_in(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
    url = world.registry.endpoint(SPOKE)
    bare = urllib3.request("GET", f"{url}/v2/")
    assert bare.status == 401
    assert bare.headers["WWW-Authenticate"].startswith("Basic ")
    forged = base64.b64encode(b"AWS:" + base64.b64encode(b"x" * 80)).decode()
    assert urllib3.request("GET", f"{url}/v2/", headers={"Authorization": f"Basic {forged}"}).status == 401
    assert call(world, "GET", "").status == 200


def test_a_token_is_good_for_twelve_hours() -> None:
    tokens = Tokens()
    caller = Caller(SPOKE, REGION, "AKIA")
    assert tokens.read(f"Basic {tokens.issue(caller)}") == caller
    with pytest.raises(TokenError, match="expired"):
        tokens.read(f"Basic {tokens.issue(caller, time.time() - LIFETIME_SECONDS - 1)}")


def test_a_repository_must_exist(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-push-ecr-image.html
    answer = call(world, "POST", "never/made/blobs/uploads/")
    assert (answer.status, errors(answer)) == (404, ["NAME_UNKNOWN"])


def test_layers_come_from_elsewhere_without_credentials(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-setting-up-s3-gateway
    world.push(IMAGE, NAME)
    layer = IMAGE.blobs[1]
    answer = call(world, "GET", f"{NAME}/blobs/{layer.digest}")
    assert answer.status == 307
    place = answer.headers["Location"]
    assert urllib3.request("GET", place).data == layer.data
    assert call(world, "GET", place).status == 400
    assert urllib3.request("GET", place.replace("Signature=", "Signature=0")).status == 403


def begin(world: World) -> str:
    """Open an upload and give its URL."""
    return call(world, "POST", f"{NAME}/blobs/uploads/").headers["Location"]


def test_parts_are_answered_with_201_and_the_range_of_the_first(world: World) -> None:
    # https://github.com/aws/containers-roadmap/issues/2831
    world.push(IMAGE, NAME)
    world.registry.repositories.least_part_bytes = 10
    place = begin(world)
    parts = [b"first part", b"and a second one", b"third"]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()
    sent = 0
    for part in parts:
        ends = sent + len(part) - 1
        answer = call(world, "PATCH", place, part, Content_Range=f"{sent}-{ends}")
        assert (answer.status, answer.headers["Range"]) == (201, f"0-{len(parts[0]) - 1}")
        sent += len(part)
    # https://github.com/apple/container/issues/1895
    for method in ("PATCH", "PUT"):
        answer = call(world, method, f"{place}?digest=sha256:{digest}", b"again", Content_Range="0-4")
        assert (answer.status, errors(answer)) == (416, ["BLOB_UPLOAD_INVALID"])
        assert "First byte of the layer part is 0 instead of 31" in answer.data.decode()
    assert call(world, "PUT", f"{place}?digest=sha256:{digest}").status == 201
    # An upload is over when it is completed.
    answer = call(world, "PATCH", place, b"more")
    assert (answer.status, errors(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def refusal(world: World, digest: str, *parts: bytes) -> tuple[int, list[str], str]:
    """Upload parts, complete with a digest, and give the answer."""
    place = begin(world)
    for part in parts[:-1]:
        call(world, "PATCH", place, part)
    answer = call(world, "PUT", f"{place}?digest={digest}", parts[-1])
    assert call(world, "HEAD", f"{NAME}/blobs/{digest}").status == 404
    return answer.status, errors(answer), answer.json()["errors"][0]["message"]


def test_a_layer_must_have_its_digest_and_size(world: World) -> None:
    # https://github.com/dotnet/sdk-container-builds/issues/424
    world.push(IMAGE, NAME)
    status, codes, message = refusal(world, f"sha256:{'0' * 64}", b"bytes")
    assert (status, codes) == (400, ["BLOB_UPLOAD_INVALID"])
    assert message == "None of the provided layer digests match the calculated layer digest"
    digest = f"sha256:{hashlib.sha256(b'bytes').hexdigest()}"
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
    status, codes, message = refusal(world, digest, b"by", b"tes")
    assert (status, codes) == (400, ["BLOB_UPLOAD_INVALID"])
    assert "at least 5MB" in message
    world.registry.repositories.most_layer_bytes = 4
    assert refusal(world, digest, b"bytes")[:2] == (400, ["SIZE_INVALID"])


def test_a_layer_of_no_bytes_is_refused(world: World) -> None:
    # https://github.com/radius-project/radius/issues/7855, https://github.com/devcontainers/cli/issues/814
    world.push(IMAGE, NAME)
    status, codes, message = refusal(world, f"sha256:{hashlib.sha256(b'').hexdigest()}", b"")
    assert (status, codes) == (400, ["BLOB_UPLOAD_INVALID"])
    assert "does not have any parts" in message


def complete_by_the_api(world: World, digest: str, data: bytes) -> str:
    ecr = world.ecr(SPOKE)
    session = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
    if data:
        ecr.upload_layer_part(
            repositoryName=NAME, uploadId=session, partFirstByte=0, partLastByte=len(data) - 1,
            layerPartBlob=data,
        )  # fmt: skip
    with pytest.raises(ClientError) as caught:
        ecr.complete_layer_upload(repositoryName=NAME, uploadId=session, layerDigests=[digest])
    return code_of(caught)


def test_the_api_refuses_layers_by_exceptions_of_its_own(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html
    world.ecr(SPOKE).create_repository(repositoryName=NAME)
    empty = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert complete_by_the_api(world, f"sha256:{'0' * 64}", b"bytes") == "InvalidLayerException"
    assert complete_by_the_api(world, empty, b"") == "EmptyUploadException"


def test_a_manifest_is_put_under_its_own_digest(world: World) -> None:
    # https://github.com/google/go-containerregistry/issues/1568
    world.push(IMAGE, NAME)
    path = f"{NAME}/manifests/sha256:{'0' * 64}"
    answer = call(world, "PUT", path, IMAGE.manifest.data, Content_Type=MANIFEST)
    assert (answer.status, errors(answer)) == (400, ["MANIFEST_INVALID"])
    assert "does not match the image digest that Amazon ECR has calculated" in answer.data.decode()


def put(world: World, document: dict[str, Any], kind: str = MANIFEST) -> tuple[int, list[str]]:
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
    answer = call(world, "PUT", f"{NAME}/manifests/2.0", body, Content_Type=kind)
    return answer.status, [] if answer.status == 201 else errors(answer)


def test_what_amazon_ecr_does_not_hold_is_unsupported(world: World) -> None:
    world.push(IMAGE, NAME)
    # https://github.com/oras-project/oras/issues/690
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    assert put(world, {"blobs": []}, kind) == (405, ["UNSUPPORTED"])
    # https://github.com/openai/tart/issues/890
    config, layer = (blob.descriptor for blob in IMAGE.blobs[:2])
    assert put(world, {"config": config, "layers": [layer] * 4201}) == (405, ["UNSUPPORTED"])
    assert put(world, {"config": config, "layers": [layer] * 4200}) == (201, [])


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("member", ["subject", "artifactType"])
def test_referrers_are_taken_or_refused(world: World, takes: bool, member: str) -> None:
    # https://aws.amazon.com/about-aws/whats-new/2024/06/amazon-ecr-oci-image-distribution-version-1-1
    # https://github.com/aws/containers-roadmap/issues/2783
    world.push(IMAGE, NAME)
    world.registry.repositories.takes_referrers = takes
    config, layer = (blob.descriptor for blob in IMAGE.blobs[:2])
    value = IMAGE.manifest.descriptor if member == "subject" else "application/spdx+json"
    seen = put(world, {"config": config, "layers": [layer], member: value})
    assert seen == ((201, []) if takes else (405, ["UNSUPPORTED"]))
    # A registry that refuses referrers answers for the list of them all the same: sigstore/sigstore-js#1187.
    listed = call(world, "GET", f"{NAME}/referrers/{IMAGE.digest}")
    assert listed.status == 200
    assert len(listed.json()["manifests"]) == (takes and member == "subject")


def test_the_digest_of_a_manifest_comes_with_head_and_not_with_get(world: World) -> None:
    world.push(IMAGE, NAME)
    head = call(world, "HEAD", f"{NAME}/manifests/1.0")
    got = call(world, "GET", f"{NAME}/manifests/1.0")
    assert head.headers["Docker-Content-Digest"] == IMAGE.digest
    assert "Docker-Content-Digest" not in got.headers
    assert got.data == IMAGE.manifest.data
    assert got.headers["Content-Type"] == MANIFEST


@pytest.mark.parametrize("again", [IMAGE, build_image({"other": b"image"})])
def test_an_immutable_tag_is_not_put_twice_even_with_the_same_image(world: World, again: Any) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    world.ecr(SPOKE).create_repository(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    world.push(IMAGE, NAME)
    with pytest.raises(RuntimeError, match=r"400.*TAG_INVALID.*because the repository is immutable"):
        world.push(again, NAME)
    manifest = again.manifest.data.decode()
    with pytest.raises(ClientError) as caught:
        world.ecr(SPOKE).put_image(repositoryName=NAME, imageManifest=manifest, imageTag="1.0")
    same = again.digest == IMAGE.digest
    assert code_of(caught) == ("ImageAlreadyExistsException" if same else "ImageTagAlreadyExistsException")


def test_a_manifest_must_not_name_what_is_missing(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    world.ecr(SPOKE).create_repository(repositoryName=NAME)
    for image, exception in (
        (IMAGE, "LayersNotFoundException"),
        (build_index([IMAGE]), "ReferencedImagesNotFoundException"),
    ):
        kind = image.manifest.media_type
        answer = call(world, "PUT", f"{NAME}/manifests/1.0", image.manifest.data, Content_Type=kind)
        assert (answer.status, errors(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"])
        with pytest.raises(ClientError) as caught:
            world.ecr(SPOKE).put_image(
                repositoryName=NAME, imageManifest=image.manifest.data.decode(), imageTag="1.0"
            )
        assert code_of(caught) == exception
    answer = call(world, "PUT", f"{NAME}/manifests/1.0", b"<html>", Content_Type=MANIFEST)
    assert (answer.status, errors(answer)) == (405, ["UNSUPPORTED"])


def test_the_api_shows_what_the_endpoint_was_given(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html
    world.push(IMAGE, NAME)
    ecr = world.ecr(SPOKE)
    [detail] = ecr.describe_images(repositoryName=NAME)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (IMAGE.digest, ["1.0"])
    assert detail["imageSizeInBytes"] == sum(len(blob.data) for blob in IMAGE.blobs)
    [found] = ecr.batch_get_image(repositoryName=NAME, imageIds=[{"imageTag": "1.0"}])["images"]
    assert found["imageId"]["imageDigest"] == IMAGE.digest
    url = ecr.get_download_url_for_layer(repositoryName=NAME, layerDigest=IMAGE.blobs[0].digest)[
        "downloadUrl"
    ]
    assert urllib3.request("GET", url).data == IMAGE.blobs[0].data
    ecr.delete_repository(repositoryName=NAME, force=True)
    assert call(world, "HEAD", f"{NAME}/manifests/1.0").status == 404


def test_layers_that_come_by_the_api_are_served_by_the_endpoint(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
    ecr = world.ecr(SPOKE)
    ecr.create_repository(repositoryName=NAME)
    for blob in IMAGE.blobs:
        session = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=NAME, uploadId=session, partFirstByte=0, partLastByte=len(blob.data) - 1,
            layerPartBlob=blob.data,
        )  # fmt: skip
        ecr.complete_layer_upload(repositoryName=NAME, uploadId=session, layerDigests=[blob.digest])
    ecr.put_image(repositoryName=NAME, imageManifest=IMAGE.manifest.data.decode(), imageTag="1.0")
    assert call(world, "HEAD", f"{NAME}/manifests/{IMAGE.digest}").status == 200
    place = call(world, "GET", f"{NAME}/blobs/{IMAGE.blobs[1].digest}").headers["Location"]
    assert urllib3.request("GET", place).data == IMAGE.blobs[1].data


@pytest.mark.filterwarnings("ignore:.*AccessDeniedException does not match an error shape")
def test_another_account_gets_in_by_the_repositorys_policy_alone(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
    world.push(IMAGE, NAME)
    url, authorization = world.login(SPOKE, of=OTHER)

    def read() -> int:
        place = f"{url}/v2/{NAME}/manifests/1.0"
        return urllib3.request("HEAD", place, headers={"Authorization": authorization}).status

    assert read() == 403
    with pytest.raises(ClientError) as caught:
        world.ecr(OTHER).describe_images(registryId=SPOKE, repositoryName=NAME)
    assert code_of(caught) == "AccessDeniedException"
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": ["ecr:BatchGetImage", "ecr:DescribeImages"],
    }
    world.ecr(SPOKE).set_repository_policy(
        repositoryName=NAME, policyText=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    assert read() == 200
    assert world.ecr(OTHER).describe_images(registryId=SPOKE, repositoryName=NAME)["imageDetails"]
    with pytest.raises(RuntimeError, match="403"):
        push(build_image({"not": b"mine"}), url, authorization, NAME, "2.0")


def test_layers_are_shared_where_the_account_turned_that_on(world: World) -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
    world.push(IMAGE, NAME)
    world.ecr(SPOKE).create_repository(repositoryName="team/other")
    digest = IMAGE.blobs[1].digest
    mount = f"team/other/blobs/uploads/?mount={digest}&from={NAME}"
    assert call(world, "POST", mount).status == 202
    world.registry.repositories.blob_mounting = True
    assert call(world, "POST", mount).status == 201
    assert call(world, "HEAD", f"team/other/blobs/{digest}").status == 200


def test_only_what_a_manifest_names_is_shared(world: World) -> None:
    # https://github.com/aws/containers-roadmap/issues/2860
    world.registry.repositories.blob_mounting = True
    world.push(IMAGE, NAME)
    world.ecr(SPOKE).create_repository(repositoryName="team/other")
    digest = f"sha256:{hashlib.sha256(b'alone').hexdigest()}"
    assert call(world, "PUT", f"{begin(world)}?digest={digest}", b"alone").status == 201
    answer = call(world, "POST", f"team/other/blobs/uploads/?mount={digest}&from={NAME}")
    # It is an ordinary upload instead, which takes the bytes.
    assert answer.status == 202
    assert call(world, "PUT", f"{answer.headers['Location']}?digest={digest}", b"alone").status == 201
