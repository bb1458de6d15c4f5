import json
from typing import Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.package import created, fingerprint
from replicator.plan import Known, plan, uncopied_members
from replicator.steps import Action, ArtifactCopy, ImageCopy
from tests.unit.packages import ARN, DIGEST, IMAGE, MODEL, SPOKE, a_package, a_policy

_PRIVATE = ErrorCode.PRIVATE_HUB_CONTENT
HUB_ARN = "arn:aws:sagemaker:us-east-1:999999999999:model-package/111111111111-churn/1"


def container(**members: Any) -> dict[str, Any]:
    return a_package(InferenceSpecification={"Containers": [members]})


def known(source: dict[str, Any] | None = None, locations: dict[str, str] | None = None) -> Known:
    return Known(HUB_ARN, fingerprint(source) if source else "older", locations or {})


def test_an_approved_version_is_mirrored_with_everything_it_points_to() -> None:
    found = plan(ARN, a_package(), None, a_policy())
    assert found.action is Action.MIRROR
    assert found.copies == [
        ImageCopy(uri=IMAGE, digest=DIGEST, repository=f"registry-replicator/{SPOKE}/churn"),
        ArtifactCopy(
            uri=MODEL,
            type="object",
            etag="etag",
            registered_at="2026-01-02T00:00:00+00:00",
            runs=True,
            destination=f"models/{SPOKE}/churn/3/",
            named=False,
        ),
    ]


def test_images_of_one_package_know_of_each_others_repositories() -> None:
    names = [f"{SPOKE}.dkr.ecr.us-east-1.amazonaws.com/{name}:1" for name in "abcde"]
    names.append(names[0].replace(":1", ":2"))
    source = a_package(InferenceSpecification={"Containers": [{"Image": name} for name in names]})
    copies = plan(ARN, source, known(locations={names[1]: "there"}), a_policy()).copies
    found = {
        copy.uri: [each[-1] for each in copy.neighbours] for copy in copies if isinstance(copy, ImageCopy)
    }
    assert found == {
        names[0]: ["b", "c", "d"],
        names[2]: ["a", "b", "d"],
        names[3]: ["a", "b", "c"],
        names[4]: ["a", "b", "c"],
        names[5]: ["b", "c", "d"],
    }


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_what_was_never_approved_is_not_mirrored(status: str) -> None:
    found = plan(ARN, a_package(ModelApprovalStatus=status), None, a_policy())
    assert found.action is Action.NOTHING
    assert status in found.reason


def test_the_same_state_again_is_nothing_to_do() -> None:
    later = a_package(LastModifiedTime="later", LastModifiedBy={"IamIdentity": {"Arn": "somebody"}})
    assert plan(ARN, later, known(a_package()), a_policy()).action is Action.NOTHING


def test_another_version_under_the_same_arn_is_never_put_into_the_mirror_of_the_first() -> None:
    before = Known(HUB_ARN, "older", {}, "2025-01-01T00:00:00+00:00")
    for status in ("Approved", "Rejected"):
        with pytest.raises(PermanentError, match="made anew") as caught:
            plan(ARN, a_package(ModelApprovalStatus=status), before, a_policy())
        assert caught.value.code is ErrorCode.SOURCE_REPLACED
    same = Known(HUB_ARN, "older", {}, created(a_package()))
    assert plan(ARN, a_package(), same, a_policy()).action is Action.UPDATE


def test_a_change_is_an_update_that_copies_only_what_is_new() -> None:
    source = a_package(CustomerMetadataProperties={"report": f"s3://b-of-{SPOKE}/report.json"})
    found = plan(ARN, source, known(locations={IMAGE: "there", MODEL: "there"}), a_policy())
    assert found.action is Action.UPDATE
    assert [copy.uri for copy in found.copies] == [f"s3://b-of-{SPOKE}/report.json"]


def test_a_rejection_waits_for_no_copy_and_stops_at_no_refusal() -> None:
    source = container(ProductId="prod-1", Image="docker.io/evil") | {"ModelApprovalStatus": "Rejected"}
    found = plan(ARN, source, known(), a_policy())
    assert (found.action, found.copies) == (Action.UPDATE, [])


def test_a_location_is_copied_once_however_many_members_name_it() -> None:
    report = {"ContentType": "application/json", "S3Uri": "s3://bbb/statistics.json"}
    source = a_package(
        ModelMetrics={"ModelDataQuality": {"Statistics": report}},
        DriftCheckBaselines={"ModelDataQuality": {"Statistics": report}},
        AdditionalInferenceSpecifications=[
            {"Name": "n", "Containers": [{"Image": IMAGE, "ModelDataUrl": MODEL}]}
        ],
    )
    copies = plan(ARN, source, None, a_policy()).copies
    assert [copy.uri for copy in copies] == [IMAGE, MODEL, "s3://bbb/statistics.json"]


