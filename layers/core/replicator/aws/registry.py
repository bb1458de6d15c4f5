"""The SageMaker Model Registry: read in a spoke, read and written in the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from replicator import provenance
from replicator.aws.failures import translated
from replicator.aws.sessions import client_config
from replicator.constraints import violations
from replicator.errors import ErrorCode, PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import boto3
    from mypy_boto3_sagemaker.client import SageMakerClient

    from replicator.identifiers import ModelPackageArn


@dataclass(frozen=True, slots=True)
class Group:
    """A model package group."""

    name: str
    description: str | None
    tags: dict[str, str]


def _missing(error: ClientError) -> bool:
    # Describe models no error: what does not exist arrives as ValidationException.
    said = error.response["Error"]
    return said.get("Code") in {"ValidationException", "ResourceNotFound"} and (
        "does not exist" in said.get("Message", "") or "not found" in said.get("Message", "").lower()
    )


@dataclass(frozen=True, slots=True)
class Version:
    """What a listing says of a version."""

    arn: str
    version: int
    approval_status: str | None


_PAGE = 100  # the most that a List operation of SageMaker gives


def _with_token(call: Callable[..., Any], request: dict[str, Any], token: str | None) -> Any:
    if token is None:
        return call(**request)
    try:
        return call(**request, NextToken=token)
    except ClientError as error:
        # How long a token lives is not documented.
        if error.response["Error"].get("Code") != "ValidationException" or _missing(error):
            raise
        return call(**request)


class Registry:
    """The registry of one account.

    Parameters
    ----------
    session
        With the read role of a spoke, or the function's own for the hub.
    denied
        The code for a denied call: whose side has to be mended.
    """

    def __init__(self, session: boto3.Session, *, denied: ErrorCode) -> None:
        self._client: SageMakerClient = session.client("sagemaker", config=client_config())
        self._denied = denied

    def describe(self, arn: str) -> dict[str, Any] | None:
        """Describe a model package, with all its data; None when there is none of that ARN."""
        doing = f"describing {arn}"
        with translated(doing, denied=self._denied, otherwise=ErrorCode.PACKAGE_NOT_FOUND):
            try:
                answer = dict(self._client.describe_model_package(ModelPackageName=arn))
            except ClientError as error:
                if _missing(error):
                    return None
                raise
        answer.pop("ResponseMetadata", None)
        return answer

    def describe_version(self, arn: ModelPackageArn, group: str | None = None) -> dict[str, Any] | None:
        """Describe a version of a group; None when there is none under any spelling of its ARN that is known.

        Parameters
        ----------
        group
            Its group as people wrote it, where that is known. Nothing says that an ARN in another spelling is found.
        """
        spellings = dict.fromkeys((str(arn), str(arn.spelled(group)) if group else str(arn)))
        return next((found for text in spellings if (found := self.describe(text)) is not None), None)

    def group(self, name: str) -> Group | None:
        """Describe a group with its tags; None when there is none of that name."""
        doing = f"describing the model package group {name}"
        with translated(doing, denied=self._denied, otherwise=ErrorCode.PACKAGE_NOT_FOUND):
            try:
                answer = self._client.describe_model_package_group(ModelPackageGroupName=name)
            except ClientError as error:
                if _missing(error):
                    return None
                raise
            pages = self._client.get_paginator("list_tags").paginate(
                ResourceArn=answer["ModelPackageGroupArn"]
            )
            tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        return Group(name, answer.get("ModelPackageGroupDescription"), tags)

    def groups_page(self, token: str | None) -> tuple[list[str], str | None]:
        """List names of groups, and give the token of the next page.

        Parameters
        ----------
        token
            Of this page. Listing begins anew with one that SageMaker does not know any more.
        """
        more: dict[str, Any] = {"MaxResults": _PAGE, "SortBy": "Name", "SortOrder": "Ascending"}
        with translated(
            "listing the model package groups", denied=self._denied, otherwise=ErrorCode.PACKAGE_NOT_FOUND
        ):
            answer = _with_token(self._client.list_model_package_groups, more, token)
        names = [each["ModelPackageGroupName"] for each in answer["ModelPackageGroupSummaryList"]]
        return names, answer.get("NextToken")

    def versions_page(self, group: str, token: str | None) -> tuple[list[Version], str | None]:
        """List versions of a group, the oldest first, and give the token of the next page, as `groups_page`."""
        more: dict[str, Any] = {"ModelPackageGroupName": group, "MaxResults": _PAGE}
        more |= {"SortBy": "CreationTime", "SortOrder": "Ascending"}
        doing = f"listing the versions of the model package group {group}"
        with translated(doing, denied=self._denied, otherwise=ErrorCode.PACKAGE_NOT_FOUND):
            try:
                answer = _with_token(self._client.list_model_packages, more, token)
            except ClientError as error:
                if _missing(error):
                    return [], None
                raise
        found = [
            Version(each["ModelPackageArn"], each["ModelPackageVersion"], each.get("ModelApprovalStatus"))
            for each in answer["ModelPackageSummaryList"]
        ]
        return found, answer.get("NextToken")

    def create_group(self, name: str, description: str, tags: Mapping[str, str]) -> bool:
        """Make a group; False when one is there already, which stays as it is."""
        doing = f"making the model package group {name}"
        request: dict[str, Any] = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupDescription": description,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        self._check("CreateModelPackageGroup", doing, request)
        with translated(doing, denied=self._denied, otherwise=ErrorCode.HUB_REFUSED):
            try:
                self._client.create_model_package_group(**request)
            except ClientError as error:
                if "already exists" not in error.response["Error"].get("Message", ""):
                    raise
                return False
        return True

    def put_group_policy(self, name: str, policy: Mapping[str, Any]) -> None:
        """Say who else may read a group."""
        doing = f"letting the consumers read the model package group {name}"
        with translated(doing, denied=self._denied, otherwise=ErrorCode.HUB_REFUSED):
            self._client.put_model_package_group_policy(
                ModelPackageGroupName=name, ResourcePolicy=json.dumps(policy)
            )

    def create(self, request: Mapping[str, Any]) -> str:
        """Create a model package and give its ARN."""
        doing = f"creating the mirror in {request['ModelPackageGroupName']}"
        self._check("CreateModelPackage", doing, request)
        with translated(doing, denied=self._denied, otherwise=ErrorCode.HUB_REFUSED):
            try:
                return self._client.create_model_package(**request)["ModelPackageArn"]
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConflictException":
                    raise
                raise RetryableError(
                    ErrorCode.SERVICE_UNAVAILABLE,
                    f"{doing}: an earlier attempt made it from another state of the source, and the registry does "
                    "not list it yet",
                ) from error

    def update(self, arn: str, request: Mapping[str, Any]) -> None:
        """Update a model package."""
        doing = f"updating {arn} ({', '.join(sorted(request))})"
        self._check("UpdateModelPackage", doing, {"ModelPackageArn": arn, **request})
        with translated(doing, denied=self._denied, otherwise=ErrorCode.HUB_REFUSED):
            self._client.update_model_package(ModelPackageArn=arn, **request)

    def _check(self, operation: str, doing: str, request: Mapping[str, Any]) -> None:
        shape = self._client.meta.service_model.operation_model(operation).input_shape
        if problems := list(violations(shape, request)):
            raise PermanentError(
                ErrorCode.LIMIT_EXCEEDED,
                f"{doing}: by the service model of this release SageMaker would not take it: "
                f"{'; '.join(problems)}. Mend it in the spoke and redrive; where SageMaker itself has the value, "
                "deploy a newer release.",
            )

    def find_mirror(self, group: str, source_arn: ModelPackageArn, since: datetime, hub: str) -> str | None:
        """Look for a mirror that an earlier attempt made and could not note any more.

        Parameters
        ----------
        group
            Of the hub.
        source_arn
            Which the mirror names in its provenance, in any spelling.
        since
            It cannot be older.
        hub
            The namespace that it names: another hub in the account may have a mirror of its own.
        """
        doing = f"looking for a mirror of {source_arn} in {group}"
        with translated(doing, denied=self._denied, otherwise=ErrorCode.HUB_REFUSED):
            pages = self._client.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=group, CreationTimeAfter=since, SortBy="CreationTime"
            )
            try:
                arns = [s["ModelPackageArn"] for page in pages for s in page["ModelPackageSummaryList"]]
            except ClientError as error:
                if _missing(error):
                    return None
                raise
        for arn in arns:
            if provenance.is_mirror(self.describe(arn) or {}, source_arn, hub):
                return arn
        return None
