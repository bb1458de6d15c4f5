"""ListModelPackages, ListModelPackageGroups and tags.

"Model" is the installed botocore's service model with its embedded documentation, the same text as
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from tests.integration.test_local_sagemaker.conftest import REGION, SPOKE, Clock, refusal, register
from tests.integration.test_local_sagemaker.members import FULL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Serving


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(serving: Serving, clock: Clock) -> SageMakerClient:
    """Twelve versions of ``churn``, a minute apart: the even ones approved."""
    it = serving.start(clock=clock).client()
    it.create_model_package_group(ModelPackageGroupName="churn")
    for number in range(1, 13):
        register(it, ModelApprovalStatus="Rejected" if number % 2 else "Approved")
        clock.tick()
    return it


def versions(client: SageMakerClient, **request: Any) -> list[int]:
    asked: Any = {"ModelPackageGroupName": "churn"} | request
    pages = client.get_paginator("list_model_packages").paginate(**asked)
    return [item["ModelPackageVersion"] for found in pages for item in found["ModelPackageSummaryList"]]


def test_versions_are_sorted_by_creation(client: SageMakerClient) -> None:
    """Model: SortBy CreationTime and SortOrder Ascending are the defaults."""
    assert versions(client) == list(range(1, 13))
    assert versions(client, SortOrder="Descending") == list(range(12, 0, -1))
    assert versions(client, SortBy="Name", SortOrder="Descending") == list(range(12, 0, -1))


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
def test_pages_hold_no_more_than_asked_for(client: SageMakerClient, order: Any) -> None:
    """Model: MaxResults 1..100, NextToken when truncated."""
    seen: list[int] = []
    request: Any = {"ModelPackageGroupName": "churn", "MaxResults": 5, "SortOrder": order}
    sizes = []
    while True:
        answer = client.list_model_packages(**request)
        sizes.append(len(answer["ModelPackageSummaryList"]))
        seen += [item["ModelPackageVersion"] for item in answer["ModelPackageSummaryList"]]
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]
    assert sizes == [5, 5, 2]
    assert sorted(seen) == list(range(1, 13))


def test_pages_survive_registrations_and_deletions_between_them(client: SageMakerClient) -> None:
    """Inferred: no version is listed twice or left out because others came or went meanwhile."""
    first = client.list_model_packages(ModelPackageGroupName="churn", MaxResults=5)
    client.delete_model_package(ModelPackageName="churn/2")
    register(client)
    rest = client.list_model_packages(
        ModelPackageGroupName="churn", MaxResults=100, NextToken=first["NextToken"]
    )
    assert [item["ModelPackageVersion"] for item in rest["ModelPackageSummaryList"]] == list(range(6, 14))


def test_the_page_size_is_bounded(client: SageMakerClient) -> None:
    """Model: MaxResults 1..100; that a page holds 10 when nothing is said is inferred."""
    code, message = refusal(client.list_model_packages, ModelPackageGroupName="churn", MaxResults=101)
    assert code == "ValidationException"
    assert message == (
        "1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
        "Member must have value less than or equal to 100"
    )
    answer = client.list_model_packages(ModelPackageGroupName="churn")
    assert len(answer["ModelPackageSummaryList"]) == 10


def test_a_token_belongs_to_its_request(client: SageMakerClient) -> None:
    """Inferred: a token made up, or of another request, is refused."""
    token = client.list_model_packages(ModelPackageGroupName="churn", MaxResults=1)["NextToken"]
    for request in ({"NextToken": "nonsense"}, {"NextToken": token, "SortOrder": "Descending"}):
        code, _ = refusal(client.list_model_packages, ModelPackageGroupName="churn", **request)
        assert code == "ValidationException"


def test_filters(client: SageMakerClient, clock: Clock) -> None:
    """Model: created after, before, approval status, name contains, group by name or ARN."""
    start = Clock()
    start.tick(5 * 60)  # the creation time of version 6
    assert versions(client, CreationTimeAfter=start.now) == list(range(7, 13))
    assert versions(client, CreationTimeBefore=start.now) == list(range(1, 6))
    assert versions(client, ModelApprovalStatus="Approved") == list(range(2, 13, 2))
    assert versions(client, NameContains="hur") == list(range(1, 13))
    assert versions(client, NameContains="other") == []
    arn = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package-group/churn"
    assert versions(client, ModelPackageGroupName=arn, ModelApprovalStatus="Approved", MaxResults=1) == list(
        range(2, 13, 2)
    )
    assert refusal(client.list_model_packages, ModelPackageGroupName="none")[0] == "ValidationException"


def test_a_list_without_a_group_has_packages_outside_groups(client: SageMakerClient) -> None:
    """Model, ModelPackageType: "UNVERSIONED ... is the default value"; VERSIONED and BOTH."""
    client.create_model_package(ModelPackageName="product")

    def listed(**request: Any) -> int:
        return len(client.list_model_packages(MaxResults=100, **request)["ModelPackageSummaryList"])

    summary = client.list_model_packages()["ModelPackageSummaryList"]
    assert [item["ModelPackageName"] for item in summary] == ["product"]
    assert (listed(ModelPackageType="Versioned"), listed(ModelPackageType="Both")) == (12, 13)


def test_the_members_of_a_summary(client: SageMakerClient) -> None:
    """Model, ModelPackageSummary; a version's has no ModelPackageName: aws/sagemaker-python-sdk#5606."""
    register(client, **FULL)
    answer = client.list_model_packages(ModelPackageGroupName="churn", SortOrder="Descending", MaxResults=1)
    found: dict[str, Any] = dict(answer["ModelPackageSummaryList"][0])
    shape: Any = (
        botocore.session.get_session().get_service_model("sagemaker").shape_for("ModelPackageSummary")
    )
    assert set(found) == set(shape.members) - {"ModelPackageName"}
    assert found["ModelLifeCycle"] == FULL["ModelLifeCycle"]
    assert found["ModelPackageRegistrationType"] == "Registered"


