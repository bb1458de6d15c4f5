"""Descriptions that AWS or other people published, mirrored with nothing missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from replicator.identifiers import ModelPackageArn
from replicator.mirror import creation, desired
from replicator.plan import plan
from replicator.policy import aws_owned_registries
from tests.unit import shapes
from tests.unit.accounting import unaccounted
from tests.unit.packages import a_policy
from tests.unit.places import copied

FILES = sorted((Path(__file__).parent / "data").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_published_package_is_mirrored_whole(file: Path) -> None:
    case: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    source = case["description"]
    arn = ModelPackageArn.parse(source["ModelPackageArn"])
    policy = a_policy(region=case["region"], aws_registries=aws_owned_registries(case["region"]))
    copies = plan(arn, source, None, policy).copies
    assert sorted(copy.uri for copy in copies) == sorted(case["copies"])
    locations = copied(copies)
    want = desired(source, locations, "arn:aws:kms:us-east-2:999999999999:key/k")
    request = creation(arn, want, "hub-group", policy, {}).create
    assert not list(unaccounted(source, request, want.dropped, locations))
    # Accounts of the source are nowhere but where the record says who made it.
    text = json.dumps({**request, "MetadataProperties": None})
    assert not [uri for uri in case["copies"] if uri in text]
    assert not list(shapes.problems("CreateModelPackage", request))
