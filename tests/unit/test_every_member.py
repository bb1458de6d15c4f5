"""No member of a source is lost without a word, whatever legal package it is in.

Run longer with ``HYPOTHESIS_EXAMPLES=2000 make test ARGS=tests/unit/test_every_member.py``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, event, given, settings

from replicator import provenance
from replicator.constraints import violations
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import SourceVersion
from replicator.mirror import creation, desired
from replicator.plan import plan, uncopied_members
from replicator.steps import Action, ArtifactCopy, CopyResult
from tests.unit import shapes
from tests.unit.accounting import leaves, locations_in, unaccounted
from tests.unit.packages import ARN, HUB, a_policy
from tests.unit.places import copied, places

if TYPE_CHECKING:
    from replicator.steps import ImageCopy

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "40"))
OFTEN = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 40,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
POLICY = a_policy(image_accounts=frozenset({shapes.FRIEND}))
REFUSALS = {
    ErrorCode.MARKETPLACE_PRODUCT,
    ErrorCode.RESTRICTED_STORAGE,
    ErrorCode.PRIVATE_HUB_CONTENT,
    ErrorCode.SOURCE_ALGORITHM_ONLY,
    ErrorCode.EULA_NOT_ACCEPTED,
    ErrorCode.INVALID_LOCATION,
}
KEY = f"arn:aws:kms:us-east-1:{HUB}:key/k"


@OFTEN
@given(shapes.descriptions(str(ARN), "churn", 3))
def test_every_member_is_carried_over_or_accounted_for(source: dict[str, Any]) -> None:
    try:
        found, refused = plan(ARN, source, None, POLICY), None
    except PermanentError as error:
        found, refused = None, error
    event(refused.code if refused else "mirrored")
    if found is None or refused:
        assert refused is not None
        assert refused.code in REFUSALS
        assert str(ARN) in refused.message
        return
    assert found.action is Action.MIRROR
    check_copies(found.copies)
    locations = copied(found.copies)
    assert not uncopied_members(source, locations, POLICY)
    want = desired(source, locations, KEY)
    assert not list(unaccounted(source, want.members, want.dropped, locations))
    assert all(reason for reason in want.dropped.values())
    results = [CopyResult.model_validate(result) for result in places(found.copies)]
    check_request(source, want, results, locations)


def check_copies(copies: list[ArtifactCopy | ImageCopy]) -> None:
    assert len({copy.uri for copy in copies}) == len(copies)
    for copy in copies:
        if isinstance(copy, ArtifactCopy):
            assert not copy.uri.startswith("s3://jumpstart")
            assert (copy.type == "prefix") == copy.uri.endswith("/")
            assert copy.type != "prefix" or copy.etag is None


def check_request(source: Any, want: Any, results: list[CopyResult], locations: dict[str, str]) -> None:
    room = provenance.ENTRIES_MAX - len(want.members.get("CustomerMetadataProperties", {}))
    entries = provenance.entries(
        SourceVersion.described(ARN, source),
        POLICY.namespace,
        results,
        "s3://hub-bucket/p.json",
        datetime(2026, 1, 2, tzinfo=UTC),
        room,
    )
    calls = creation(ARN, want, "hub-group", POLICY, entries)
    request = {**calls.create, **calls.then_update}
    assert not list(unaccounted(source, request, want.dropped, locations))
    for path, value in locations_in(request):
        if path.endswith("model_artifact"):  # rewritten when it is copied for another member
            assert value not in locations
            continue
        assert shapes.BUCKET not in value, path
        assert shapes.REGISTRY not in value, path
        assert shapes.FRIEND not in value.partition("/")[0], path
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    assert "SourceUri" not in calls.create or "InferenceSpecification" not in calls.create
    longer = {new for old, new in locations.items() if len(new) > len(old)}
    at = dict(leaves(request))
    for operation, sent in (
        ("CreateModelPackage", calls.create),
        ("UpdateModelPackage", {"ModelPackageArn": str(ARN), **calls.then_update}),
    ):
        for problem in violations(shapes.input_of(operation), sent):
            # Only what a location that had to become longer brings about.
            path = problem.partition(" has ")[0]
            assert "at most" in problem, problem
            assert at.get(path) in longer or path.endswith("ModelCardContent"), problem
