"""The hub's groups: each mirrors one group of one spoke, and says so in a tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.consumers import followed_tags
from replicator.errors import ErrorCode, PermanentError

if TYPE_CHECKING:
    from replicator.aws.registry import Group, Registry
    from replicator.consumers import Consumers
    from replicator.identifiers import SourceVersion
    from replicator.policy import Policy

SOURCE_TAG = "replicator:source"
"""Tag on a hub's group: ``<spoke account>/<group>`` of the one group that it mirrors."""
HUB_TAG = "replicator:hub"
"""Tag on a hub's group: the ``Namespace`` of the hub that made it. A group that a person made may have none."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Makes the hub's groups."""

    policy: Policy
    hub: Registry
    spoke: Registry
    consumers: Consumers
    follow_description: bool
    follow_tags: frozenset[str]

    def ensure(self, name: str, version: SourceVersion) -> None:
        """Make the hub's group for a spoke's group, or check that it is that group's.

        Raises `PermanentError` (``GROUP_NAME_TAKEN``) when it mirrors another one or was made by somebody else,
        another hub of the account included.
        """
        source = f"{version.account}/{version.group}"
        group = self.hub.group(name)
        if group is None and not self._create(name, version.account, version.group):
            group = self.hub.group(name)  # somebody was faster
        owner = group.tags.get(SOURCE_TAG) if group else source
        if owner != source:
            raise PermanentError(
                ErrorCode.GROUP_NAME_TAKEN,
                f"the hub's group {name} is not the mirror of {source} (its tag {SOURCE_TAG} is "
                f"{owner or 'missing'}). Choose a GroupNameTemplate that keeps them apart, or tag the group.",
            )
        hub = group.tags.get(HUB_TAG, self.policy.namespace) if group else self.policy.namespace
        if hub != self.policy.namespace:
            raise PermanentError(
                ErrorCode.GROUP_NAME_TAKEN,
                f"the group {name} belongs to another hub in this account: its tag {HUB_TAG} is {hub}, and this hub's "
                f"Namespace is {self.policy.namespace}. Choose a GroupNameTemplate for one of them that keeps their "
                "groups apart, then redrive.",
            )
        if self.consumers:
            self.hub.put_group_policy(
                name,
                self.consumers.group_policy(
                    self.policy.partition, self.policy.region, self.policy.hub_account, name
                ),
            )

    def _create(self, name: str, account: str, source_group: str) -> bool:
        source: Group | None = None
        if self.follow_description or self.follow_tags:
            source = self.spoke.group(source_group)
        description = f"Mirror of {source_group} in account {account}"
        if self.follow_description and source and source.description:
            description = source.description
        tags = followed_tags(source.tags, self.follow_tags) if source else {}
        own = {SOURCE_TAG: f"{account}/{source_group}", HUB_TAG: self.policy.namespace}
        return self.hub.create_group(name, description, {**tags, **own})
