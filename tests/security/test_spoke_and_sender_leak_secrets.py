"""A secret in a location or a message is repeated where operators, logs and consumers read.

The asset: passwords and presigned URLs of a spoke. What holds: secrets are taken out in one place, before a text
that others wrote becomes a message of ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

SECRET = "IQoJb3JpZ2luX2VjEJr"


@pytest.mark.parametrize(
    "location",
    [
        f"https://models.s3.eu-west-1.amazonaws.com/r.json?X-Amz-Security-Token={SECRET}&X-Amz-Expires=60",
        f"https://models.s3.eu-west-1.amazonaws.com/r.json?AWSAccessKeyId=AKIA&Signature={SECRET}",
        f"https://user:{SECRET}@models.s3.eu-west-1.amazonaws.com/r.json",
        f"https://example.com/r.json?{SECRET}",
    ],
)
def test_a_location_with_a_secret_is_refused_without_repeating_it(
    hub: Hub, spoke: DataScientist, location: str
) -> None:
    container = {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")}
    report = {"ContentType": "application/json", "S3Uri": location}
    arn = spoke.register(container, ModelMetrics={"ModelQuality": {"Statistics": report}})
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "INVALID_LOCATION"
    assert "ModelMetrics.ModelQuality.Statistics.S3Uri" in letter["reason"]
    assert SECRET not in json.dumps(letter)
    assert SECRET not in json.dumps(hub.settled(arn))


def test_a_message_with_a_secret_is_kept_without_it(hub: Hub, spoke: DataScientist) -> None:
    """The dead-letter message can be sent again all the same: an execution reads the package itself."""
    arn = f"arn:aws:sagemaker:{hub.aws.region}:333333333333:model-package/{spoke.group}/1"
    event = spoke.event(arn, account="333333333333")
    event["detail"]["ModelDataUrl"] = f"https://u:{SECRET}@h/k?X-Amz-Signature={SECRET}"
    hub.send(json.dumps(event))
    letter = hub.dead_letter(arn)
    assert letter["code"] == "UNKNOWN_ACCOUNT"
    assert SECRET not in json.dumps(letter)
    assert json.loads(letter["body"])["detail"]["ModelPackageArn"] == arn


def test_a_secret_in_place_of_an_arn_is_not_repeated(hub: Hub, spoke: DataScientist) -> None:
    named = f"https://u:{SECRET}@{spoke.group}/?t={SECRET}"
    hub.send(json.dumps(spoke.event(named)))
    letter = hub.dead_letter(spoke.group)
    assert letter["code"] == "MALFORMED_EVENT"
    assert SECRET not in json.dumps(letter)
