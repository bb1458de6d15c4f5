"""Runs the real ``sam local invoke``, with what the deployed stack gives each function."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.artifacts.sam_build import ROOT, SAM, sam_environment

if TYPE_CHECKING:
    from pathlib import Path

    from local.server import LocalAws
    from tests.artifacts.sam_build import Build

INVOKE_SECONDS = 120


class FunctionError(Exception):
    """The function raised; Lambda answers with the name of the class and the message."""

    def __init__(self, kind: str, message: str, log: str) -> None:
        super().__init__(f"{kind}: {message}\n{log}")
        self.kind = kind
        self.message = message

    @property
    def caught(self) -> dict[str, str]:
        """What Step Functions makes of it for a Catch: ``Error``, and Lambda's whole answer as ``Cause``."""
        return {
            "Error": self.kind,
            "Cause": json.dumps({"errorMessage": self.message, "errorType": self.kind}),
        }


@dataclass(frozen=True)
class SamLocal:
    """The functions of one deployed stack, each invoked in a container of its own.

    Parameters
    ----------
    aws
        Where the stack is deployed, listening where containers reach it.
    address
        By which containers reach it.
    hub, namespace
        The account of the stack, and what the names of its functions begin with.
    build
        What is mounted into the containers.
    folder
        For the files that ``sam`` is given.
    """

    aws: LocalAws
    address: str
    hub: str
    namespace: str
    build: Build
    folder: Path

    def invoke(self, name: str, event: Any) -> Any:
        """Invoke functions/<name> with an event, and give its answer. Raises `FunctionError`."""
        event_file = self.folder / f"{name}.event.json"
        event_file.write_text(json.dumps(event))
        return self.invoke_file(name, event_file)

    def invoke_file(self, name: str, event_file: Path) -> Any:
        """Do as `invoke` does, with an event from a file."""
        function = self.build.function(name)
        deployed = f"{self.namespace}-{name.replace('_', '-')}"
        configuration = self.aws.client("lambda", self.hub).get_function_configuration(FunctionName=deployed)
        variables = self.folder / f"{name}.variables.json"
        declared = configuration["Environment"]["Variables"]
        endpoint = {"AWS_ENDPOINT_URL": self.aws.endpoint_at(self.address)}
        variables.write_text(json.dumps({function: {**declared, **endpoint}}))
        done = subprocess.run(
            [
                SAM, "local", "invoke", function, "--template-file", self.build.folder / "template.yaml",
                "--event", event_file, "--env-vars", variables, "--skip-pull-image",
                "--parameter-overrides", f"Architecture={self.build.architecture}",
                "--layer-cache-basedir", self.folder,
            ],
            cwd=ROOT, env=self._environment(configuration["Role"]), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=INVOKE_SECONDS,
        )  # fmt: skip
        return _answer(name, done, self._seen_by_local_aws())

    def _seen_by_local_aws(self) -> str:
        """Say what the local AWS refused or failed at, for whoever reads why a function failed."""
        denials = [f"denied by the local IAM: {denial.message}" for denial in self.aws.authority.denials[-3:]]
        faults = self.aws.root / "faults.log"
        return "\n".join([*denials, faults.read_text()[-3000:] if faults.exists() else ""])

    def _environment(self, role: str) -> dict[str, str]:
        """Give ``sam`` the credentials of the function's role, which it hands on to the container.

        ``sam`` itself asks STS for the account, so it is shown the local AWS too.
        """
        kept = {key: value for key, value in sam_environment().items() if not key.startswith("AWS_")}
        return {**kept, **self.aws.environment(self.hub, role)}


def _answer(name: str, done: subprocess.CompletedProcess[str], seen: str) -> Any:
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 or not lines:
        raise AssertionError(
            f"sam local invoke of {name} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}"
        )
    answer = json.loads(lines[-1])
    if isinstance(answer, dict) and {"errorType", "errorMessage"} <= answer.keys():
        raise FunctionError(answer["errorType"], answer["errorMessage"], f"{done.stderr}\n{seen}")
    return answer
