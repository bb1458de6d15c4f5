"""The two accounts, and the throwaway resources that checks share. Whatever is made here is deleted again."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.images import OciImage, build_image, push

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import boto3


@dataclass(frozen=True)
class Side:
    """One of the two accounts."""

    name: str
    session: boto3.Session
    account: str
    endpoint: str | None = None
    """In place of AWS's own endpoints, for a local AWS."""

    @property
    def region(self) -> str:
        """Where the checks take place."""
        return str(self.session.region_name)

    def client(self, service: str, **config: Any) -> Any:
        """Make a client; without retries that would hide what AWS answers."""
        make: Any = self.session.client
        where = {"endpoint_url": self.endpoint} if self.endpoint else {}
        return make(
            service, config=Config(retries={"mode": "standard"}, connect_timeout=5, **config), **where
        )


@dataclass(frozen=True)
class Registry:
    """An ECR registry's endpoint and token."""

    endpoint: str
    authorization: str

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Send a request; a redirect is an answer, not followed."""
        url = path if path.startswith("http") else f"{self.endpoint}/v2/{path}"
        given = {"Authorization": self.authorization} | {k.replace("_", "-"): v for k, v in headers.items()}
        with urllib3.PoolManager() as http:
            return http.request(method, url, body=body, headers=given, redirect=False, retries=False)


@dataclass
class World:
    """Both accounts, and what is made in them.

    Parameters
    ----------
    hub, spoke
        The accounts.
    prefix
        Begins the name of everything that is made.
    patience
        Seconds to wait for what takes effect some time after the call: new roles, delivered events.
    quiet
        Seconds of silence after which an event is taken not to come.
    organization
        Id of an organization, for the policy that names one.
    """

    hub: Side
    spoke: Side
    prefix: str
    patience: float = 120
    quiet: float = 60
    organization: str | None = None
    shared: dict[str, Any] = field(default_factory=dict)
    """What checks make once and use together."""
    left: list[str] = field(default_factory=list)
    """What could not be deleted."""

    def __post_init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def finally_delete(self, what: str, delete: Callable[[], object]) -> None:
        """Delete something at the end, the last made first; say so if it stays."""

        def call() -> None:
            try:
                delete()
            except Exception as error:  # the others have to be deleted all the same
                self.left.append(f"{what} ({error})")

        self._stack.callback(call)

    def until[T](self, call: Callable[[], T | None], what: str) -> T:
        """Call until it gives something; a `ClientError` on the way counts as not yet."""
        last: object = ""
        for _ in range(max(1, round(self.patience))):
            try:
                if found := call():
                    return found
            except ClientError as error:
                last = error
            time.sleep(1 if self.patience > 20 else 0.05)
        raise RuntimeError(f"after {self.patience:g} s still no {what} {last}")

    # ------------------------------------------------------------ S3

    @cached_property
    def buckets(self) -> dict[str, str]:
        """A bucket in each account, by the side's name."""
        return {side.name: self._bucket(side) for side in (self.hub, self.spoke)}

    def _bucket(self, side: Side) -> str:
        s3, name = side.client("s3"), f"{self.prefix}-{side.name}"
        where = {"CreateBucketConfiguration": {"LocationConstraint": side.region}}
        s3.create_bucket(Bucket=name, **({} if side.region == "us-east-1" else where))
        self.finally_delete(f"bucket {name}", lambda: _delete_bucket(s3, name))
        return name

    def put(self, side: Side, key: str, body: bytes = b"a model") -> str:
        """Write an object with the checksum that S3 chooses by itself, and give its ETag."""
        s3 = side.client("s3", request_checksum_calculation="when_required")
        return str(s3.put_object(Bucket=self.buckets[side.name], Key=key, Body=body)["ETag"])

    # ------------------------------------------------------------ ECR

    def registry(self, side: Side, account: str | None = None) -> Registry:
        """Get the endpoint of an account's registry, with the credentials of a side."""
        asked = {"registryIds": [account]} if account else {}
        data = side.client("ecr").get_authorization_token(**asked)["authorizationData"][0]
        return Registry(data["proxyEndpoint"], f"Basic {data['authorizationToken']}")

    def repository(self, name: str, mutability: str = "MUTABLE") -> str:
        """Make a repository in the spoke, and give its name."""
        ecr, full = self.spoke.client("ecr"), f"{self.prefix}/{name}"
        ecr.create_repository(repositoryName=full, imageTagMutability=mutability)
        self.finally_delete(
            f"repository {full}", lambda: ecr.delete_repository(repositoryName=full, force=True)
        )
        return full

    @cached_property
    def image(self) -> OciImage:
        """The image that model packages of the checks name: a file in a layer."""
        return build_image({"etc/replicator-check": self.prefix.encode()})

    @cached_property
    def image_repository(self) -> str:
        """The spoke's repository with that image under the tag ``1``."""
        name, registry = self.repository("model"), self.registry(self.spoke)
        push(self.image, registry.endpoint, registry.authorization, name, "1")
        return name

    @property
    def image_uri(self) -> str:
        """That image, as a model package names it."""
        host = f"{self.spoke.account}.dkr.ecr.{self.spoke.region}.amazonaws.com"
        return f"{host}/{self.image_repository}:1"

    # ------------------------------------------------------------ SageMaker

    @cached_property
    def group(self) -> str:
        """A model package group in the spoke."""
        sagemaker = self.spoke.client("sagemaker")
        sagemaker.create_model_package_group(ModelPackageGroupName=self.prefix)
        self.finally_delete(
            f"model package group {self.prefix}", lambda: delete_group(sagemaker, self.prefix)
        )
        return self.prefix

    @cached_property
    def model_etag(self) -> str:
        """ETag of the artifact that model packages of the checks name."""
        return self.put(self.spoke, "model.tar.gz").strip('"')

    def registration(self, **more: Any) -> dict[str, Any]:
        """Give a request for CreateModelPackage; what is None in ``more`` is left out."""
        _ = self.model_etag
        container = {
            "Image": self.image_uri,
            "ModelDataUrl": f"s3://{self.buckets['spoke']}/model.tar.gz",
        }
        request = {
            "ModelPackageGroupName": self.group,
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        } | more
        return {name: value for name, value in request.items() if value is not None}

    def register(self, **more: Any) -> str:
        """Register a version in the spoke, and give its ARN."""
        return str(
            self.spoke.client("sagemaker").create_model_package(**self.registration(**more))[
                "ModelPackageArn"
            ]
        )

    def describe(self, arn: str) -> dict[str, Any]:
        """Describe a version in the spoke."""
        return dict(self.spoke.client("sagemaker").describe_model_package(ModelPackageName=arn))

    def update(self, arn: str, **members: Any) -> None:
        """Update a version in the spoke."""
        self.spoke.client("sagemaker").update_model_package(ModelPackageArn=arn, **members)

    # ------------------------------------------------------------ SQS and IAM

    def queue(self, side: Side, name: str, **attributes: str) -> tuple[str, str]:
        """Make a queue, and give its URL and ARN."""
        sqs, full = side.client("sqs"), f"{self.prefix}-{name}"
        url = sqs.create_queue(QueueName=full, Attributes=attributes)["QueueUrl"]
        self.finally_delete(f"queue {full}", lambda: sqs.delete_queue(QueueUrl=url))
        return url, f"arn:aws:sqs:{side.region}:{side.account}:{full}"

    def receive(self, side: Side, url: str) -> list[dict[str, Any]]:
        """Take what is in a queue."""
        sqs = side.client("sqs")
        wait = 1 if self.patience > 20 else 0
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return list(answer.get("Messages", []))

    def role(self, side: Side, name: str, trust: dict[str, Any], *allowed: dict[str, Any]) -> str:
        """Make a role, and give its ARN."""
        iam, full = side.client("iam"), f"{self.prefix}-{name}"
        arn = iam.create_role(RoleName=full, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        self.finally_delete(f"role {full}", lambda: iam.delete_role(RoleName=full))
        iam.put_role_policy(RoleName=full, PolicyName="check", PolicyDocument=document(*allowed))
        self.finally_delete(
            f"policy of {full}", lambda: iam.delete_role_policy(RoleName=full, PolicyName="check")
        )
        return str(arn)


def document(*statements: dict[str, Any]) -> str:
    """Write a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | s for s in statements]})


def _delete_bucket(s3: Any, name: str) -> None:
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


def delete_group(sagemaker: Any, name: str) -> None:
    """Delete a group with its versions and its policy."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
    for arn in [entry["ModelPackageArn"] for page in pages for entry in page["ModelPackageSummaryList"]]:
        sagemaker.delete_model_package(ModelPackageName=arn)
    with suppress(ClientError):
        sagemaker.delete_model_package_group_policy(ModelPackageGroupName=name)
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)