def test_object_or_prefix_as_each_member_means_it() -> None:
    source = container(
        ModelDataSource={
            "S3DataSource": {
                "S3Uri": "s3://bbb/w/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
                "ETag": "e",
            }
        },
        AdditionalModelDataSources=[
            {
                "ChannelName": "c",
                "S3DataSource": {"S3Uri": "s3://bbb/a.bin", "S3DataType": "S3Object", "ETag": "e"},
            }
        ],
        Environment={
            "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bbb/code.tar.gz",
            "DATA": "s3://bbb/data/",
            "BUCKET": "s3://bbb",
            "TEXT": "see s3://bbb/other",
        },
    )
    copies = plan(ARN, source, None, a_policy()).copies
    assert [(c.uri, c.type, c.etag) for c in copies if isinstance(c, ArtifactCopy)] == [
        ("s3://bbb/w/", "prefix", None),
        ("s3://bbb/a.bin", "object", "e"),
        ("s3://bbb/code.tar.gz", "object", None),
        ("s3://bbb/data/", "prefix", None),
    ]
    # What only free text names says where, for the person who may not have meant a location.
    container_0 = "InferenceSpecification.Containers[0]"
    assert [c.member for c in copies if isinstance(c, ArtifactCopy)] == [
        None,
        None,
        f"{container_0}.Environment{{SAGEMAKER_SUBMIT_DIRECTORY}}",
        f"{container_0}.Environment{{DATA}}",
    ]


def test_one_location_with_two_recorded_states_is_refused() -> None:
    """Its object or tag moved while the package was registered: there is no one state to mirror."""

    def data(name: str, etag: str) -> dict[str, Any]:
        where = {"S3Uri": "s3://bbb/a.bin", "S3DataType": "S3Object", "ETag": etag}
        return {"ChannelName": name, "S3DataSource": where}

    moved = container(AdditionalModelDataSources=[data("c", "e"), data("d", "f")])
    with pytest.raises(
        PermanentError, match=r"SOURCE_CHANGED: .* was registered as f; another .* when that was e"
    ):
        plan(ARN, moved, None, a_policy())
    digests = [f"sha256:{digit * 64}" for digit in "ab"]
    containers = [{"Image": IMAGE, "ImageDigest": digest} for digest in digests]
    moved = a_package(InferenceSpecification={"Containers": containers})
    with pytest.raises(PermanentError, match=rf"SOURCE_CHANGED: .* was registered as {digests[1]}"):
        plan(ARN, moved, None, a_policy())


