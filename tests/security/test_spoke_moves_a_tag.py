"""A tag of AWS's is moved, or two digests are given, so that another image runs than was approved.

The asset: the image behind an approved mirror. What holds: an image is named by the digest that was recorded at
registration, AWS's own as well, and two digests that contradict each other are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

ONE, OTHER = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
REPOSITORY = AWS_IMAGE.partition(":")[0]


@pytest.mark.parametrize("image", [AWS_IMAGE, REPOSITORY, f"{REPOSITORY}@{ONE}"])
def test_an_image_of_awss_is_mirrored_by_the_digest_that_was_recorded(
    hub: Hub, spoke: DataScientist, image: str
) -> None:
    container = {"Image": image, "ImageDigest": ONE, "ModelDataUrl": spoke.put("model.tar.gz")}
    more = [{"Name": "more", "Containers": [container]}]
    arn = spoke.register(container, AdditionalInferenceSpecifications=more)
    spoke.approve(arn)
    mirror = hub.mirror(arn)
    (one,) = mirror["InferenceSpecification"]["Containers"]
    (other,) = mirror["AdditionalInferenceSpecifications"][0]["Containers"]
    assert one["Image"] == other["Image"] == f"{REPOSITORY}@{ONE}"
    assert one["ImageDigest"] == other["ImageDigest"] == ONE


@pytest.mark.parametrize("own", [False, True])
def test_two_digests_of_one_image_are_refused(hub: Hub, spoke: DataScientist, own: bool) -> None:
    image = f"{REPOSITORY}@{ONE}"
    if own:
        image = f"{spoke.image.rpartition(':')[0]}@{spoke.push().digest}"
    container = {"Image": image, "ImageDigest": OTHER, "ModelDataUrl": spoke.put("model.tar.gz")}
    arn = spoke.register(container)
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "DIGEST_MISMATCH"
    assert image in letter["reason"]
    assert OTHER in letter["reason"]
    assert "hub_arn" not in hub.entry(arn)


def test_two_digests_in_an_additional_specification_are_refused(hub: Hub, spoke: DataScientist) -> None:
    container = {"Image": AWS_IMAGE, "ImageDigest": ONE, "ModelDataUrl": spoke.put("model.tar.gz")}
    hidden = {**container, "Image": f"{REPOSITORY}@{ONE}", "ImageDigest": OTHER}
    more = [{"Name": "more", "Containers": [hidden]}]
    arn = spoke.register(container, AdditionalInferenceSpecifications=more)
    spoke.approve(arn)
    assert hub.dead_letter(arn)["code"] == "DIGEST_MISMATCH"
