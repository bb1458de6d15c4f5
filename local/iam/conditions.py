"""The Condition element of a policy. Pure.

Every condition must hold; of one key's values one is enough, or none for the negated operators. What is
not known here raises `PolicyError`: a condition that is skipped would let through what it forbids.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

import ipaddress
import operator
import re
from typing import TYPE_CHECKING, Any

from local.iam.patterns import PolicyError, lookup, matches_arn, pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.iam.patterns import Context

# The keys that the local AWS puts into a request's context, or leaves out where AWS would leave them out.
KNOWN_KEYS = frozenset(
    key.lower()
    for key in (
        "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalIsAWSService",
        "aws:PrincipalServiceName", "aws:PrincipalType", "aws:ResourceAccount", "aws:ResourceOrgID",
        "aws:RequestedRegion", "aws:SecureTransport", "aws:SourceIp", "aws:SourceArn", "aws:SourceAccount",
        "aws:SourceOrgID", "aws:TagKeys", "aws:ViaAWSService", "aws:CalledVia", "aws:userid", "aws:username",
        "s3:ResourceAccount", "s3:prefix", "s3:delimiter", "s3:max-keys", "s3:VersionId", "s3:x-amz-acl",
        "s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:x-amz-storage-class",
        "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "events:source", "events:detail-type",
        "sts:RoleSessionName", "sts:ExternalId", "sts:TransitiveTagKeys", "sts:SourceIdentity",
        "dynamodb:LeadingKeys", "sagemaker:ModelApprovalStatus", "kms:ViaService", "kms:GrantIsForAWSResource",
    )
)  # fmt: skip
KNOWN_PREFIXES = ("aws:principaltag/", "aws:requesttag/", "s3:requestobjecttag/")

_OPERATOR = re.compile(
    r"(?:(?P<quantifier>ForAnyValue|ForAllValues):)?(?P<name>[A-Za-z]+?)(?P<exists>IfExists)?"
)


def holds(block: Mapping[str, Mapping[str, Any]], context: Context, *, variables: bool) -> bool:
    """Tell whether a Condition element holds for a request. Raises `PolicyError` for what it does not know."""
    results = [
        _condition(name, key, _texts(values), context, variables)
        for name, keys in block.items()
        for key, values in keys.items()
    ]
    return all(results)


def _condition(name: str, key: str, values: list[str], context: Context, variables: bool) -> bool:
    found = _OPERATOR.fullmatch(name)
    if not found:
        raise PolicyError(f"condition operator {name!r} is not one of IAM's")
    if key.lower() not in KNOWN_KEYS and not key.lower().startswith(KNOWN_PREFIXES):
        raise PolicyError(f"condition key {key!r} is not known to the local AWS: add it to local/iam")
    actual = lookup(context, key)
    if found["name"] == "Null":
        return any((actual is None) == (value.lower() == "true") for value in values)
    negated, test = _test(found["name"])
    if actual is None:
        # A missing key fails a condition, satisfies a negated one, ...IfExists and ForAllValues.
        if found["quantifier"]:
            return found["quantifier"] == "ForAllValues" or bool(found["exists"])
        return negated or bool(found["exists"])

    def one(given: str) -> bool:
        return any(test(value, given, context, variables) for value in values) != negated

    if found["quantifier"]:
        every = (actual,) if isinstance(actual, str) else actual
        return (all if found["quantifier"] == "ForAllValues" else any)(one(given) for given in every)
    if isinstance(actual, tuple):
        raise PolicyError(f"{key} has many values: {name} needs ForAnyValue: or ForAllValues:")
    return one(actual)


def _test(name: str) -> tuple[bool, Callable[[str, str, Context, bool], bool]]:
    """Give whether the operator is negated, and how it compares (policy's value, request's value)."""
    if name in _TESTS:
        return False, _TESTS[name]
    positive = name.replace("Not", "", 1)
    if "Not" in name and positive in _NEGATABLE:
        return True, _TESTS[positive]
    raise PolicyError(f"condition operator {name!r} is not known to the local AWS: add it to local/iam")


def _text(wildcards: bool, ignore_case: bool = False) -> Callable[[str, str, Context, bool], bool]:
    def test(value: str, given: str, context: Context, variables: bool) -> bool:
        compiled = pattern(value, context, variables=variables, wildcards=wildcards, ignore_case=ignore_case)
        return compiled is not None and compiled.fullmatch(given) is not None

    return test


def _arn(value: str, given: str, context: Context, variables: bool) -> bool:
    return matches_arn(value, given, context, variables=variables)


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str, Context, bool], bool]:
    def test(value: str, given: str, _context: Context, _variables: bool) -> bool:
        try:
            return compare(float(given), float(value))
        except ValueError:
            return False

    return test


def _bool(value: str, given: str, _context: Context, _variables: bool) -> bool:
    return value.lower() == given.lower()


def _address(value: str, given: str, _context: Context, _variables: bool) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(value, strict=False)


_TESTS: dict[str, Callable[[str, str, Context, bool], bool]] = {
    "StringEquals": _text(wildcards=False),
    "StringEqualsIgnoreCase": _text(wildcards=False, ignore_case=True),
    "StringLike": _text(wildcards=True),
    "ArnEquals": _arn,  # The documentation: ArnEquals and ArnLike behave identically.
    "ArnLike": _arn,
    "Bool": _bool,
    "IpAddress": _address,
    "NumericEquals": _number(operator.eq),
    "NumericLessThan": _number(operator.lt),
    "NumericLessThanEquals": _number(operator.le),
    "NumericGreaterThan": _number(operator.gt),
    "NumericGreaterThanEquals": _number(operator.ge),
}
_NEGATABLE = {
    "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress", "NumericEquals",
}  # fmt: skip


def _texts(values: Any) -> list[str]:
    """Give the values as texts: JSON and YAML write booleans and numbers without quotes too."""
    listed = values if isinstance(values, list) else [values]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in listed]
