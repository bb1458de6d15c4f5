"""Refusals of SageMaker's model registry, as people pasted them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded.replay import Replay

FILE = "sagemaker/errors.json"
REGION = "us-east-1"
SPECIFICATION: dict[str, Any] = {
    "Containers": [{"Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def sagemaker(client: Callable[[str], Any]) -> Any:
    return client("sagemaker")


@pytest.fixture
def group(sagemaker: Any, fresh: Callable[[str], str]) -> str:
    name = fresh("Group")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


@replays(FILE, "describe-version")
def test_a_version_that_is_not_there(replay: Replay, sagemaker: Any, group: str) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{group}/7"
    _bind(replay, group=group, version="7")
    replay("describe-version", lambda: sagemaker.describe_model_package(ModelPackageName=arn), within="Error")


@replays(FILE, "describe-group")
def test_a_group_that_is_not_there(replay: Replay, sagemaker: Any) -> None:
    _bind(replay, group="none")
    replay(
        "describe-group",
        lambda: sagemaker.describe_model_package_group(ModelPackageGroupName="none"),
        within="Error",
    )


@replays(FILE, "group-exists")
def test_a_group_that_is_there(replay: Replay, sagemaker: Any, group: str) -> None:
    replay.bind("<arn>", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/{group}")
    replay(
        "group-exists",
        lambda: sagemaker.create_model_package_group(ModelPackageGroupName=group),
        within="Error",
    )


@replays(FILE, "tags")
def test_tags_on_a_version(replay: Replay, sagemaker: Any, group: str) -> None:
    tags = [{"Key": "team", "Value": "risk"}]
    replay(
        "tags",
        lambda: sagemaker.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, Tags=tags
        ),
        within="Error",
    )


@replays(FILE, "region")
def test_the_arn_of_another_region(replay: Replay, sagemaker: Any) -> None:
    replay.bind("<region>", REGION)
    arn = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:model-package/group/1"
    replay("region", lambda: sagemaker.describe_model_package(ModelPackageName=arn), within="Error")


@replays(FILE, "additional")
def test_an_additional_source_in_the_specification(replay: Replay, sagemaker: Any, group: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/adapter/"}
    container = {**SPECIFICATION["Containers"][0], "AdditionalS3DataSource": source}
    replay(
        "additional",
        lambda: sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={**SPECIFICATION, "Containers": [container]},
        ),
        within="Error",
    )


@replays(
    FILE,
    "no-policy",
    differing=[Differing("no-policy/Message", "only the code was recorded of this refusal")],
)
def test_a_group_without_a_policy(replay: Replay, sagemaker: Any, group: str) -> None:
    replay(
        "no-policy",
        lambda: sagemaker.get_model_package_group_policy(ModelPackageGroupName=group),
        within="Error",
    )


def _bind(replay: Replay, **values: str) -> None:
    replay.bind("<region>", REGION)
    for name, value in values.items():
        replay.bind(f"<{name}>", value)
