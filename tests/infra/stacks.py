"""The two templates as CloudFormation would make them: translated, with every function in them worked out.

SAM's own translator makes the hub's template plain CloudFormation, offline. What is left of intrinsic
functions is evaluated here for given parameters, so that tests compare names and ARNs, not expressions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HUB, SPOKE, SECOND_SPOKE, REGION = "999999999999", "111111111111", "222222222222", "eu-west-1"
_NOTHING = object()

# What Ref and GetAtt give for the types that the templates use; the fields are the resource's properties.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
_REFS = {
    "AWS::Events::EventBus": "{Name}",
    "AWS::DynamoDB::Table": "{TableName}",
    "AWS::IAM::Role": "{RoleName}",
    "AWS::KMS::Key": "key-of-{logical}",
    "AWS::Lambda::Function": "{FunctionName}",
    "AWS::Lambda::LayerVersion": "arn:aws:lambda:{region}:{account}:layer:{LayerName}:1",
    "AWS::Logs::LogGroup": "{LogGroupName}",
    "AWS::S3::Bucket": "{BucketName}",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:{account}:{TopicName}",
    "AWS::SQS::Queue": "https://sqs.{region}.amazonaws.com/{account}/{QueueName}",
    "AWS::StepFunctions::StateMachine": "arn:aws:states:{region}:{account}:stateMachine:{StateMachineName}",
}
_ARNS = {
    "AWS::Events::EventBus": "arn:aws:events:{region}:{account}:event-bus/{Name}",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{TableName}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role{Path}{RoleName}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/key-of-{logical}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{FunctionName}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{LogGroupName}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{BucketName}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{QueueName}",
}


@dataclass(frozen=True)
class Stack:
    """A template with values for its parameters, in one account."""

    template: dict[str, Any]
    account: str
    given: dict[str, str] = field(default_factory=dict)
    region: str = REGION

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Every resource that these parameters make, by logical id, worked out."""
        made = self.template["Resources"].items()
        return {
            name: self._value(body)
            for name, body in made
            if "Condition" not in body or self._condition(body["Condition"])
        }

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Value of each output, worked out."""
        return {name: self._value(body["Value"]) for name, body in self.template["Outputs"].items()}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties of the resources of a type, by logical id."""
        return {name: its["Properties"] for name, its in self.resources.items() if its["Type"] == kind}

    def arn(self, logical: str) -> str:
        """Give the ARN of a resource."""
        return str(self._attribute(logical, "Arn"))

    def _value(self, node: Any) -> Any:
        if isinstance(node, dict):
            if len(node) == 1:
                ((key, value),) = node.items()
                if key == "Ref" or key.startswith("Fn::"):
                    return self._function(key, value)
            pairs = ((key, self._value(value)) for key, value in node.items())
            return {key: value for key, value in pairs if value is not _NOTHING}
        if isinstance(node, list):
            return [value for value in map(self._value, node) if value is not _NOTHING]
        return node

    def _function(self, name: str, value: Any) -> Any:
        match name:
            case "Ref":
                return self._ref(value)
            case "Fn::GetAtt":
                logical, attribute = value.split(".", 1) if isinstance(value, str) else value
                return self._attribute(logical, attribute)
            case "Fn::Sub":
                return self._sub(value)
            case "Fn::Join":
                return value[0].join(self._value(value[1]))
            case "Fn::Split":
                return self._value(value[1]).split(value[0])
            case "Fn::If":
                return self._value(value[1] if self._condition(value[0]) else value[2])
        raise AssertionError(f"{name} is not known here")

    def _condition(self, node: Any) -> bool:
        if isinstance(node, str):
            return self._condition(self.template["Conditions"][node])
        ((name, value),) = node.items()
        match name:
            case "Condition":
                return self._condition(value)
            case "Fn::Equals":
                return bool(self._value(value[0]) == self._value(value[1]))
            case "Fn::Not":
                return not self._condition(value[0])
            case "Fn::And":
                return all(map(self._condition, value))
            case "Fn::Or":
                return any(map(self._condition, value))
        raise AssertionError(f"{name} is not known here")

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::NoValue": _NOTHING,
        }
        if name in pseudo:
            return pseudo[name]
        if parameter := self.template["Parameters"].get(name):
            value = self.given.get(name, parameter.get("Default"))
            assert value is not None, f"{name} needs a value"
            return str(value).split(",") if parameter["Type"] == "CommaDelimitedList" else str(value)
        return self._named(_REFS, name)

    def _attribute(self, logical: str, attribute: str) -> Any:
        if attribute == "Arn":
            return self._named(_ARNS, logical)
        properties = self.template["Resources"][logical]["Properties"]
        aliases = {"Name": ["Name", "StateMachineName"], "QueueName": ["QueueName"]}[attribute]
        return next(self._value(properties[alias]) for alias in aliases if alias in properties)

    def _named(self, patterns: dict[str, str], logical: str) -> str:
        body = self.template["Resources"][logical]
        if body["Type"] == "AWS::Events::Rule":
            properties = self._value(body["Properties"])
            path = "/".join(filter(None, (properties.get("EventBusName"), properties["Name"])))
            return f"arn:aws:events:{self.region}:{self.account}:rule/{path}"
        wanted = re.findall(r"\{([A-Z]\w+)\}", patterns[body["Type"]])
        names = {key: self._value(body["Properties"][key]) for key in wanted}
        return patterns[body["Type"]].format(
            **names, logical=logical, region=self.region, account=self.account
        )

    def _sub(self, value: Any) -> str:
        text, extra = (value, {}) if isinstance(value, str) else value

        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in extra:
                return str(self._value(extra[name]))
            if "." in name:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", one, text)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with its members as lists."""

    where: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principal: Any
    condition: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, where: str, body: dict[str, Any]) -> Statement:
        """Read a statement as it stands in a policy."""
        return cls(
            where,
            body["Effect"],
            tuple(_listed(body.get("Action", []))),
            tuple(_listed(body.get("Resource", []))),
            body.get("Principal"),
            body.get("Condition", {}),
        )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def statements(document: dict[str, Any], where: str = "") -> list[Statement]:
    """Read the statements of a policy document."""
    return [Statement.read(where, body) for body in document["Statement"]]


