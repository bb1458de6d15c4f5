"""The version that the sample events name, and what ``sam local invoke`` has to be told to run them here."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from local.images import build_image, push
from local.landscape import HUB, SPOKES, default_bucket

if TYPE_CHECKING:
    from pathlib import Path

    from local.landscape import Landscape
    from local.server import LocalAws

GROUP, REPOSITORY = "churn", "churn-inference"
FUNCTIONS = {
    name: f"{''.join(part.capitalize() for part in name.split('_'))}Function"
    for name in (
        "intake",
        "plan",
        "copy_artifact",
        "copy_image",
        "register",
        "record_failure",
        "sweep",
        "redrive",
        "reconcile",
    )
}
"""Logical id of each function."""


def container_address() -> str:
    """Give the address by which a container reaches this machine, as Docker sets it up by default."""
    return "host.docker.internal" if sys.platform == "darwin" else "172.17.0.1"


def register_sample(aws: LocalAws) -> str:
    """Register ``churn/1`` of `events/` in the first spoke, pending approval, and give its ARN."""
    account = SPOKES["spoke-a"]
    bucket, key = default_bucket(aws, account), f"{GROUP}/1/model.tar.gz"
    aws.client("s3", account).put_object(Bucket=bucket, Key=key, Body=os.urandom(20_480))
    ecr, sagemaker = aws.client("ecr", account), aws.client("sagemaker", account)
    ecr.create_repository(repositoryName=REPOSITORY)
    (data,) = ecr.get_authorization_token()["authorizationData"]
    image = build_image({"opt/program/serve": b"#!/bin/sh\n"})
    push(image, data["proxyEndpoint"], f"Basic {data['authorizationToken']}", REPOSITORY, "1")
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    container = {
        "Image": f"{account}.dkr.ecr.{aws.region}.amazonaws.com/{REPOSITORY}:1",
        "ModelDataUrl": f"s3://{bucket}/{key}",
    }
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )
    return str(answer["ModelPackageArn"])


def write_env_vars(landscape: Landscape, path: Path) -> Path:
    """Write the file for ``sam local invoke --env-vars``: each function's variables, as they are deployed."""
    aws = landscape.aws
    client = aws.client("lambda", HUB)
    endpoint = {"AWS_ENDPOINT_URL": aws.endpoint_at(container_address())}
    variables = {}
    for logical_id in FUNCTIONS.values():
        deployed = client.get_function_configuration(FunctionName=landscape.hub.resources[logical_id])
        variables[logical_id] = {**deployed["Environment"]["Variables"], **endpoint}
    path.write_text(json.dumps(variables, indent=2), encoding="utf-8")
    return path
