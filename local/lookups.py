"""What SageMaker looks up when a model package is registered: are the artifacts there, which image is it.

It looks with the caller's permissions in the real service; here with those of the caller's account.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

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
)

# Local to this room on purpose: what ships has its own parser, and must not be tested against itself.
_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_OBJECT = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.*)")


class Lookups:
    """Answers the hooks of the local model registry."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws

    def resolve_image(self, account: str, region: str, image: str) -> str | None:
        """Give the digest of an image, or None when nobody here has it."""
        found = _IMAGE.fullmatch(image)
        # Asking makes an account known to moto, and AWS's own must stay unknown.
        if found is None or not _local(found["account"]):
            return None
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
        """Tell whether an artifact or image is there. Images of accounts that are not local are AWS's own."""
        if kind == "image":
            found = _IMAGE.fullmatch(location)
            return (
                found is None
                or not _local(found["account"])
                or self.resolve_image(account, region, location) is not None
            )
        where = _OBJECT.fullmatch(location)
        if where is None:
            return False
        try:
            listed = self._aws.client("s3", account).list_objects_v2(
                Bucket=where["bucket"], Prefix=where["key"], MaxKeys=1
            )
        except ClientError:
            return False
        return bool(listed.get("Contents"))


def _local(account: str) -> bool:
    """Tell whether anybody plays this account here: then it has a role at least."""
    return account in iam_backends and bool(iam_backends[account]["aws"].roles)
