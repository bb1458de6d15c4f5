"""Deploys the shipped templates into the local AWS, as ``sam deploy`` does into the real one.

Code is zipped and put into a bucket of the account, the SAM transform is done by SAM's own translator, and
CloudFormation (moto's, over HTTP) makes the resources. What moto's CloudFormation leaves out is done
afterwards by `local.resources`, with ordinary API calls; what is still missing is in `Stack.missing`.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local import resources
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.server import LocalAws


RULES: tuple[Rule, ...] = (
    Rule(
        "cloudformation-definition-substitutions",
        "CloudFormation replaces ${name} in the definition of a state machine by DefinitionSubstitutions, and leaves "
        "the context object of ASL ($$) alone.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-stepfunctions-statemachine.html",
    ),
    Rule(
        "cloudformation-archive-pattern",
        "The EventPattern of an archive is an object in a template and a text in the API of EventBridge.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-archive.html",
    ),
    Rule(
        "cloudformation-sam-transform",
        "CloudFormation makes a template with the SAM transform into plain resources before it creates them.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/what-is-sam.html",
    ),
)


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Parameters
    ----------
    outputs
        Values by name.
    resources
        Physical ids by logical id.
    missing
        What the template asks for and the local AWS does not have, as ``LogicalId (type)``.
    """

    name: str
    account: str
    outputs: dict[str, str]
    resources: dict[str, str]
    missing: tuple[str, ...]


class DeployError(Exception):
    """A stack that could not be made, with CloudFormation's reason."""


def deploy(
    aws: LocalAws,
    account: str,
    template: Path,
    parameters: Mapping[str, str] | None = None,
    stack_name: str = "registry-replicator",
) -> Stack:
    """Create a stack, or update it when there is one of that name.

    Parameters
    ----------
    template
        From the source tree (layers then rely on the interpreter's own packages), or the ``template.yaml`` in
        what ``sam build`` made.
    parameters
        Those that differ from the template's defaults; lists as one text with commas.
    """
    source = copy.deepcopy(_source(template.read_text(encoding="utf-8")))
    values = {**_defaults(source), **(parameters or {})}
    _package(aws, account, template.parent, source)
    translated = _translated(aws, account, source, values)
    cloudformation = aws.client("cloudformation", account)
    known = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]
    request = {
        "StackName": stack_name,
        "TemplateURL": _upload(aws, account, json.dumps(translated).encode(), "template"),
        "Parameters": known,
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    _apply(cloudformation, request)
    status = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    if status["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployError(f"{stack_name} in {account}: {status['StackStatus']}")
    missing = resources.complete(aws, account, stack_name, translated)
    return _described(aws, account, stack_name, missing)


def _apply(cloudformation: Any, request: dict[str, Any]) -> None:
    """Create or update a stack. One that cannot be created is rolled back, as the real one is."""
    name = request["StackName"]
    is_there = _is_there(cloudformation, name)
    try:
        (cloudformation.update_stack if is_there else cloudformation.create_stack)(**request)
    except ClientError as error:
        if not is_there:
            cloudformation.delete_stack(StackName=name)
        raise DeployError(f"{name}: {error.response['Error']['Message']}") from error


def _is_there(cloudformation: Any, name: str) -> bool:
    try:
        cloudformation.describe_stacks(StackName=name)
    except ClientError:
        return False
    return True


@lru_cache(maxsize=4)
def _source(text: str) -> dict[str, Any]:
    """Read a template, once for all accounts that get it."""
    source: dict[str, Any] = yaml_parse(text)
    return source


def delete(aws: LocalAws, account: str, stack_name: str = "registry-replicator") -> None:
    """Delete a stack and what it made, whatever its DeletionPolicy says."""
    aws.client("cloudformation", account).delete_stack(StackName=stack_name)


def _described(aws: LocalAws, account: str, name: str, missing: tuple[str, ...]) -> Stack:
    cloudformation = aws.client("cloudformation", account)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    found = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return Stack(
        name=name,
        account=account,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        resources={
            r["LogicalResourceId"]: r["PhysicalResourceId"] for r in found if r.get("PhysicalResourceId")
        },
        missing=missing,
    )


def _defaults(template: dict[str, Any]) -> dict[str, str]:
    declared = template.get("Parameters", {})
    return {name: str(body["Default"]) for name, body in declared.items() if "Default" in body}


def _translated(
    aws: LocalAws, account: str, source: dict[str, Any], values: dict[str, str]
) -> dict[str, Any]:
    template = source
    if "Transform" in source:
        session = aws.session(account)
        translator = Translator({}, Parser(), boto_session=session)
        template = translator.translate(source, dict(values))
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            _substitute(resource["Properties"])
        if resource["Type"] == "AWS::Events::Archive" and "EventPattern" in resource["Properties"]:
            # an object in CloudFormation, a text in the API; moto takes only the latter
            pattern = resource["Properties"]["EventPattern"]
            resource["Properties"]["EventPattern"] = json.dumps(pattern)
    return template


def _substitute(properties: dict[str, Any]) -> None:
    """Do for a state machine what CloudFormation does with ``DefinitionSubstitutions``.

    By Fn::Join: moto's Fn::Sub takes the context object's ``$$`` for an escaped ``$``.
    """
    definition = properties["DefinitionString"]
    text = "\n".join(definition["Fn::Join"][1]) if isinstance(definition, dict) else definition
    values = properties.pop("DefinitionSubstitutions", {})
    # Joined, not Fn::Sub: moto's would take "$$", by which ASL names the context object, for one "$".
    parts = re.split(r"\$\{(\w+)\}", text)
    known = [values.get(part, f"${{{part}}}") if i % 2 else part for i, part in enumerate(parts)]
    properties["DefinitionString"] = {"Fn::Join": ["", known]}


def _package(aws: LocalAws, account: str, folder: Path, template: dict[str, Any]) -> None:
    """Put the code that a template names by folders into a bucket, as ``sam package`` does."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        kind = resource["Type"]
        if kind == "AWS::Serverless::Function":
            properties["CodeUri"] = _upload(
                aws, account, _zipped(folder / properties["CodeUri"]), "code", s3=True
            )
        elif kind == "AWS::Serverless::LayerVersion":
            content = folder / properties["ContentUri"]
            # What sam build made lies in "python" already; sources get there by their BuildMethod.
            prefix = "" if (content / "python").is_dir() else "python/"
            properties["ContentUri"] = _upload(aws, account, _zipped(content, prefix), "layer", s3=True)
        elif kind == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            definition = (folder / properties.pop("DefinitionUri")).read_text(encoding="utf-8")
            properties["Definition"] = yaml_parse(definition)


def _zipped(folder: Path, prefix: str = "") -> bytes:
    """Zip a folder, the same bytes for the same content."""
    if not folder.is_dir():
        raise DeployError(f"{folder} is not a folder: the template names it as code")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = prefix + path.relative_to(folder).as_posix()
                opened.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), path.read_bytes())
    return archive.getvalue()


def _upload(aws: LocalAws, account: str, content: bytes, kind: str, *, s3: bool = False) -> str:
    """Put content into the account's deployment bucket; give its https, or its s3, address."""
    client = aws.client("s3", account)
    bucket = f"local-deploy-{account}-{aws.region}"
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:
        where = {"LocationConstraint": aws.region}
        more = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": where}
        client.create_bucket(Bucket=bucket, **more)
    key = f"{kind}/{hashlib.sha256(content).hexdigest()}"
    client.put_object(Bucket=bucket, Key=key, Body=content)
    return f"s3://{bucket}/{key}" if s3 else f"https://{bucket}.s3.{aws.region}.amazonaws.com/{key}"
