import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.identifiers import ImageReference
from replicator.partitions import partitions
from replicator.policy import aws_owned_buckets, aws_owned_registries
from tests.unit.packages import DIGEST, HUB, SPOKE, a_policy

GROUPS = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", fullmatch=True)
ACCOUNTS = st.from_regex(r"[0-9]{12}", fullmatch=True)


@given(ACCOUNTS, GROUPS, ACCOUNTS, GROUPS)
def test_two_groups_never_share_a_name_and_every_name_fits(a1: str, g1: str, a2: str, g2: str) -> None:
    policy = a_policy()
    one, two = policy.group_name(a1, g1), policy.group_name(a2, g2)
    assert len(one) <= 63
    assert one[-1] != "-"
    assert (one == two) == ((a1, g1) == (a2, g2))


def test_long_groups_that_differ_only_at_the_end_stay_apart() -> None:
    policy = a_policy()
    names = {policy.group_name(SPOKE, "x" * 62 + end) for end in "abc"}
    assert len(names) == 3


@given(st.from_regex(r"[a-z0-9]+([._/-][a-z0-9]+)*", fullmatch=True).filter(lambda r: len(r) <= 256))
def test_every_repository_leaves_room_for_the_digest(repository: str) -> None:
    name = a_policy().repository_name(SPOKE, SPOKE, repository)
    text = f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/{name}@{DIGEST}"
    assert len(text) <= 255
    assert name.startswith(f"registry-replicator/{SPOKE}/")
    assert ImageReference.parse(text).repository == name


def test_aws_owned_registries_are_those_of_one_region() -> None:
    # Deep Learning Containers; XGBoost in us-east-2 (AWS's own sample event)
    assert {"763104351884", "257758044811"} <= aws_owned_registries("us-east-2")
    assert "257758044811" not in aws_owned_registries("eu-west-1")
    assert "763104351884" not in aws_owned_registries("cn-north-1")
    assert aws_owned_registries("no-where-1") == frozenset()


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("aws_owned_registries.txt", r"[0-9]{{12}}"),
        ("aws_owned_buckets.txt", r"(jumpstart(-private)?-cache|sagemaker-sd-models)-prod-{region}"),
    ],
)
def test_the_lists_have_whole_names_for_each_region_once(file: str, pattern: str) -> None:
    lines = files("replicator").joinpath(file).read_text(encoding="utf-8").splitlines()
    listed = [line.split() for line in lines if not line.startswith("#")]
    assert len({region for region, *_ in listed}) == len(listed) == 46
    for region, *names in listed:
        assert any(partition.regions.fullmatch(region) for partition in partitions()), region
        assert all(re.fullmatch(pattern.format(region=region), name) for name in names), region


# Of sagemaker-core 2.27.0; SDK 2.257 does not have them.
@pytest.mark.parametrize("region", ["me-west-1", "sa-west-1", "eu-isoe-west-1"])
def test_regions_that_only_the_newest_sdk_knows_are_listed(region: str) -> None:
    assert len(aws_owned_registries(region)) >= 1
    assert len(aws_owned_buckets(region)) == 2


def test_the_first_approval_status_is_the_operators_choice_but_for_a_rejection() -> None:
    pending, mirrored = a_policy(), a_policy(hub_approval_status="Mirrored")
    assert pending.first_approval_status("Approved") == "PendingManualApproval"
    assert pending.first_approval_status("Rejected") == "Rejected"
    assert mirrored.first_approval_status("Approved") == "Approved"
