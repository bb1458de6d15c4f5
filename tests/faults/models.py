"""What a data scientist of a spoke registers for the fault tests: small, and with everything that is copied."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.landscape import HUB
from tests.faults.world import KIB, SPOKE_A
from tests.integration.data_scientist import DataScientist

if TYPE_CHECKING:
    from local.images import OciImage
    from tests.faults.world import World

_numbers = count(1)


@dataclass(frozen=True)
class Version:
    """A version of a model package, and what it points to."""

    scientist: DataScientist
    arn: str
    image: OciImage

    @property
    def group(self) -> str:
        """The group in the spoke."""
        return self.scientist.group

    @property
    def hub_group(self) -> str:
        """The group of the mirror."""
        return f"{self.scientist.account}-{self.group}"


class Models:
    """Objects and an image in a spoke, made once; versions that use them, each in a group of its own.

    Parameters
    ----------
    account
        Of the spoke.

    Attributes
    ----------
    model, folder
        Locations of an object of three parts, and of a prefix of two small objects.
    """

    def __init__(self, world: World, account: str = SPOKE_A) -> None:
        self.world = world
        self.stock = DataScientist(world.aws, account, f"stock-{next(_numbers)}")
        self.image = self.stock.push()
        self.model = self.stock.put("model.tar.gz", os.urandom(40 * KIB))
        for name in ("weights", "tokens"):
            self.stock.put(f"folder/{name}", os.urandom(KIB))
        self.folder = self.model.replace("model.tar.gz", "folder/")

    @property
    def containers(self) -> tuple[dict[str, Any], ...]:
        """One with the object, one with the prefix; both with the image."""
        source = {"S3DataType": "S3Prefix", "S3Uri": self.folder, "CompressionType": "None"}
        return (
            {"Image": self.stock.image, "ModelDataUrl": self.model},
            {"Image": self.stock.image, "ModelDataSource": {"S3DataSource": source}},
        )

    def version(self, *containers: dict[str, Any], group: str | None = None, **members: Any) -> Version:
        """Register a version that nobody has approved yet."""
        group = group or f"Model-{next(_numbers)}"
        scientist = DataScientist(self.world.aws, self.stock.account, group, self.stock.artifacts)
        arn = scientist.register(*(containers or self.containers), **members)
        return Version(scientist, arn, self.image)

    def forget_copies(self) -> None:
        """Take the image out of the hub's registry, so that the next run has to copy it again.

        Artifacts need nothing of the kind: their copies lie under the group and version.
        """
        ecr = self.world.aws.client("ecr", HUB)
        try:
            ecr.delete_repository(
                repositoryName=f"{self.world.namespace}/{self.stock.account}/{self.stock.group}", force=True
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise
