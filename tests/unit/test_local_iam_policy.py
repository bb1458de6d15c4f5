"""The evaluator against examples and rules of the IAM User Guide; each class names its page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.iam.conditions import holds
from local.iam.directory import load
from local.iam.operations import accesses
from local.iam.patterns import matches_arn
from local.iam.policy import Access, Policies, PolicyError, Principal, evaluate
from local.iam.requests import Call

HUB, SPOKE, OTHER = "111111111111", "222222222222", "333333333333"
ROLE = Principal(HUB, f"arn:aws:iam::{HUB}:role/copy", f"arn:aws:sts::{HUB}:assumed-role/copy/run")
OBJECT = "arn:aws:s3:::spoke-bucket/models/a.tar.gz"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def allow(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "s3:GetObject", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def to(principal: Any) -> dict[str, Any]:
    return {"Principal": principal}


def allowed(
    identity: list[dict[str, Any]] | None = None,
    resource: dict[str, Any] | None = None,
    *,
    principal: Principal = ROLE,
    account: str | None = HUB,
    action: str = "s3:GetObject",
    on: str = OBJECT,
    context: dict[str, str | tuple[str, ...]] | None = None,
    limits: tuple[dict[str, Any], ...] = (),
    trust: bool = False,
) -> bool:
    policies = Policies(tuple(identity or ()), resource, limits, resource_must_allow=trust)
    return evaluate(principal, Access(action, on, account, context or {}), policies).allowed


class TestEvaluationLogic:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html"""

    def test_nothing_allows_by_default(self) -> None:
        assert not allowed()

    def test_the_reason_is_the_sentence_of_the_documentation(self) -> None:
        decision = evaluate(ROLE, Access("s3:GetObject", OBJECT, HUB), Policies())
        assert decision.reason == "because no identity-based policy allows the s3:GetObject action"

    def test_an_identity_policy_suffices_in_its_account(self) -> None:
        assert allowed([policy(allow())])

    @pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ROLE.arn}, {"AWS": [ROLE.session_arn]}])
    def test_a_resource_policy_for_the_role_suffices_in_its_account(self, principal: Any) -> None:
        assert allowed(resource=policy(allow(**to(principal))))

    @pytest.mark.parametrize("principal", [HUB, f"arn:aws:iam::{HUB}:root"])
    def test_a_resource_policy_for_the_account_only_delegates(self, principal: str) -> None:
        grant = policy(allow(**to({"AWS": principal})))
        assert not allowed(resource=grant)
        assert allowed([policy(allow())], grant)

    @pytest.mark.parametrize("statement", [deny(), deny("s3:*"), deny("*"), deny(resource=OBJECT)])
    def test_an_explicit_deny_wins(self, statement: dict[str, Any]) -> None:
        assert not allowed([policy(allow(), statement)])

    def test_a_deny_of_the_resource_policy_wins_too(self) -> None:
        assert not allowed([policy(allow())], policy(deny(**to("*"))))
        assert allowed([policy(allow())], policy(deny(**to({"AWS": OTHER}))))

    @pytest.mark.parametrize("principal", [HUB, ROLE.arn, "*"])
    def test_across_accounts_both_must_allow(self, principal: str) -> None:
        grant = policy(allow(**to({"AWS": principal})))
        assert not allowed([policy(allow())], account=SPOKE)
        assert not allowed(resource=grant, account=SPOKE)
        assert allowed([policy(allow())], grant, account=SPOKE)

    def test_a_grant_to_another_account_or_role_is_none(self) -> None:
        for other in (OTHER, f"arn:aws:iam::{HUB}:role/copy2", f"arn:aws:iam::{OTHER}:role/copy"):
            assert not allowed([policy(allow())], policy(allow(**to({"AWS": other}))), account=SPOKE)

    def test_a_session_policy_limits_identity_and_role_but_not_the_very_session(self) -> None:
        nothing = (policy(allow("s3:PutObject")),)
        assert not allowed([policy(allow())], limits=nothing)
        assert not allowed(resource=policy(allow(**to({"AWS": ROLE.arn}))), limits=nothing)
        assert allowed(resource=policy(allow(**to({"AWS": ROLE.session_arn}))), limits=nothing)
        assert allowed([policy(allow())], limits=(policy(allow()),))


