import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.identifiers import (
    ImageReference,
    InvalidIdentifierError,
    ModelPackageArn,
    S3Uri,
    SourceVersion,
    UnversionedPackageError,
)
from replicator.ledger import execution_name

DIGEST = "sha256:" + "0a" * 32


def test_a_package_arn_gives_its_parts_and_itself_back() -> None:
    text = "arn:aws:sagemaker:us-east-2:111122223333:model-package/versionedmp-p-idy6c3e1fiqj/2"
    arn = ModelPackageArn.parse(text)
    assert (arn.account, arn.region, arn.group, arn.version) == (
        "111122223333",
        "us-east-2",
        "versionedmp-p-idy6c3e1fiqj",
        2,
    )
    assert str(arn) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn:aws:sagemaker:us-east-2:111122223333:model-package-group/g",
        "arn:aws:sagemaker:us-east-2:11112222333:model-package/g/1",
        "arn:aws:sagemaker:us-east-2:111122223333:model-package/g/0",
        "arn:aws:sagemaker:us-east-2:111122223333:model-package/g/1\n",
        "arn:aws:sagemaker:us-east-2:111122223333:model-package/../1",
        "arn:aws:sagemaker:us-east-2:111122223333:model-package/g/1/2",
        "arn:aws:sagemaker::111122223333:model-package/g/1",
        "x" * 5000,
    ],
)
def test_what_is_not_a_package_arn_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        ModelPackageArn.parse(text)


def test_a_package_without_a_version_is_told_apart() -> None:
    with pytest.raises(UnversionedPackageError):
        ModelPackageArn.parse("arn:aws:sagemaker:us-east-2:111122223333:model-package/my-product")


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://b-1/k/model.tar.gz", "b-1", "k/model.tar.gz"),
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/a b+c/ü?x#y", "bucket", "a b+c/ü?x#y"),
        ("s3://bucket/../x", "bucket", "../x"),
        ("https://s3.us-east-1.amazonaws.com/bucket/k/m.tar.gz", "bucket", "k/m.tar.gz"),
        ("https://s3-us-west-2.amazonaws.com/bucket/k", "bucket", "k"),
        ("https://bucket.s3.eu-west-1.amazonaws.com/a%20b", "bucket", "a b"),
        ("https://s3.cn-north-1.amazonaws.com.cn/bucket/k", "bucket", "k"),
    ],
)
def test_s3_locations(text: str, bucket: str, key: str) -> None:
    assert S3Uri.parse(text) == S3Uri(bucket, key)


@pytest.mark.parametrize(
    "text", ["s3://", "s3://B/k", "http://s3.amazonaws.com/b/k", "https://example.com/b/k", "/k", "s3:/b/k"]
)
def test_what_is_not_an_s3_location_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        S3Uri.parse(text)


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True), st.text(max_size=50))
def test_an_s3_location_survives_its_text(bucket: str, key: str) -> None:
    assert S3Uri.parse(str(S3Uri(bucket, key))) == S3Uri(bucket, key)


@pytest.mark.parametrize(
    ("text", "account", "region", "repository", "reference"),
    [
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/a", "111122223333", "us-east-1", "a", "latest"),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/a/b:1.0-cpu", "111122223333", "us-east-1", "a/b", "1.0-cpu"),
        (f"111122223333.dkr.ecr-fips.us-east-1.amazonaws.com/a:t@{DIGEST}", "111122223333", "us-east-1", "a", DIGEST),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/a", "111122223333", "cn-north-1", "a", "latest"),
        ("111122223333.dkr-ecr.us-east-1.on.aws/a__b", "111122223333", "us-east-1", "a__b", "latest"),
    ],
)  # fmt: skip
def test_images(text: str, account: str, region: str, repository: str, reference: str) -> None:
    image = ImageReference.parse(text)
    assert (image.account, image.region, image.repository, image.reference) == (
        account,
        region,
        repository,
        reference,
    )
    assert str(image) == text


@pytest.mark.parametrize(
    "text",
    [
        "docker.io/library/python:3.13",
        "public.ecr.aws/lambda/python:3.13",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com.evil.com/a",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/A",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/../a",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/a@sha256:00",
        "https://111122223333.dkr.ecr.us-east-1.amazonaws.com/a",
    ],
)
def test_what_is_not_an_ecr_image_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        ImageReference.parse(text)


class TestSourceVersion:
    LOWER = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn-eu/3")
    MIXED = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:111111111111:model-package/Churn-EU/3")

    def test_two_spellings_of_an_arn_are_one_version(self) -> None:
        assert self.LOWER.key == self.MIXED.key == str(self.LOWER)
        assert execution_name(str(self.LOWER), 1) == execution_name(str(self.MIXED), 1)
        other = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn-eu/4")
        assert other.key != self.LOWER.key

    def test_the_group_is_the_one_that_people_wrote(self) -> None:
        for arn in (self.LOWER, self.MIXED):
            for told in (self.LOWER, self.MIXED):
                description = {"ModelPackageArn": str(told), "ModelPackageGroupName": "Churn-EU"}
                assert SourceVersion.described(arn, description) == SourceVersion(told, "Churn-EU")
        assert SourceVersion.described(self.LOWER, {}) == SourceVersion(self.LOWER, "churn-eu")

    def test_a_description_of_another_version_gives_no_arn(self) -> None:
        told = {"ModelPackageArn": str(self.LOWER).replace("/3", "/4"), "ModelPackageGroupName": "Churn-EU"}
        assert SourceVersion.described(self.LOWER, told).arn == self.LOWER

    def test_what_the_ledger_remembers_comes_before_the_arn(self) -> None:
        assert SourceVersion.remembered(self.LOWER, "Churn-EU").group == "Churn-EU"
        assert SourceVersion.remembered(self.LOWER, None).group == "churn-eu"
