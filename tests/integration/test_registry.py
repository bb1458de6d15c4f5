"""The registry's adapter: what it makes of SageMaker's answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.sagemaker import ServiceError
from replicator.aws.registry import Registry
from replicator.errors import ErrorCode, PermanentError, RetryableError
from replicator.identifiers import ModelPackageArn
from tests.integration.conftest import HUB

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


@pytest.fixture
def registry(local_aws: LocalAws) -> Registry:
    return Registry(local_aws.session(HUB), denied=ErrorCode.HUB_ACCESS_DENIED)


@pytest.fixture
def request_(registry: Registry, fresh: Callable[[str], str]) -> dict[str, Any]:
    group = fresh("group")
    assert registry.create_group(group, "A group", {})
    assert not registry.create_group(group, "Another", {})
    return {"ModelPackageGroupName": group, "ClientToken": fresh("token")}


def test_what_is_not_there_is_none(registry: Registry, local_aws: LocalAws) -> None:
    arn = f"arn:aws:sagemaker:{local_aws.region}:{HUB}:model-package/nothing-here/1"
    assert registry.describe(arn) is None
    assert registry.group("nothing-here") is None


def test_the_same_request_again_gives_the_first_package(registry: Registry, request_: dict[str, Any]) -> None:
    assert registry.create(request_) == registry.create(request_)


def test_another_request_under_the_same_token_is_tried_again_later(
    registry: Registry, request_: dict[str, Any]
) -> None:
    registry.create(request_)
    with pytest.raises(RetryableError, match="does not list it yet"):
        registry.create(request_ | {"ModelPackageDescription": "of a later state"})


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (ServiceError("ThrottlingException", "Rate exceeded"), RetryableError, ErrorCode.THROTTLED),
        (ServiceError("ResourceLimitExceeded", "full"), PermanentError, ErrorCode.HUB_REFUSED),
        (ServiceError("AccessDeniedException", "no"), PermanentError, ErrorCode.HUB_ACCESS_DENIED),
    ],
)
def test_what_sagemaker_refuses_has_its_code(
    registry: Registry,
    request_: dict[str, Any],
    local_aws: LocalAws,
    answer: ServiceError,
    kind: type[Exception],
    code: ErrorCode,
) -> None:
    # botocore itself tries a throttled call five times.
    attempts = 5 if kind is RetryableError else 1
    local_aws.registry.fail_next("CreateModelPackage", answer, attempts)
    with pytest.raises(kind, match=request_["ModelPackageGroupName"]) as caught:
        registry.create(request_)
    assert caught.value.code is code  # type: ignore[attr-defined]


def test_a_request_that_sagemaker_would_refuse_is_never_sent(
    registry: Registry, request_: dict[str, Any]
) -> None:
    with pytest.raises(PermanentError, match="ModelPackageDescription has 1025 characters") as caught:
        registry.create(request_ | {"ModelPackageDescription": "x" * 1025})
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_an_unfinished_mirror_is_found_by_its_provenance(
    registry: Registry, request_: dict[str, Any], local_aws: LocalAws
) -> None:
    source = ModelPackageArn.parse(f"arn:aws:sagemaker:{local_aws.region}:111111111111:model-package/g/7")
    for n, other in enumerate(
        [
            {"replicator:source-arn": str(source).replace("/7", "/8"), "replicator:hub": "hub"},
            {"replicator:source-arn": str(source), "replicator:hub": "another"},
            {"replicator:source-arn": str(source)},
        ]
    ):
        registry.create(request_ | {"CustomerMetadataProperties": other, "ClientToken": f"other-{n}"})
    mine = {"CustomerMetadataProperties": {"replicator:source-arn": str(source), "replicator:hub": "hub"}}
    made = registry.create(request_ | mine)
    group, since = request_["ModelPackageGroupName"], datetime.now(UTC) - timedelta(minutes=5)
    assert registry.find_mirror(group, source, since, "hub") == made
    assert registry.find_mirror(group, source, since + timedelta(hours=1), "hub") is None
    assert registry.find_mirror("nothing-here", source, since, "hub") is None
