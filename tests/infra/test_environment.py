"""Each function is told exactly what its settings ask for, and they accept it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator import settings
from replicator.errors import PermanentError
from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack

# For every function and no model: how loud it is, and where the AWS is when it is not the real one.
FOR_THE_LIBRARIES = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "AWS_ENDPOINT_URL"}
NAMES = [
    "intake",
    "plan",
    "copy_artifact",
    "copy_image",
    "register",
    "record_failure",
    "sweep",
    "redrive",
    "reconcile",
]


def model(name: str) -> type[settings.Settings]:
    """Give the model of functions/<name>."""
    words = "".join(word.capitalize() for word in name.split("_"))
    return getattr(settings, f"{words}Settings")  # type: ignore[no-any-return]


def function(stack: Stack, name: str) -> dict[str, Any]:
    """Give the function whose code is functions/<name>."""
    ends = f"-{name.replace('_', '-')}"
    found = stack.of_type("AWS::Lambda::Function").values()
    (its,) = [each for each in found if each["FunctionName"].endswith(ends)]
    return its


def test_every_function_is_looked_at_here(hub: Stack) -> None:
    assert len(hub.of_type("AWS::Lambda::Function")) == len(NAMES)


def test_code_lies_where_the_name_says() -> None:
    resources = stacks.source("template.yaml")["Resources"].values()
    found = {
        its["Properties"]["CodeUri"]: its["Properties"]["FunctionName"]["Fn::Sub"]
        for its in resources
        if its["Type"] == "AWS::Serverless::Function"
    }
    assert found == {f"functions/{name}/": f"${{Namespace}}-{name.replace('_', '-')}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_the_fields_of_the_settings(hub: Stack, name: str) -> None:
    variables = set(function(hub, name)["Environment"]["Variables"])
    assert variables - FOR_THE_LIBRARIES == {field.upper() for field in model(name).model_fields}
    assert variables >= FOR_THE_LIBRARIES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"SpokeAccounts": "", "OrganizationId": "o-exampleorgid"},
        {"ImageAccounts": "333333333333,444444444444", "HubApprovalStatus": "Mirrored"},
    ],
    ids=["defaults", "organization", "everything"],
)
def test_settings_accept_the_variables(name: str, parameters: dict[str, str]) -> None:
    variables = function(stacks.hub(**parameters), name)["Environment"]["Variables"]
    read = model(name).from_environment(variables)
    assert read.hub_account == stacks.HUB


def test_settings_read_the_accounts_as_the_template_writes_them() -> None:
    hub = stacks.hub(ImageAccounts="333333333333,444444444444")
    intake = settings.IntakeSettings.from_environment(function(hub, "intake")["Environment"]["Variables"])
    assert intake.spoke_accounts == {stacks.SPOKE, stacks.SECOND_SPOKE}
    plan = settings.PlanSettings.from_environment(function(hub, "plan")["Environment"]["Variables"])
    assert plan.image_accounts == {"333333333333", "444444444444"}


def test_a_missing_variable_is_named(hub: Stack) -> None:
    variables = dict(function(hub, "redrive")["Environment"]["Variables"])
    del variables["INTAKE_QUEUE_URL"]
    with pytest.raises(PermanentError, match="INTAKE_QUEUE_URL"):
        settings.RedriveSettings.from_environment(variables)


def test_locations_are_those_of_the_resources(hub: Stack) -> None:
    values: dict[str, str] = {}
    for name in NAMES:
        for key, value in function(hub, name)["Environment"]["Variables"].items():
            assert values.setdefault(key, value) == value, f"{key} differs between functions"
    assert values["HUB_BUCKET"] == hub.outputs["BucketName"]
    assert values["HUB_KEY_ARN"] == hub.outputs["KeyArn"]
    assert values["COPY_ROLE_ARN"] == hub.outputs["S3CopyRoleArn"]
    assert values["STATE_MACHINE_ARN"] == hub.outputs["StateMachineArn"]
    assert values["DEAD_LETTER_QUEUE_URL"] == hub.outputs["DeadLetterQueueUrl"]
    assert values["INTAKE_QUEUE_URL"] == hub.outputs["IntakeQueueUrl"]
    assert values["LEDGER_TABLE"] == hub.outputs["LedgerTable"]
    assert values["SPOKES_TABLE"] == hub.of_type("AWS::DynamoDB::Table")["Spokes"]["TableName"]
    assert hub.outputs["BusArn"].endswith(f":event-bus/{values['EVENT_BUS_NAME']}")
    assert values["AWS_ENDPOINT_URL"] == ""


def test_the_bus_is_named_by_its_resource() -> None:
    """To put an event on a bus that is not there is no error of EventBridge: the event is lost without a word."""
    template = stacks.source("template.yaml")
    assert template["Resources"]["Bus"]["Type"] == "AWS::Events::EventBus"
    named = [
        its["Properties"]["Environment"]["Variables"]["EVENT_BUS_NAME"]
        for its in template["Resources"].values()
        if "EVENT_BUS_NAME" in its["Properties"].get("Environment", {}).get("Variables", {})
    ]
    assert len(named) == 3
    assert all(each in ({"Ref": "Bus"}, {"Fn::GetAtt": ["Bus", "Name"]}) for each in named), named
