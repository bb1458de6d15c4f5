"""What SageMaker looks up when a model package is registered: are the artifacts there, which image is it.

It looks with the caller's permissions in the real service; here with those of the caller's account.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from local.aws_images import AwsImage, AwsImages
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-image-digest",
        "Describe shows the digest that an image had when its version was registered, also when the tag has moved.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html",
    ),
    Rule(
        "sagemaker-missing-image",
        "CreateModelPackage refuses an image whose tag is not in its repository.",
        Evidence.INFERRED,
        "public code handles this refusal; the answer itself is not recorded",
    ),
    Rule(
        "sagemaker-missing-artifact",
        "CreateModelPackage refuses a model artifact that is not there.",
        Evidence.INFERRED,
        "the guide to registering from another account asks for permission to read it",
    ),
    Rule(
        "sagemaker-https-locations",
        "The location of a model artifact may be spelled as an https URL of Amazon S3.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackageContainerDefinition.html",
    ),
)

# Local to this room on purpose: what ships has its own parser, and must not be tested against itself.
_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# ModelDataUrl and S3Uri: ``(https|s3)://([^/]+)/?(.*)``. An https URI names the host of Amazon S3, in one of its forms.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_HOST = r"s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?"
_OBJECTS = (
    re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.*)", re.DOTALL),
    re.compile(rf"https://{_HOST}/(?P<bucket>[^/?#]+)/(?P<key>[^?#]*)"),
    re.compile(rf"https://(?P<bucket>[^/?#]+?)\.{_HOST}/(?P<key>[^?#]*)"),
)


class Lookups:
    """Answers the hooks of the local model registry."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.aws_images = AwsImages()
        """What accounts have that are not local: they are taken for AWS's own."""

    def resolve_image(self, account: str, region: str, image: str) -> str | None:
        """Give the digest of an image, or None where its registry has no such image."""
        found = _IMAGE.fullmatch(image)
        if found is None:
            return None
        # Asking makes an account known to moto, and AWS's own must stay unknown.
        if not _local(found["account"]):
            return found["digest"] or self.aws_images.digest(aws_image(image))
        wanted = (
            {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
        )
        try:
            answer = self._aws.client("ecr", found["account"]).describe_images(
                repositoryName=found["repository"], imageIds=[wanted]
            )
        except ClientError:
            return None
        return str(answer["imageDetails"][0]["imageDigest"])

    def exists(self, account: str, region: str, kind: Literal["artifact", "image"], location: str) -> bool:
        """Tell whether an artifact or image is there."""
        if kind == "image":
            in_ecr = _IMAGE.fullmatch(location) is not None
            return not in_ecr or self.resolve_image(account, region, location) is not None
        where = next((found for each in _OBJECTS if (found := each.fullmatch(location))), None)
        if where is None:
            return False
        key = where["key"] if location.startswith("s3:") else unquote(where["key"])
        try:
            listed = self._aws.client("s3", account).list_objects_v2(
                Bucket=where["bucket"], Prefix=key, MaxKeys=1
            )
        except ClientError:
            return False
        return bool(listed.get("Contents"))


def aws_image(uri: str) -> AwsImage:
    """Read the URI of an image in one of AWS's own registries, by tag. Raises ValueError for another text."""
    found = _IMAGE.fullmatch(uri)
    if found is None:
        raise ValueError(f"{uri} is no image in Amazon ECR")
    return AwsImage(found["account"], found["region"], found["repository"], found["tag"] or "latest")


def _local(account: str) -> bool:
    """Tell whether anybody plays this account here: then it has a role at least."""
    return account in iam_backends and bool(iam_backends[account]["aws"].roles)
