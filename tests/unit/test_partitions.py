"""Host names and ARNs of every partition, as the installed botocore lists them."""

from __future__ import annotations

import pytest

from replicator.identifiers import (
    ImageReference,
    InvalidIdentifierError,
    ModelPackageArn,
    S3Uri,
    public_hub_content,
    s3_host,
)
from replicator.partitions import partition_of, partitions

REGIONS = [
    ("aws", "us-east-1", "amazonaws.com"),
    ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
    ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
    ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
    ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
    ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
    ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
]
SPOKE = "111122223333"


@pytest.mark.parametrize(("name", "region", "suffix"), REGIONS)
def test_a_region_has_one_partition_and_its_names(name: str, region: str, suffix: str) -> None:
    assert (partition_of(region).name, partition_of(region).dns_suffix) == (name, suffix)
    image = ImageReference.parse(f"{SPOKE}.dkr.ecr.{region}.{suffix}/a:1")
    assert (image.region, image.account) == (region, SPOKE)
    dual = ImageReference.parse(f"{SPOKE}.dkr-ecr.{region}.{partition_of(region).dual_stack_suffix}/a")
    assert dual.region == region
    for url in (f"https://s3.{region}.{suffix}/bucket/k", f"https://bucket.s3.{region}.{suffix}/k"):
        assert S3Uri.parse(url) == S3Uri("bucket", "k")
    arn = f"arn:{name}:sagemaker:{region}:{SPOKE}:model-package/g/1"
    assert str(ModelPackageArn.parse(arn)) == arn
    assert public_hub_content(
        f"arn:{name}:sagemaker:{region}:aws:hub-content/SageMakerPublicHub/Model/m", region
    )


def test_every_partition_of_the_sdk_is_tried_here() -> None:
    assert {name for name, _, _ in REGIONS} == {each.name for each in partitions()}


@pytest.mark.parametrize(("name", "region", "suffix"), REGIONS)
def test_names_of_another_partition_are_refused(name: str, region: str, suffix: str) -> None:
    for other, _, its_suffix in REGIONS:
        if other != name:
            with pytest.raises(InvalidIdentifierError):
                ModelPackageArn.parse(f"arn:{other}:sagemaker:{region}:{SPOKE}:model-package/g/1")
        if its_suffix != suffix:
            with pytest.raises(InvalidIdentifierError):
                ImageReference.parse(f"{SPOKE}.dkr.ecr.{region}.{its_suffix}/a:1")
            with pytest.raises(InvalidIdentifierError):
                S3Uri.parse(f"https://s3.{region}.{its_suffix}/bucket/k")


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sagemaker:us-east-1:\u0661\u0661\u0661\u0661\u0662\u0662\u0662\u0662\u0663\u0663\u0663\u0663:model-package/g/1",
        "arn:aws:sagemaker:us-east-1:111122223333:model-package/g/1\u0662",
        "arn:aws:sagemaker:us-east-1:111122223333:model-package/g/\uff11",
        "arn:aws:sagemaker:us-east-\u0661:111122223333:model-package/g/1",
        "arn:aws-x:sagemaker:us-east-1:111122223333:model-package/g/1",
        "arn:aws-cn:sagemaker:us-east-1:111122223333:model-package/g/1",
    ],
)
def test_an_arn_has_the_digits_and_the_partition_that_aws_writes(text: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        ModelPackageArn.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{SPOKE}.dkr.ecr.us-east-1.amazonaws.com.evil.com/a",
        f"{SPOKE}.dkr.ecr.us-east-1.on.aws/a",
        f"{SPOKE}.dkr-ecr.us-east-1.amazonaws.com/a",
        "\u0661\u0661\u0661\u0661\u0662\u0662\u0662\u0662\u0663\u0663\u0663\u0663.dkr.ecr.us-east-1.amazonaws.com/a",
    ],
)
def test_what_only_looks_like_a_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifierError):
        ImageReference.parse(text)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com", True),
        ("b.s3.dualstack.us-east-1.amazonaws.com", True),
        ("b.s3-fips.us-east-1.amazonaws.com", True),
        ("s3.amazonaws.com", True),
        ("b.s3.us-east-1.amazonaws.com.evil.com", False),
        ("evil.com", False),
        ("b.s3.us-east-1.amazonaws.com.cn", False),
        ("evils3.us-east-1.amazonaws.com", False),
        ("ec2.us-east-1.amazonaws.com", False),
        ("s3." * 9000 + "amazonaws.com", False),
        ("", False),
    ],
)
def test_a_host_is_s3s_or_not(host: str, found: bool) -> None:
    assert s3_host(host, "us-east-1") is found
