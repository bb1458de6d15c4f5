"""One value for every member of CreateModelPackage that a version can have, as Describe gives it back."""

from __future__ import annotations

import json
from typing import Any

_REPORT = {"ContentType": "application/json", "S3Uri": "s3://models/churn/report.json"}
_IMAGE = "111111111111.dkr.ecr.eu-central-1.amazonaws.com/churn@sha256:" + "a" * 64
_SOURCE = {"S3Uri": "s3://models/churn/", "S3DataType": "S3Prefix", "CompressionType": "None"}
CARD = {
    "model_overview": {"model_creator": "anna"},
    "intended_uses": {"purpose_of_model": "churn", "risk_rating": "Low"},
}

FULL: dict[str, Any] = {
    "ModelPackageDescription": "Churn, third try: gut genug für jetzt",
    "ModelPackageRegistrationType": "Registered",
    "InferenceSpecification": {
        "Containers": [
            {
                "ContainerHostname": "first",
                "Image": _IMAGE,
                "ImageDigest": "sha256:" + "a" * 64,
                "ModelDataSource": {"S3DataSource": _SOURCE | {"ETag": "e1"}},
                "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://models/code.tar.gz"},
                "ModelInput": {"DataInputConfig": '{"a": [1, 3]}'},
                "Framework": "SKLEARN",
                "FrameworkVersion": "1.5",
                "NearestModelName": "xgboost",
                "AdditionalModelDataSources": [{"ChannelName": "extra", "S3DataSource": _SOURCE}],
                "ModelDataETag": "e2",
                "IsCheckpoint": False,
                "BaseModel": {"HubContentName": "base", "HubContentVersion": "1.0.0"},
            }
        ],
        "SupportedTransformInstanceTypes": ["ml.m5.xlarge"],
        "SupportedRealtimeInferenceInstanceTypes": ["ml.t2.medium"],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    },
    "ValidationSpecification": {
        "ValidationRole": "arn:aws:iam::111111111111:role/validation",
        "ValidationProfiles": [
            {
                "ProfileName": "one",
                "TransformJobDefinition": {
                    "TransformInput": {
                        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://models/in"}}
                    },
                    "TransformOutput": {"S3OutputPath": "s3://models/out"},
                    "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
                },
            }
        ],
    },
    "SourceAlgorithmSpecification": {"SourceAlgorithms": [{"AlgorithmName": "trees"}]},
    "CertifyForMarketplace": False,
    "ModelApprovalStatus": "Approved",
    "MetadataProperties": {"CommitId": "abc", "Repository": "https://git.example/churn"},
    "ModelMetrics": {
        "ModelQuality": {"Statistics": _REPORT},
        "Bias": {},
        "Explainability": {"Report": _REPORT | {"ContentDigest": "sha256:" + "b" * 64}},
    },
    "Domain": "MACHINE_LEARNING",
    "Task": "CLASSIFICATION",
    "SamplePayloadUrl": "s3://models/sample.tar.gz",
    "CustomerMetadataProperties": {"owner": "anna", "ticket": "https://tickets.example/1"},
    "DriftCheckBaselines": {"ModelQuality": {"Statistics": _REPORT, "Constraints": _REPORT}},
    "AdditionalInferenceSpecifications": [
        {
            "Name": "neo",
            "Description": "compiled",
            "Containers": [
                {
                    "Image": _IMAGE,
                    "ImageDigest": "sha256:" + "a" * 64,
                    "AdditionalS3DataSource": {"S3DataType": "S3Object", "S3Uri": "s3://models/extra"},
                }
            ],
        }
    ],
    "SkipModelValidation": "All",
    "SecurityConfig": {"KmsKeyId": "alias/models"},
    "ModelCard": {"ModelCardContent": json.dumps(CARD), "ModelCardStatus": "Draft"},
    "ModelLifeCycle": {"Stage": "Development", "StageStatus": "Approved", "StageDescription": "ready"},
    "ManagedStorageType": "Restricted",
}
