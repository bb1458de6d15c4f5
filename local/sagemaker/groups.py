"""Operations on model package groups, their policies and their tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.evidence import Evidence, Rule
from local.sagemaker import access, listing, packages
from local.sagemaker.values import (
    GROUP,
    PACKAGE,
    Caller,
    Document,
    Group,
    Package,
    Reference,
    ServiceError,
    invalid,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local.sagemaker.store import Store

MAX_TAGS = 50
RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-group-exists",
        "A second group of one name is a ValidationException with its ARN.",
        Evidence.RECORDED,
        "sagemaker/errors.json",
    ),
    Rule(
        "sagemaker-group-without-policy",
        "GetModelPackageGroupPolicy of a group without a policy is a ValidationException.",
        Evidence.RECORDED,
        "sagemaker/errors.json",
    ),
    Rule(
        "sagemaker-group-not-empty",
        "A group that has versions is not deleted.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-delete-model-group.html",
    ),
)


class GroupOperations:
    """The operations on groups, by their name in the service model."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self.operations: dict[str, Callable[[Caller, Document], Document]] = {
            "CreateModelPackageGroup": self.create,
            "DescribeModelPackageGroup": self.describe,
            "DeleteModelPackageGroup": self.delete,
            "ListModelPackageGroups": self.list,
            "PutModelPackageGroupPolicy": self.put_policy,
            "GetModelPackageGroupPolicy": self.get_policy,
            "DeleteModelPackageGroupPolicy": self.delete_policy,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Make a group. A second one of the same name is refused, in words that public code relies on."""
        reference = Reference(caller.account, caller.region, GROUP, request["ModelPackageGroupName"])
        reference = reference.spelled(self._store.arn_spelling)
        kept = ("ModelPackageGroupDescription", "ManagedConfiguration")
        members = {name: request[name] for name in kept if name in request}
        with self._store.lock:
            if reference in self._store.groups:
                raise invalid(f"Model Package Group already exists: {reference.arn}")
            group = Group(reference, self._clock(), caller, members, tag_map(request.get("Tags", [])))
            self._store.groups[reference] = group
        return {"ModelPackageGroupArn": reference.arn}

    def describe(self, caller: Caller, request: Document) -> Document:
        """Describe a group, by name or ARN."""
        with self._store.lock:
            return packages.describe_group(self._find(caller, request, "DescribeModelPackageGroup"))

    def delete(self, caller: Caller, request: Document) -> Document:
        """Delete an empty group.

        That it must be empty: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-delete-model-group.html;
        that the refusal is the one error that the service model has for it is inferred.
        """
        with self._store.lock:
            group = self._find(caller, request, "DeleteModelPackageGroup")
            if self._store.versions(group):
                raise ServiceError(
                    "ConflictException", f"{group.reference.arn} still contains Model Packages."
                )
            del self._store.groups[group.reference]
        return {}

    def list(self, caller: Caller, request: Document) -> Document:
        """List own groups, or with ``CrossAccount`` those of others whose policy shows them to the caller.

        Sharing by AWS RAM, the documented way to be discoverable, comes down to that policy here.
        """
        others = request.get("CrossAccountFilterOption") == "CrossAccount"
        with self._store.lock:
            found = [
                group
                for group in self._store.groups.values()
                if group.reference.region == caller.region
                and (_shown(group, caller) if others else group.reference.account == caller.account)
                and listing.matches(group, request)
            ]
            shown, token = listing.page(found, request)
            answer: Document = {"ModelPackageGroupSummaryList": [packages.describe_group(g) for g in shown]}
        return answer | ({"NextToken": token} if token else {})

    def put_policy(self, caller: Caller, request: Document) -> Document:
        """Set the resource policy of a group."""
        access.check_policy(request["ResourcePolicy"])
        with self._store.lock:
            group = self._find(caller, request, "PutModelPackageGroupPolicy")
            group.policy = request["ResourcePolicy"]
            return {"ModelPackageGroupArn": group.reference.arn}

    def get_policy(self, caller: Caller, request: Document) -> Document:
        """Read the resource policy of a group; without one the answer is an error (its words are inferred)."""
        with self._store.lock:
            group = self._find(caller, request, "GetModelPackageGroupPolicy")
            if group.policy is None:
                raise invalid(f"Cannot find resource policy for {group.reference.arn}")
            return {"ResourcePolicy": group.policy}

    def delete_policy(self, caller: Caller, request: Document) -> Document:
        """Remove the resource policy of a group."""
        with self._store.lock:
            self._find(caller, request, "DeleteModelPackageGroupPolicy").policy = None
        return {}

    def _find(self, caller: Caller, request: Document, action: str) -> Group:
        return self._store.group(caller, request["ModelPackageGroupName"], action)


class TagOperations:
    """Tags of groups, and of packages outside groups. Versions have none of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.operations: dict[str, Callable[[Caller, Document], Document]] = {
            "AddTags": self.add,
            "ListTags": self.list,
            "DeleteTags": self.delete,
        }

    def add(self, caller: Caller, request: Document) -> Document:
        """Add or overwrite tags, at most 50 in all."""
        with self._store.lock:
            resource = self._find(caller, request, "AddTags")
            if isinstance(resource, Package) and resource.versioned:
                raise invalid(packages.TAGS_ON_VERSION)
            tags = resource.tags | tag_map(request["Tags"])
            if len(tags) > MAX_TAGS:
                raise invalid(f"A resource cannot have more than {MAX_TAGS} tags.")
            resource.tags = tags
            return {"Tags": tag_list(tags)}

    def list(self, caller: Caller, request: Document) -> Document:
        """List all tags: there are never more than the smallest page."""
        with self._store.lock:
            return {"Tags": tag_list(self._find(caller, request, "ListTags").tags)}

    def delete(self, caller: Caller, request: Document) -> Document:
        """Remove tags by key; one that is not there is no error."""
        with self._store.lock:
            resource = self._find(caller, request, "DeleteTags")
            resource.tags = {k: v for k, v in resource.tags.items() if k not in request["TagKeys"]}
        return {}

    def _find(self, caller: Caller, request: Document, action: str) -> Group | Package:
        arn = request["ResourceArn"]
        if Reference.parse(arn, caller, GROUP).type == PACKAGE:
            return self._store.package(caller, arn, action)
        return self._store.group(caller, arn, action)


def _shown(group: Group, caller: Caller) -> bool:
    action = "sagemaker:DescribeModelPackageGroup"
    return group.reference.account != caller.account and access.allows(
        group.policy, caller, action, [group.reference.arn]
    )


def tag_map(tags: list[Document]) -> dict[str, str]:
    """Turn the wire's list of tags into a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def tag_list(tags: dict[str, str]) -> list[Document]:
    """Turn a mapping into the wire's list of tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