def test_the_artifacts_of_a_model_card_are_copied_too() -> None:
    content = json.dumps({"model_overview": {"model_artifact": [MODEL, "s3://bbb/extra.bin", "text", 3]}})
    source = a_package(ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"})
    copies = plan(ARN, source, None, a_policy()).copies
    assert [copy.uri for copy in copies] == [IMAGE, MODEL, "s3://bbb/extra.bin"]
    assert uncopied_members(source, {IMAGE: "i", MODEL: "m"}, a_policy()) == {"ModelCard"}


def test_a_manifest_goes_with_the_location_beside_it() -> None:
    data = {
        "S3Uri": "s3://bbb/w/",
        "S3DataType": "S3Prefix",
        "ManifestS3Uri": "s3://bbb/m.csv",
        "ManifestEtag": "e",
    }
    copies = plan(ARN, container(ModelDataSource={"S3DataSource": data}), None, a_policy()).copies
    prefix, manifest = (copy for copy in copies if isinstance(copy, ArtifactCopy))
    assert (manifest.type, manifest.etag, manifest.base) == ("manifest", "e", prefix)


def test_the_shortest_room_counts_and_a_file_name_that_one_member_needs_stays() -> None:
    raw = {"S3DataSource": {"S3Uri": MODEL, "S3DataType": "S3Object", "CompressionType": "None"}}
    source = container(ModelDataUrl=MODEL) | {"CustomerMetadataProperties": {"model": MODEL}}
    (copy,) = plan(ARN, source, None, a_policy()).copies
    assert isinstance(copy, ArtifactCopy)
    assert (copy.longest, copy.named) == (256, False)
    (copy,) = plan(ARN, container(ModelDataUrl=MODEL, ModelDataSource=raw), None, a_policy()).copies
    assert isinstance(copy, ArtifactCopy)
    assert (copy.longest, copy.named) == (1024, True)


def test_what_aws_owns_stays_where_it_is() -> None:
    source = container(
        Image="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1",
        ModelDataUrl="s3://jumpstart-cache-prod-us-east-1/model.tar.gz",
    )
    assert plan(ARN, source, None, a_policy()).copies == []


@pytest.mark.parametrize(
    "bucket",
    [
        "jumpstart-cache-prod-eu-west-1",
        "jumpstart-cache-prod-us-east-1-x",
        "jumpstart-cache-prod-zz",
        "jumpstart-private-cache-prod-anything",
    ],
)
def test_a_bucket_that_only_looks_like_one_of_awss_is_copied(bucket: str) -> None:
    found = plan(ARN, container(ModelDataUrl=f"s3://{bucket}/model.tar.gz"), None, a_policy())
    assert [copy.uri for copy in found.copies] == [f"s3://{bucket}/model.tar.gz"]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (container(Image="444455556666.dkr.ecr.us-east-1.amazonaws.com/x"), ErrorCode.FOREIGN_REGISTRY),
        (container(Image="docker.io/library/python"), ErrorCode.FOREIGN_REGISTRY),
        (container(Image=f"{SPOKE}.dkr.ecr.eu-west-1.amazonaws.com/x"), ErrorCode.FOREIGN_REGION),
        (container(Image="683313688378.dkr.ecr.eu-west-1.amazonaws.com/x"), ErrorCode.FOREIGN_REGION),
        (container(Image="257758044811.dkr.ecr.us-east-1.amazonaws.com/x"), ErrorCode.FOREIGN_REGISTRY),
        (container(Image=f"{IMAGE}@{DIGEST}", ImageDigest="sha256:" + "cd" * 32), ErrorCode.DIGEST_MISMATCH),
        (
            container(
                Image=f"683313688378.dkr.ecr.us-east-1.amazonaws.com/x@{DIGEST}",
                ImageDigest="sha256:" + "cd" * 32,
            ),
            ErrorCode.DIGEST_MISMATCH,
        ),
        (
            a_package(ModelCard={"ModelCardContent": "[" * 50_000, "ModelCardStatus": "Draft"}),
            ErrorCode.LIMIT_EXCEEDED,
        ),
        *(
            (container(ModelDataSource={"S3DataSource": {"HubAccessConfig": {"HubContentArn": arn}}}), code)
            for arn, code in (
                (f"arn:aws:sagemaker:us-east-1:{SPOKE}:hub-content/a:aws:hub-content/Model/m", _PRIVATE),
                ("x:aws:hub-content/SageMakerPublicHub/Model/m", _PRIVATE),
                ("arn:aws:sagemaker:eu-west-1:aws:hub-content/SageMakerPublicHub/Model/m", _PRIVATE),
                ("arn:aws-cn:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/m", _PRIVATE),
                (
                    "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/m/1.0.\u0662",
                    _PRIVATE,
                ),
                ("arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/m\n", _PRIVATE),
            )
        ),
        (container(Image=IMAGE, ProductId="prod-1"), ErrorCode.MARKETPLACE_PRODUCT),
        (container(Image=IMAGE, ModelDataUrl="ftp://x"), ErrorCode.INVALID_LOCATION),
        (a_package(ManagedStorageType="Restricted"), ErrorCode.RESTRICTED_STORAGE),
        (a_package(ModelPackageStatus="Failed"), ErrorCode.PACKAGE_NOT_COMPLETED),
        (a_package(ModelPackageStatus="Deleting"), ErrorCode.PACKAGE_NOT_COMPLETED),
        (
            a_package(InferenceSpecification={}, SourceAlgorithmSpecification={"SourceAlgorithms": [{}]}),
            ErrorCode.SOURCE_ALGORITHM_ONLY,
        ),
        (
            container(ModelDataSource={"S3DataSource": {"ModelAccessConfig": {"AcceptEula": True}}}),
            ErrorCode.EULA_NOT_ACCEPTED,
        ),
        (
            container(
                ModelDataSource={
                    "S3DataSource": {
                        "HubAccessConfig": {
                            "HubContentArn": f"arn:aws:sagemaker:us-east-1:{SPOKE}:hub-content/h/Model/m/1"
                        }
                    }
                }
            ),
            ErrorCode.PRIVATE_HUB_CONTENT,
        ),
    ],
)
def test_what_cannot_be_mirrored_is_refused_before_anything_is_copied(
    source: dict[str, Any], code: ErrorCode
) -> None:
    with pytest.raises(PermanentError) as caught:
        plan(ARN, source, None, a_policy())
    assert caught.value.code is code
    assert str(ARN) in caught.value.message


def test_an_allowed_registry_is_copied_into_the_spokes_own_repositories() -> None:
    source = container(Image="444455556666.dkr.ecr.us-east-1.amazonaws.com/team/x")
    copies = plan(ARN, source, None, a_policy(image_accounts=frozenset({"444455556666"}))).copies
    assert isinstance(copies[0], ImageCopy)
    assert copies[0].repository == f"registry-replicator/{SPOKE}/444455556666/team/x"


def test_a_package_that_sagemaker_is_still_working_on_waits_for_its_next_event() -> None:
    assert plan(ARN, a_package(ModelPackageStatus="InProgress"), None, a_policy()).action is Action.NOTHING


def test_members_that_point_to_something_uncopied_are_named() -> None:
    source = a_package(
        CustomerMetadataProperties={"a": "s3://bbb/x", "b": "text"}, SamplePayloadUrl="s3://bbb/y.tar.gz"
    )
    assert uncopied_members(source, {IMAGE: "i", MODEL: "m", "s3://bbb/y.tar.gz": "y"}, a_policy()) == {
        "CustomerMetadataProperties"
    }
    assert uncopied_members(a_package(), {IMAGE: "i"}, a_policy()) == {"InferenceSpecification"}
