"""What consumers are let into: the statements of the hub's own resource policies."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.consumers import Consumers

ARN = "arn:aws:sagemaker:eu-west-1:999999999999"


def resources(policy: dict[str, Any], sid: str) -> list[str]:
    (found,) = [each["Resource"] for each in policy["Statement"] if each["Sid"].startswith(sid)]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    "consumers", [Consumers(accounts=frozenset({"333333333333"})), Consumers(organization="o-exampleorgid")]
)
@pytest.mark.parametrize(
    ("group", "names"),
    [("risk-churn", ["risk-churn"]), ("risk-Churn", ["risk-Churn", "risk-churn"])],
)
def test_a_group_is_named_as_it_is_given_and_as_the_arns_of_its_versions_spell_it(
    consumers: Consumers, group: str, names: list[str]
) -> None:
    policy = consumers.group_policy("aws", "eu-west-1", "999999999999", group)
    assert resources(policy, "ReadGroup") == [f"{ARN}:model-package-group/{name}" for name in names]
    assert resources(policy, "ReadVersions") == [f"{ARN}:model-package/{name}/*" for name in names]


def test_a_repository_is_its_own_resource() -> None:
    policy = Consumers(accounts=frozenset({"333333333333"})).repository_policy("aws")
    assert [set(each) for each in policy["Statement"]] == [{"Sid", "Principal", "Effect", "Action"}]