class TestTrust:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html"""

    def assume(self, trusted: Any, identity: bool, principal: Principal = ROLE, account: str = HUB) -> bool:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted}
        role = f"arn:aws:iam::{account}:role/target"
        return allowed(
            [policy(allow("sts:AssumeRole"))] if identity else [],
            policy(statement),
            principal=principal,
            account=account,
            action="sts:AssumeRole",
            on=role,
            trust=True,
        )

    def test_the_identity_alone_never_suffices(self) -> None:
        assert not self.assume({"AWS": OTHER}, identity=True)
        assert not self.assume({"Service": "lambda.amazonaws.com"}, identity=True)

    def test_trusting_the_account_leaves_it_to_identity_policies(self) -> None:
        assert not self.assume({"AWS": HUB}, identity=False)
        assert self.assume({"AWS": HUB}, identity=True)

    def test_trusting_the_role_suffices_in_one_account_only(self) -> None:
        assert self.assume({"AWS": ROLE.arn}, identity=False)
        assert not self.assume({"AWS": ROLE.arn}, identity=False, account=SPOKE)
        assert self.assume({"AWS": ROLE.arn}, identity=True, account=SPOKE)

    def test_a_service_has_to_be_named(self) -> None:
        service = Principal(service="lambda.amazonaws.com")
        assert self.assume({"Service": "lambda.amazonaws.com"}, False, service)
        assert self.assume({"Service": ["states.amazonaws.com", "lambda.amazonaws.com"]}, False, service)
        assert not self.assume({"Service": "states.amazonaws.com"}, False, service)
        assert not self.assume({"AWS": HUB}, False, service)


class TestElements:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html"""

    @pytest.mark.parametrize(
        ("actions", "fits"),
        [
            ("s3:GetObject", True), ("s3:getobject", True), ("S3:Get*", True), ("s3:*Object", True), ("*", True),
            ("s3:GetObjec?", True), (["s3:PutObject", "s3:GetObject"], True), ("s3:GetObjectVersion", False),
            ("s3:Get", False), ("sqs:*", False), ([], False),
        ],
    )  # fmt: skip
    def test_action(self, actions: Any, fits: bool) -> None:
        assert allowed([policy(allow(actions))]) is fits
        inverted = {"Effect": "Allow", "NotAction": actions, "Resource": "*"}
        assert allowed([policy(inverted)]) is not fits

    @pytest.mark.parametrize(
        ("resources", "fits"),
        [
            ("*", True), (OBJECT, True), ("arn:aws:s3:::spoke-bucket/*", True), ("arn:aws:s3:::*", True),
            ("arn:aws:s3:::spoke-*/models/?.tar.gz", True), ("arn:*:s3:::spoke-bucket/*", True),
            ("arn:aws:s3:::spoke-bucket", False), ("arn:aws:s3:::spoke-bucket/models", False),
            ("arn:aws:s3:::Spoke-bucket/*", False), (["arn:aws:s3:::x", OBJECT], True),
        ],
    )  # fmt: skip
    def test_resource(self, resources: Any, fits: bool) -> None:
        assert allowed([policy(allow(resource=resources))]) is fits
        inverted = {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": resources}
        assert allowed([policy(inverted)]) is not fits

    def test_a_variable_is_replaced_after_the_fifth_colon_only(self) -> None:
        queue = "arn:aws:sqs:eu-west-1:111111111111:intake"
        context = {"aws:PrincipalAccount": "111111111111", "aws:RequestedRegion": "eu-west-1"}
        context["aws:PrincipalTag/queue"] = "intake"
        for resource, matches in (
            ("arn:aws:sqs:eu-west-1:111111111111:${aws:PrincipalTag/queue}", True),
            ("arn:aws:sqs:eu-west-1:${aws:PrincipalAccount}:intake", False),
            ("arn:aws:sqs:${aws:RequestedRegion}:111111111111:intake", False),
        ):
            assert matches_arn(resource, queue, context, variables=True) is matches, resource

    def test_a_wildcard_stays_in_its_part_of_the_arn(self) -> None:
        queue = "arn:aws:sqs:eu-west-1:111111111111:intake"
        assert matches_arn("arn:aws:sqs:*:111111111111:*", queue, {}, variables=True)
        assert not matches_arn("arn:aws:sqs:*:intake:*", queue, {}, variables=True)
        assert not matches_arn("arn:aws:sqs:*:222222222222:*", queue, {}, variables=True)

    @pytest.mark.parametrize(
        "statement",
        [
            {"Effect": "Allow", "Action": "s3:*"},
            {"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*", "Resource": "*"},
            {"Effect": "Permit", "Action": "s3:*", "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principals": "*"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": "bucket"},
            {"Effect": "Allow", "Action": "GetObject", "Resource": "*"},
        ],
    )
    def test_what_is_no_statement_is_not_guessed_at(self, statement: dict[str, Any]) -> None:
        with pytest.raises(PolicyError):
            allowed([policy(statement)])

    @pytest.mark.parametrize(
        "principal",
        [
            {"NotPrincipal": {"AWS": OTHER}},
            {"Principal": {"CanonicalUser": "79a5"}},
            {"Principal": {"Federated": "accounts.google.com"}},
            {"Principal": {"AWS": f"arn:aws:iam::{HUB}:role/*"}},
            {},
        ],
    )
    def test_principals_that_are_not_evaluated_are_refused(self, principal: dict[str, Any]) -> None:
        with pytest.raises(PolicyError):
            allowed([policy(allow())], policy({**deny(), **principal}))


class TestVariables:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""

    own = allow(resource="arn:aws:s3:::hub/models/${aws:PrincipalTag/spoke}/*")

    def test_a_variable_is_replaced(self) -> None:
        on = f"arn:aws:s3:::hub/models/{SPOKE}/g/1/x"
        assert allowed([policy(self.own)], on=on, context={"aws:PrincipalTag/spoke": SPOKE})
        assert not allowed([policy(self.own)], on=on, context={"aws:PrincipalTag/spoke": OTHER})

    def test_without_its_key_nothing_matches(self) -> None:
        assert not allowed([policy(self.own)], on=f"arn:aws:s3:::hub/models/{SPOKE}/g/1/x")
        assert not allowed([policy(self.own)], on="arn:aws:s3:::hub/models/${aws:PrincipalTag/spoke}/x")
        assert not allowed([policy(self.own)], on="arn:aws:s3:::hub/models//g/1/x")

    def test_what_is_put_in_holds_no_wildcards(self) -> None:
        on = f"arn:aws:s3:::hub/models/{SPOKE}/g/1/x"
        assert not allowed([policy(self.own)], on=on, context={"aws:PrincipalTag/spoke": "*"})

    def test_defaults_and_literal_wildcards(self) -> None:
        context: dict[str, str | tuple[str, ...]] = {}
        with_default = "arn:aws:s3:::hub/${aws:PrincipalTag/team, 'nobody'}/*"
        assert matches_arn(with_default, "arn:aws:s3:::hub/nobody/x", context, variables=True)
        assert matches_arn("arn:aws:s3:::hub/${*}", "arn:aws:s3:::hub/*", context, variables=True)
        assert not matches_arn("arn:aws:s3:::hub/${*}", "arn:aws:s3:::hub/x", context, variables=True)

    def test_older_policies_have_none(self) -> None:
        old = policy(self.own, version="2008-10-17")
        on = f"arn:aws:s3:::hub/models/{SPOKE}/g/1/x"
        assert not allowed([old], on=on, context={"aws:PrincipalTag/spoke": SPOKE})


class TestConditions:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""

    context: dict[str, str | tuple[str, ...]] = {
        "aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/hub-plan",
        "s3:ResourceAccount": SPOKE,
        "aws:PrincipalTag/spoke": SPOKE,
        "aws:SecureTransport": "true",
        "aws:SourceIp": "127.0.0.1",
        "s3:max-keys": "10",
        "aws:TagKeys": ("spoke", "team"),
    }

    @pytest.mark.parametrize(
        ("operator", "key", "values", "expected"),
        [
            ("StringEquals", "s3:ResourceAccount", SPOKE, True),
            ("StringEquals", "S3:resourceaccount", [OTHER, SPOKE], True),
            ("StringEquals", "s3:ResourceAccount", "2*", False),
            ("StringEquals", "s3:ResourceAccount", "${aws:PrincipalTag/spoke}", True),
            ("StringEquals", "s3:ResourceAccount", "${aws:PrincipalTag/other}", False),
            ("StringNotEquals", "s3:ResourceAccount", [OTHER, SPOKE], False),
            ("StringNotEquals", "s3:ResourceAccount", [OTHER, HUB], True),
            ("StringEqualsIgnoreCase", "aws:PrincipalArn", f"ARN:aws:iam::{HUB}:role/hub-plan", True),
            ("StringNotEqualsIgnoreCase", "aws:SecureTransport", "TRUE", False),
            ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/hub-?lan", True),
            ("StringNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/hub-*", False),
            ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/hub-*", True),
            ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:hub-plan", False),
            ("ArnNotLike", "aws:PrincipalArn", f"arn:aws:iam::{HUB}:role/other", True),
            ("Bool", "aws:SecureTransport", "true", True),
            ("Bool", "aws:SecureTransport", False, False),
            ("NumericLessThanEquals", "s3:max-keys", "10", True),
            ("NumericLessThan", "s3:max-keys", 10, False),
            ("NumericNotEquals", "s3:max-keys", "11", True),
            ("IpAddress", "aws:SourceIp", "127.0.0.0/8", True),
            ("NotIpAddress", "aws:SourceIp", "127.0.0.0/8", False),
            ("Null", "s3:prefix", "true", True),
            ("Null", "s3:ResourceAccount", "true", False),
            # A key that is missing: https://.../reference_policies_elements_condition_operators.html (Important)
            ("StringEquals", "s3:prefix", "x", False),
            ("StringNotEquals", "s3:prefix", "x", True),
            ("StringEqualsIfExists", "s3:prefix", "x", True),
            ("StringEqualsIfExists", "s3:ResourceAccount", OTHER, False),
            ("Bool", "aws:ViaAWSService", "false", False),
            # https://.../reference_policies_condition-single-vs-multi-valued-context-keys.html
            ("ForAllValues:StringEquals", "aws:TagKeys", ["spoke", "team", "x"], True),
            ("ForAllValues:StringEquals", "aws:TagKeys", "spoke", False),
            ("ForAllValues:StringEquals", "sts:TransitiveTagKeys", "spoke", True),
            ("ForAnyValue:StringEquals", "aws:TagKeys", "spoke", True),
            ("ForAnyValue:StringLike", "aws:TagKeys", "x*", False),
            ("ForAnyValue:StringEquals", "sts:TransitiveTagKeys", "spoke", False),
            ("ForAnyValue:StringNotEquals", "aws:TagKeys", "spoke", True),
            ("ForAllValues:StringNotEquals", "aws:TagKeys", "spoke", False),
        ],
    )
    def test_operator(self, operator: str, key: str, values: Any, expected: bool) -> None:
        assert holds({operator: {key: values}}, self.context, variables=True) is expected

    def test_all_conditions_must_hold(self) -> None:
        both = {"StringEquals": {"s3:ResourceAccount": SPOKE, "aws:SecureTransport": "false"}}
        assert not holds(both, self.context, variables=True)
        two = {"StringEquals": {"s3:ResourceAccount": SPOKE}, "Bool": {"aws:SecureTransport": "false"}}
        assert not holds(two, self.context, variables=True)

    @pytest.mark.parametrize(
        "block",
        [
            {"StringMatches": {"s3:prefix": "x"}},
            {"DateLessThan": {"aws:SecureTransport": "x"}},
            {"BoolNot": {"aws:SecureTransport": "x"}},
            {"ForSomeValues:StringEquals": {"aws:TagKeys": "x"}},
            {"StringEquals": {"s3:Prefixx": "x"}},
            {"StringEquals": {"aws:TagKeys": "spoke"}},
            # what is unknown is found even where another condition fails already
            {"StringEquals": {"s3:prefix": "x"}, "DateEquals": {"aws:CurrentTime": "x"}},
        ],
    )
    def test_what_is_unknown_is_not_skipped(self, block: dict[str, Any]) -> None:
        with pytest.raises(PolicyError):
            holds(block, self.context, variables=True)


def test_what_cloudformation_left_out_is_not_there() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html (NoValue)"""
    left = {"Version": "2012-10-17", "Statement": [None, {**allow(), "Condition": None}]}
    for given in (left, json.dumps(left), json.dumps(left).encode()):
        assert load(given) == policy(allow())
    with pytest.raises(PolicyError):
        allowed([{"Version": "2012-10-17", "Statement": ["Allow"]}])


class _Buckets:
    def owner(self, bucket: str) -> str | None:
        return {"hub": HUB, "spoke": SPOKE}.get(bucket)

    def has_tags(self, bucket: str, key: str, version: str | None) -> bool:
        return key == "tagged"


class TestOperations:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/"""

    @pytest.mark.parametrize(
        ("operation", "params", "expected"),
        [
            ("HeadObject", {"Bucket": "spoke", "Key": "a"}, ["GetObject spoke/a"]),
            ("GetObject", {"Bucket": "spoke", "Key": "a", "versionId": "1"}, ["GetObjectVersion spoke/a"]),
            ("ListObjectsV2", {"Bucket": "spoke", "prefix": "x"}, ["ListBucket spoke"]),
            ("ListMultipartUploads", {"Bucket": "hub"}, ["ListBucketMultipartUploads hub"]),
            ("ListParts", {"Bucket": "hub", "Key": "a"}, ["ListMultipartUploadParts hub/a"]),
            ("CreateMultipartUpload", {"Bucket": "hub", "Key": "a"}, ["PutObject hub/a"]),
            (
                "CreateMultipartUpload", {"Bucket": "hub", "Key": "a", "x-amz-tagging": "k=v"},
                ["PutObject hub/a", "PutObjectTagging hub/a"],
            ),
            ("AbortMultipartUpload", {"Bucket": "hub", "Key": "a"}, ["AbortMultipartUpload hub/a"]),
            (
                "UploadPartCopy", {"Bucket": "hub", "Key": "a", "x-amz-copy-source": "/spoke/tagged"},
                ["GetObject spoke/tagged", "PutObject hub/a"],
            ),
            (
                "CopyObject", {"Bucket": "hub", "Key": "a", "x-amz-copy-source": "spoke/b%20c?versionId=7"},
                ["GetObjectVersion spoke/b c", "PutObject hub/a"],
            ),
            (
                "CopyObject", {"Bucket": "hub", "Key": "a", "x-amz-copy-source": "spoke/tagged"},
                [
                    "GetObject spoke/tagged", "GetObjectTagging spoke/tagged",
                    "PutObject hub/a", "PutObjectTagging hub/a",
                ],
            ),
            (
                "DeleteObjects",
                {"Bucket": "hub", "body": b"<Delete><Object><Key>a</Key></Object><Object><Key>b</Key>"
                    b"<VersionId>1</VersionId></Object></Delete>"},
                ["DeleteObject hub/a", "DeleteObjectVersion hub/b"],
            ),
            ("GetObject", {"Bucket": "nowhere", "Key": "a"}, []),
        ],
    )  # fmt: skip
    def test_s3(self, operation: str, params: dict[str, Any], expected: list[str]) -> None:
        needed, known = accesses(Call("s3", operation, "eu-west-1", "key", params), HUB, _Buckets())
        assert known
        found = [f"{a.action.removeprefix('s3:')} {a.resource.removeprefix('arn:aws:s3:::')}" for a in needed]
        assert found == expected
        assert all(a.account == (SPOKE if ":::spoke" in a.resource else HUB) for a in needed)
        assert all(a.context["s3:ResourceAccount"] == a.account for a in needed)

    @pytest.mark.parametrize(
        ("service", "operation", "params", "expected"),
        [
            ("sqs", "SendMessageBatch", {"QueueUrl": f"http://127.0.0.1:1/{HUB}/in"},
                [f"sqs:SendMessage sqs:{HUB}:in"]),
            ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"},
                [f"dynamodb:Query dynamodb:{HUB}:table/t/index/i"]),
            (
                "dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "t"}}]},
                [f"dynamodb:PutItem dynamodb:{HUB}:table/t"],
            ),
            ("states", "DescribeExecution", {"executionArn": "arn:aws:states:eu-west-1:1:execution:m:e"},
                ["states:DescribeExecution states:1:execution:m:e"]),
            ("events", "PutEvents", {"Entries": [{"EventBusName": "hub"}]},
                [f"events:PutEvents events:{HUB}:event-bus/hub"]),
            ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "g"}, [
                f"sagemaker:CreateModelPackage sagemaker:{HUB}:model-package/g/1",
                f"sagemaker:CreateModelPackage sagemaker:{HUB}:model-package-group/g",
            ]),
            ("ecr", "BatchGetImage", {"registryId": SPOKE, "repositoryName": "r"},
                [f"ecr:BatchGetImage ecr:{SPOKE}:repository/r"]),
            ("lambda", "Invoke", {"FunctionName": "f"}, [f"lambda:InvokeFunction lambda:{HUB}:function:f"]),
            ("sagemaker", "ListModelPackages", {"ModelPackageGroupName": "g"},
                [f"sagemaker:ListModelPackages sagemaker:{HUB}:model-package-group/g"]),
            ("sagemaker", "ListModelPackageGroups", {}, ["sagemaker:ListModelPackageGroups *"]),
            ("sts", "GetCallerIdentity", {}, []),
        ],
    )  # fmt: skip
    def test_others(self, service: str, operation: str, params: dict[str, Any], expected: list[str]) -> None:
        needed, known = accesses(Call(service, operation, "eu-west-1", "key", params), HUB, _Buckets())
        assert known
        short = [a.resource.replace("arn:aws:", "").replace(":eu-west-1:", ":") for a in needed]
        assert [f"{a.action} {name}" for a, name in zip(needed, short, strict=True)] == expected

    def test_assume_role_with_tags(self) -> None:
        params = {
            "RoleArn": f"arn:aws:iam::{SPOKE}:role/read",
            "RoleSessionName": "s",
            "Tags.member.1.Key": "spoke",
            "Tags.member.1.Value": SPOKE,
        }
        needed, _ = accesses(Call("sts", "AssumeRole", "eu-west-1", "key", params), HUB, _Buckets())
        assert [a.action for a in needed] == ["sts:AssumeRole", "sts:TagSession"]
        assert needed[0].context["aws:RequestTag/spoke"] == SPOKE
        assert needed[0].context["aws:TagKeys"] == ("spoke",)
        assert needed[0].account == SPOKE

    @pytest.mark.parametrize("service", ["sqs", "iam", "logs", "s3"])
    def test_an_unknown_operation_is_not_known(self, service: str) -> None:
        params = {"Bucket": "hub"} if service == "s3" else {}
        assert not accesses(Call(service, "TurnIntoGold", "eu-west-1", "key", params), HUB, _Buckets())[1]
