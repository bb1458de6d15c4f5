"""What ``make local`` starts with: real models in both spokes that wait for somebody to approve them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.demo import models
from local.demo.scientist import AWS_REGISTRIES, Registered, Scientist, aws_sklearn

if TYPE_CHECKING:
    from local.landscape import Landscape

SEEDS = {"spoke-a": ("tumours", "wines"), "spoke-b": ("diabetes", "irises")}
"""Names in `models.RECIPES` by the name of the spoke. The diabetes model is on AWS's own image."""


@dataclass(frozen=True)
class Seeded:
    """What was put into the spokes.

    Parameters
    ----------
    versions
        All, the first of them in ``spoke-a``, the last in ``spoke-b``.
    missing
        Location of the artifact that the last version names and that is not there.
    """

    versions: list[Registered]
    missing: str

    @property
    def lost(self) -> Registered:
        """Give the version whose artifact is missing."""
        return self.versions[-1]


def seed(landscape: Landscape) -> Seeded:
    """Train the models, push their images and register them, pending approval.

    Parameters
    ----------
    landscape
        Deployed, with a default bucket in every spoke.
    """
    aws = landscape.aws
    trained = models.train(*(name for names in SEEDS.values() for name in names))
    versions: list[Registered] = []
    for spoke, names in SEEDS.items():
        person = Scientist(aws, landscape.spokes[spoke].account)
        images = {step: person.push(step, f"{spoke} {step}") for step in ("preprocessing", "model")}
        for name in names:
            on_aws_image = name == "diabetes" and aws.region in AWS_REGISTRIES
            chosen = {"model": aws_sklearn(aws.region)} if on_aws_image else images
            versions.append(
                person.register(trained[name], {step: chosen[step] for step in trained[name].steps})
            )
    # SageMaker looks at the artifacts when a version is registered, so it gets lost after that.
    lost = versions[-1]
    missing = next(uri for uri in lost.artifacts if uri.endswith("/model.tar.gz"))
    person.delete(missing)
    return Seeded(versions, missing)