def granted(stack: Stack) -> Iterator[Statement]:
    """Give each statement that a role of the stack is given, with the role's name less the common part."""
    for logical, role in stack.of_type("AWS::IAM::Role").items():
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        for policy in stack.of_type("AWS::IAM::Policy").values():
            if role["RoleName"] in policy["Roles"]:
                documents.append(policy["PolicyDocument"])
        assert not role.get("ManagedPolicyArns"), f"{logical} takes permissions from elsewhere"
        for document in documents:
            yield from statements(document, role["RoleName"].partition(f"{stack.region}-")[2])


def source(name: str) -> dict[str, Any]:
    """Read a template as it is written."""
    return dict(yaml_parse((ROOT / name).read_text(encoding="utf-8")))


def definition(name: str = "replicate") -> dict[str, Any]:
    """Read a state machine's definition as it is written."""
    text = (ROOT / "statemachine" / f"{name}.asl.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def hub_template() -> dict[str, Any]:
    """Translate the hub's template. Code is given a place in S3, which sam deploy would do."""
    template = source("template.yaml")
    for body in template["Resources"].values():
        properties = body["Properties"]
        match body["Type"]:
            case "AWS::Serverless::Function":
                properties["CodeUri"] = "s3://code/function"
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = "s3://code/layer"
            case "AWS::Serverless::StateMachine":
                del properties["DefinitionUri"]
                properties["Definition"] = definition()
    return dict(
        Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION)).translate(template, {})
    )


def hub(**parameters: str) -> Stack:
    """Give the hub's stack with two spokes, unless other parameters are given."""
    given = {"SpokeAccounts": f"{SPOKE},{SECOND_SPOKE}", **parameters}
    return Stack(hub_template(), HUB, given)


def spoke(**parameters: str) -> Stack:
    """Give a spoke's stack."""
    return Stack(source("spoke.yaml"), SPOKE, {"HubAccount": HUB, **parameters})
