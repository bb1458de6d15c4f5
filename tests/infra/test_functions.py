"""What every function shares: the runtime, one architecture, the layer, a log of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_layer_and_functions_share_the_architecture(architecture: str) -> None:
    hub = stacks.hub(Architecture=architecture)
    for function in hub.of_type("AWS::Lambda::Function").values():
        assert function["Architectures"] == [architecture]
    (layer,) = hub.of_type("AWS::Lambda::LayerVersion").values()
    assert layer["CompatibleArchitectures"] == [architecture]
    written = stacks.source("template.yaml")["Resources"]["CoreLayer"]
    # Without BuildArchitecture SAM builds for the machine that it runs on, with no more than a warning.
    assert written["Metadata"] == {"BuildMethod": "python3.13", "BuildArchitecture": {"Ref": "Architecture"}}


def test_one_runtime_everywhere(hub: Stack) -> None:
    python = (stacks.ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert {its["Runtime"] for its in hub.of_type("AWS::Lambda::Function").values()} == {f"python{python}"}
    (layer,) = hub.of_type("AWS::Lambda::LayerVersion").values()
    assert layer["CompatibleRuntimes"] == [f"python{python}"]


def test_every_function_has_the_layer_a_log_and_a_trace(hub: Stack) -> None:
    logs = {its["LogGroupName"] for its in hub.of_type("AWS::Logs::LogGroup").values()}
    for function in hub.of_type("AWS::Lambda::Function").values():
        assert function["Handler"] == "handler.handler"
        assert len(function["Layers"]) == 1
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{function['FunctionName']}"
        assert function["LoggingConfig"]["LogGroup"] in logs


def test_logs_end(hub: Stack) -> None:
    assert {its["RetentionInDays"] for its in hub.of_type("AWS::Logs::LogGroup").values()} == {"90"}


def test_copies_get_all_the_time_there_is(hub: Stack) -> None:
    functions = hub.of_type("AWS::Lambda::Function")
    for name in ("CopyArtifactFunction", "CopyImageFunction"):
        assert functions[name]["Timeout"] == 900
        assert functions[name]["MemorySize"] >= 1769, "less is less than one processor"


def parameters() -> list[tuple[str, str, dict[str, Any]]]:
    """Give each parameter of both templates."""
    return [
        (template, name, body)
        for template in ("template.yaml", "spoke.yaml")
        for name, body in stacks.source(template)["Parameters"].items()
    ]


@pytest.mark.parametrize(("template", "name", "body"), parameters())
def test_parameters_are_described_bounded_and_grouped(template: str, name: str, body: dict[str, Any]) -> None:
    assert body["Description"].endswith(".")
    assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(body)
    assert ("AllowedPattern" in body) == ("ConstraintDescription" in body)
    groups = stacks.source(template)["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [each for group in groups for each in group["Parameters"]].count(name) == 1
    if "Default" in body and "AllowedPattern" in body:
        assert re.search(body["AllowedPattern"], body["Default"])


@pytest.mark.parametrize(
    ("template", "name", "good", "bad"),
    [
        ("template.yaml", "Namespace", ["a", "ml-2"], ["", "Ml", "2ml", "ml-", "m--l", "m_l", "ml/x"]),
        ("template.yaml", "SpokeAccounts", ["", "111111111111"], ["1111", "arn:aws:iam::111111111111:root"]),
        ("template.yaml", "OrganizationId", ["", "o-exampleorgid"], ["exampleorgid", "o-short", "r-abcd"]),
        ("template.yaml", "GroupNameTemplate",
         ["{account}-{group}", "hub-{group}-of-{account}", "{alias}-{group}", "{group}-{alias}"],
         ["", "{group}", "{account}", "{account}_{group}", "-{account}-{group}", "{account}-{group}-",
          "{account}-{group}-{group}", "{account}{group}", "{alias}{group}", "{team}-{group}"]),
        ("template.yaml", "SpokeAliases", ["", "111111111111=risk"],
            ["risk", "111111111111=a-b", "1=risk", "111111111111=222222222222"]),
        ("template.yaml", "ReplicatedStatuses", ["Approved"], ["", "approved", "All"]),
        ("template.yaml", "IncludeGroups", ["", "churn", "churn-"], ["churn_", "a" * 64]),
        ("template.yaml", "ExcludeTag", ["", "replicate=no", "k="], ["k", "=v"]),
        ("template.yaml", "ConsumerAccounts", ["", "111111111111"], ["1111"]),
        ("template.yaml", "AlarmEmail", ["", "ml@example.com"], ["ml", "ml@", "m l@example.com"]),
        ("template.yaml", "AlarmTopicArn", ["", "arn:aws:sns:eu-west-1:111111111111:t"], ["t", "ml@example.com"]),
        ("spoke.yaml", "HubAccount", ["999999999999"], ["", "99999999999", "9999999999999"]),
        ("spoke.yaml", "ForwardedStatuses", ["Rejected", "Approved,Rejected,PendingManualApproval"],
         ["", "approved", "Approved, Rejected", "Approved,"]),
        ("spoke.yaml", "GroupPrefix", ["", "churn", "churn-"], ["-churn", "churn_", "a" * 64]),
        ("spoke.yaml", "ArtifactBuckets", ["", "one", "one,two.x"], ["One", "one, two", "s3://one", "one/x", "one,"]),
        ("spoke.yaml", "KmsKeyArns", ["", "arn:aws:kms:eu-west-1:111111111111:key/a-b"],
         ["a-b", "arn:aws:kms:eu-west-1:111111111111:alias/x"]),
        ("spoke.yaml", "ImageAccounts", ["", "333333333333,444444444444"], ["3", "333333333333,"]),
        ("spoke.yaml", "PolicyBucket", ["", "default", "mine"], ["one,two", "s3://mine", "*"]),
    ],
)  # fmt: skip
def test_patterns_tell_good_from_bad(template: str, name: str, good: list[str], bad: list[str]) -> None:
    parameter = stacks.source(template)["Parameters"][name]
    longest = parameter.get("MaxLength", 4096)
    for text in good:
        assert re.fullmatch(parameter["AllowedPattern"], text), text
        assert len(text) <= longest
    for text in bad:
        assert not re.fullmatch(parameter["AllowedPattern"], text), text


def test_intake_may_send_to_its_own_queue_as_often_as_it_has_to(hub: Stack) -> None:
    """An event that is put off 16 times would be dropped as a loop; nobody else sends to what invokes it."""
    functions = hub.of_type("AWS::Lambda::Function")
    allowed = {name for name, its in functions.items() if its.get("RecursiveLoop") == "Allow"}
    assert allowed == {"IntakeFunction"}
