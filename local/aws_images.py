"""The images of AWS's own registries: Deep Learning Containers, built-in algorithms and the like.

Nothing of them is here but their digests. They are deterministic, and the same in every Region, as a release of AWS is
the same image everywhere. AWS moves its tags with every patch of an image, and `AwsImages.move` does that here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from local.evidence import Evidence, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "aws-image-digest",
        "Describe has the ImageDigest of an image in AWS's own registries too.",
        Evidence.REPORTED,
        "https://github.com/aws-controllers-k8s/sagemaker-controller/blob/dc4970704d3bbd86772bbb22d39b42ee12c22876/"
        "pkg/resource/model_package/testdata/sdkapi/describe/describe_success.json",
    ),
    Rule(
        "aws-image-tag-moves",
        "A tag in AWS's own registries may be moved to another image.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/dg/common-info-all-im-models.html",
    ),
    Rule(
        "aws-image-tags",
        "A tag in AWS's own registries is latest or names a version, so that it has a digit; no other tag exists.",
        Evidence.INFERRED,
        "That is so for all tags in image_uri_config of the SageMaker Python SDK.",
    ),
    Rule(
        "aws-image-by-digest",
        "An image of AWS that is named by digest is taken to exist.",
        Evidence.INFERRED,
        "The local AWS has no list of the images of AWS, and an image stays when its tag moves.",
    ),
)


@dataclass(frozen=True, slots=True)
class AwsImage:
    """Where an image of AWS lies and what tag it has."""

    account: str
    region: str
    repository: str
    tag: str = "latest"


@dataclass
class AwsImages:
    """Answers which digest a tag of AWS has."""

    _moved: dict[AwsImage, str | None] = field(default_factory=dict)

    def digest(self, image: AwsImage) -> str | None:
        """Return ``sha256:<hex>`` of an image, None where AWS has no such tag."""
        if image in self._moved:
            return self._moved[image]
        if image.tag != "latest" and not re.search(r"\d", image.tag):
            return None
        return _digest(f"{image.repository}:{image.tag}")

    def move(self, image: AwsImage) -> str:
        """Move a tag to another image, as a patch of AWS does, and return the digest of that."""
        moved = _digest(f"after {self.digest(image)}")
        self._moved[image] = moved
        return moved

    def remove(self, image: AwsImage) -> None:
        """Let a tag not exist."""
        self._moved[image] = None


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
