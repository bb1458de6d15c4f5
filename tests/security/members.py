"""Every kind of member of a model package that names an S3 location, and how a package is made that has it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from unittest import mock

from local.sagemaker import packages
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.data_scientist import DataScientist

type Json = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """One member that names a location.

    Parameters
    ----------
    build
        Gives members of the container and members of the package that name a location.
    read
        Gives the location that a package with it names.
    runs
        Whether a model that is deployed reads it.
    """

    build: Callable[[str], tuple[Json, Json]]
    read: Callable[[Json], str]
    kind: Literal["object", "prefix", "manifest"] = "object"
    runs: bool = False


def _container(package: Json) -> Json:
    found: Json = package["InferenceSpecification"]["Containers"][0]
    return found


def _report(uri: str) -> Json:
    return {"ContentType": "application/json", "S3Uri": uri}


def _source(uri: str, kind: str, compression: str, **more: Any) -> Json:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression, **more}}


def _card(uri: str) -> Json:
    content = {"model_overview": {"model_artifact": [uri]}}
    return {"ModelCard": {"ModelCardContent": json.dumps(content), "ModelCardStatus": "Draft"}}


MEMBERS = {
    "ModelDataUrl": Member(
        lambda uri: ({"ModelDataUrl": uri}, {}),
        lambda package: _container(package)["ModelDataUrl"],
        runs=True,
    ),
    "ModelDataSource, gzip": Member(
        lambda uri: ({"ModelDataSource": _source(uri, "S3Object", "Gzip")}, {}),
        lambda package: _container(package)["ModelDataSource"]["S3DataSource"]["S3Uri"],
        runs=True,
    ),
    "ModelDataSource, prefix": Member(
        lambda uri: ({"ModelDataSource": _source(uri, "S3Prefix", "None")}, {}),
        lambda package: _container(package)["ModelDataSource"]["S3DataSource"]["S3Uri"],
        kind="prefix",
        runs=True,
    ),
    "ModelDataSource, manifest": Member(
        lambda uri: (
            {"ModelDataSource": _source(uri.rpartition("/")[0] + "/", "S3Prefix", "None", ManifestS3Uri=uri)},
            {},
        ),
        lambda package: _container(package)["ModelDataSource"]["S3DataSource"]["ManifestS3Uri"],
        kind="manifest",
        runs=True,
    ),
    "AdditionalModelDataSources": Member(
        lambda uri: (
            {"AdditionalModelDataSources": [{"ChannelName": "draft", **_source(uri, "S3Object", "Gzip")}]},
            {},
        ),
        lambda package: _container(package)["AdditionalModelDataSources"][0]["S3DataSource"]["S3Uri"],
        runs=True,
    ),
    "AdditionalS3DataSource": Member(
        lambda uri: (
            {},
            {
                "AdditionalInferenceSpecifications": [
                    {
                        "Name": "more",
                        "Containers": [
                            {
                                "Image": AWS_IMAGE,
                                "AdditionalS3DataSource": {"S3DataType": "S3Object", "S3Uri": uri},
                            }
                        ],
                    }
                ]
            },
        ),
        lambda package: package["AdditionalInferenceSpecifications"][0]["Containers"][0][
            "AdditionalS3DataSource"
        ]["S3Uri"],
        runs=True,
    ),
    "AdditionalInferenceSpecifications": Member(
        lambda uri: (
            {},
            {
                "AdditionalInferenceSpecifications": [
                    {"Name": "more", "Containers": [{"Image": AWS_IMAGE, "ModelDataUrl": uri}]}
                ]
            },
        ),
        lambda package: package["AdditionalInferenceSpecifications"][0]["Containers"][0]["ModelDataUrl"],
        runs=True,
    ),
    "Environment": Member(
        lambda uri: ({"Environment": {"CODE": uri}}, {}),
        lambda package: _container(package)["Environment"]["CODE"],
    ),
    "SourceUri": Member(lambda uri: ({}, {"SourceUri": uri}), lambda package: package["SourceUri"]),
    "SamplePayloadUrl": Member(
        lambda uri: ({}, {"SamplePayloadUrl": uri}), lambda package: package["SamplePayloadUrl"]
    ),
    "ModelMetrics.ModelQuality": Member(
        lambda uri: ({}, {"ModelMetrics": {"ModelQuality": {"Statistics": _report(uri)}}}),
        lambda package: package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"],
    ),
    "ModelMetrics.Explainability": Member(
        lambda uri: ({}, {"ModelMetrics": {"Explainability": {"Report": _report(uri)}}}),
        lambda package: package["ModelMetrics"]["Explainability"]["Report"]["S3Uri"],
    ),
    "DriftCheckBaselines.ModelQuality": Member(
        lambda uri: ({}, {"DriftCheckBaselines": {"ModelQuality": {"Constraints": _report(uri)}}}),
        lambda package: package["DriftCheckBaselines"]["ModelQuality"]["Constraints"]["S3Uri"],
    ),
    "DriftCheckBaselines.Bias": Member(
        lambda uri: ({}, {"DriftCheckBaselines": {"Bias": {"ConfigFile": _report(uri)}}}),
        lambda package: package["DriftCheckBaselines"]["Bias"]["ConfigFile"]["S3Uri"],
    ),
    "CustomerMetadataProperties": Member(
        lambda uri: ({}, {"CustomerMetadataProperties": {"report": uri}}),
        lambda package: package["CustomerMetadataProperties"]["report"],
    ),
    "ModelCard": Member(
        lambda uri: ({}, _card(uri)),
        lambda package: json.loads(package["ModelCard"]["ModelCardContent"])["model_overview"][
            "model_artifact"
        ][0],
    ),
}
"""By the member's name."""


@contextmanager
def unchecked() -> Iterator[None]:
    """Let SageMaker register locations and images that the spoke itself cannot read.

    Which ones SageMaker looks at, at registration, is inferred, and what a spoke may read is for others to say:
    the hub must not count on either.
    """
    with mock.patch.object(packages, "check_locations", return_value=None):
        yield


def register(spoke: DataScientist, member: Member, uri: str) -> str:
    """Register a version in which a member names a location, beside model data of its own; give its ARN."""
    container, package = member.build(uri)
    if not {"ModelDataUrl", "ModelDataSource"} & container.keys():
        container["ModelDataUrl"] = spoke.put(f"own-{os.urandom(4).hex()}/model.tar.gz")
    by_update = {name: package.pop(name) for name in ("SourceUri",) if name in package}
    arn = spoke.register({"Image": AWS_IMAGE, **container}, **package)
    if by_update:  # SageMaker takes it beside an inference specification from an update alone.
        spoke.update(arn, **by_update)
    return arn
