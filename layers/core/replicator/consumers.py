"""Who besides the hub may read the mirrors, as resource policies say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GROUP_TAG_PREFIX = "source:"


@dataclass(frozen=True, slots=True)
class Consumers:
    """Accounts, and the organization, that may read."""

    accounts: frozenset[str] = frozenset()
    organization: str | None = None

    def __bool__(self) -> bool:
        return bool(self.accounts or self.organization)

    def _statements(
        self, sid: str, actions: list[str], resources: list[str], partition: str
    ) -> list[dict[str, Any]]:
        common: dict[str, Any] = {"Effect": "Allow", "Action": actions}
        if resources:
            common["Resource"] = resources
        found = []
        if self.accounts:
            roots = [f"arn:{partition}:iam::{account}:root" for account in sorted(self.accounts)]
            found.append({"Sid": f"{sid}Accounts", "Principal": {"AWS": roots}, **common})
        if self.organization:
            condition = {"StringEquals": {"aws:PrincipalOrgID": self.organization}}
            found.append(
                {"Sid": f"{sid}Organization", "Principal": {"AWS": "*"}, **common, "Condition": condition}
            )
        return found

    def repository_policy(self, partition: str) -> dict[str, Any]:
        """Give the policy of a hub repository: pulling, and nothing else.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
        """
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        return {"Version": "2012-10-17", "Statement": self._statements("Pull", pull, [], partition)}

    def group_policy(self, partition: str, region: str, account: str, group: str) -> dict[str, Any]:
        """Give the policy of a hub group: describing and deploying its versions, not changing them.

        The ARN of a version spells the name of its group in lower case, so the policy names both spellings.
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
        """
        arn = f"arn:{partition}:sagemaker:{region}:{account}"
        names = sorted({group, group.lower()})
        return {
            "Version": "2012-10-17",
            "Statement": [
                *self._statements(
                    "ReadGroup",
                    ["sagemaker:DescribeModelPackageGroup"],
                    [f"{arn}:model-package-group/{name}" for name in names],
                    partition,
                ),
                *self._statements(
                    "ReadVersions",
                    [
                        "sagemaker:CreateModel",
                        "sagemaker:DescribeModelPackage",
                        "sagemaker:ListModelPackages",
                    ],
                    [f"{arn}:model-package/{name}/*" for name in names],
                    partition,
                ),
            ],
        }


def followed_tags(tags: dict[str, str], allowed: frozenset[str]) -> dict[str, str]:
    """Give the tags that a hub's group takes over from the spoke's.

    Each key is prefixed, so that none can mean what the hub's own tags mean to access control; ``aws:``
    belongs to AWS. https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    """
    return {
        f"{GROUP_TAG_PREFIX}{key}": value
        for key, value in sorted(tags.items())
        if key in allowed and not key.lower().startswith("aws:")
    }