def test_groups_are_listed_sorted_and_in_pages(client: SageMakerClient, clock: Clock) -> None:
    """Model, ListModelPackageGroups: the same filters, order and pages."""
    for name in ("zeta", "alpha"):
        client.create_model_package_group(ModelPackageGroupName=name)
        clock.tick()

    def names(**request: Any) -> list[str]:
        pages = client.get_paginator("list_model_package_groups").paginate(
            **request, PaginationConfig={"PageSize": 1}
        )
        return [g["ModelPackageGroupName"] for page in pages for g in page["ModelPackageGroupSummaryList"]]

    assert names() == ["churn", "zeta", "alpha"]
    assert names(SortBy="Name") == ["alpha", "churn", "zeta"]
    assert names(SortOrder="Descending") == ["alpha", "zeta", "churn"]
    assert names(NameContains="eta") == ["zeta"]


def test_tags_of_a_group(client: SageMakerClient) -> None:
    """Model: AddTags "adds or overwrites", ListTags, DeleteTags; a version takes none: aws/aws-cdk#33699."""
    client.create_model_package_group(ModelPackageGroupName="g", Tags=[{"Key": "a", "Value": "1"}])
    arn = client.describe_model_package_group(ModelPackageGroupName="g")["ModelPackageGroupArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": ""},
    ]
    client.delete_tags(ResourceArn=arn, TagKeys=["a", "x"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    version = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn/1"
    code, message = refusal(client.add_tags, ResourceArn=version, Tags=[{"Key": "a", "Value": "1"}])
    assert code == "ValidationException"
    assert message.startswith("Tags are not supported in Model Package versions")


def test_a_group_has_at_most_fifty_tags(client: SageMakerClient) -> None:
    """Model, TagList: at most 50; that it holds for the sum is inferred."""
    arn = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package-group/churn"
    client.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
    more = refusal(client.add_tags, ResourceArn=arn, Tags=[{"Key": "more", "Value": "v"}])
    assert more[0] == "ValidationException"
