"""Compares the spokes with the hub and has mirrored what is missing: ``make reconcile``, ``make backfill``.

A dry run calls the hub's function, round after round, and prints all that it would do. Else the hub's state
machine is started and followed; Ctrl-C leaves it running, and ``--follow`` attaches to it again. With the
credentials and region that the AWS CLI would use.

It ends with 0 when all is done, 1 when something failed, 3 when a spoke or a version could not be read, 4 when
a busy spoke was left out, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from replicator.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_stepfunctions.client import SFNClient

DONE, FAILED, UNREADABLE, LEFT_OUT, INTERRUPTED = 0, 1, 3, 4, 130
_POLL_SECONDS = 3.0


def parser() -> argparse.ArgumentParser:
    """Give the parser of the command line."""
    made = argparse.ArgumentParser(prog="make reconcile", description=__doc__)
    made.add_argument("mode", choices=["reconcile", "backfill"], help="backfill: only what has no mirror")
    made.add_argument("--namespace", default="registry-replicator", help="Namespace of the hub's stack")
    made.add_argument("--account", action="append", default=[], help="only this spoke; may be repeated")
    made.add_argument("--group", help="only this model package group")
    made.add_argument("--dry-run", action="store_true", help="say what would be done, and send nothing")
    made.add_argument(
        "--follow", action="store_true", help="start nothing; follow the one that was started last"
    )
    return made


def dry_run(session: boto3.Session, function: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call the function until it is done, and print what it would do; give the last answer.

    Raises `RuntimeError` with what the function said when it failed.
    """
    client = session.client("lambda", config=Config(read_timeout=330, retries={"total_max_attempts": 1}))
    while True:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
        said: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(f"{function} failed: {said.get('errorMessage', said)}")
        for finding in said["findings"]:
            print(line(finding))
        if said["done"]:
            return said
        print(progress(said["totals"]), file=sys.stderr)
        request = said["next"]
        time.sleep(said["wait"])


def follow(states: SFNClient, execution: str) -> dict[str, Any]:
    """Print how far an execution is until it ends; give its output.

    Raises `RuntimeError` when it ends otherwise than well.
    """
    last, shown = 0, ""
    while True:
        status = states.describe_execution(executionArn=execution)
        for event, answer in answers(states, execution, last):
            last = event
            for finding in answer["findings"]:
                print(line(finding))
            if (now := progress(answer["totals"])) != shown:
                shown = now
                print(f"{datetime.now().astimezone():%H:%M:%S}  {now}", file=sys.stderr)
        if status["status"] == "SUCCEEDED":
            output: dict[str, Any] = json.loads(status["output"])
            return output
        if status["status"] != "RUNNING":
            raise RuntimeError(
                f"{execution} ended {status['status']}: {status.get('cause', 'no cause given')}. What was asked for "
                "by then is under way; start it again for the rest."
            )
        time.sleep(_POLL_SECONDS)


def answers(states: SFNClient, execution: str, after: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give what the function answered since an event of the execution's history, the oldest first."""
    found = []
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution, reverseOrder=True)
    for event in (event for page in pages for event in page["events"]):
        if event["id"] <= after:
            break
        output = event.get("lambdaFunctionSucceededEventDetails", {}).get("output")
        if output:
            found.append((event["id"], json.loads(output)))
    yield from reversed(found)


def line(finding: dict[str, Any]) -> str:
    """Say what was found."""
    sent = " -> a run is asked for" if finding["enqueued"] else ""
    return visible(
        f"{finding['kind']:<14} {finding['source_arn'] or finding['account']}  {finding['detail']}{sent}"
    )


def progress(totals: dict[str, int]) -> str:
    """Say in one line how far it is."""
    return (
        f"{totals['listed']} versions listed, {totals['compared']} mirrors compared: {totals['missing']} missing, "
        f"{totals['newer']} newer, {totals['gone']} gone, {totals['lapsing']} failed long ago, "
        f"{totals['drifted']} drifted, {totals['mirrors_deleted']} mirrors deleted; {totals['enqueued']} enqueued"
    )


def close(totals: dict[str, int], unreadable: list[str]) -> int:
    """Print the end, and give the exit code."""
    print(progress(totals) + ".")
    if unreadable:
        print(
            f"Not read: {visible(', '.join(unreadable))}. Deploy spoke.yaml there; the lines above say why."
        )
    if totals["unreadable_versions"]:
        print(f"{totals['unreadable_versions']} versions could not be read; the lines above say why.")
    if totals["left_out"]:
        print(
            f"{totals['left_out']} were left out: their spoke has as many runs as it may have. Run this again later."
        )
    if unreadable or totals["unreadable_versions"]:
        return UNREADABLE
    return LEFT_OUT if totals["left_out"] else DONE


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked, and give the exit code."""
    session, name = boto3.Session(), f"{arguments.namespace}-reconcile"
    request = {"mode": arguments.mode, "accounts": arguments.account, "group": arguments.group}
    if arguments.dry_run:
        said = dry_run(session, name, {**request, "dry_run": True})
        print("Nothing was sent.")
        return close(said["totals"], said["next"]["cursor"]["unreadable"])
    states, machine = session.client("stepfunctions"), machine_arn(session, name)
    if arguments.follow:
        started = states.list_executions(stateMachineArn=machine, maxResults=1)["executions"]
        if not started:
            raise RuntimeError(f"{name} was never started")
        execution = started[0]["executionArn"]
    else:
        execution = states.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]
    print(f"{execution}\nCtrl-C leaves it running; --follow attaches to it again.", file=sys.stderr)
    output = follow(states, execution)
    return close(output["totals"], output["unreadable"])


def machine_arn(session: boto3.Session, name: str) -> str:
    """Give the ARN of a state machine of the caller's account and region."""
    caller = session.client("sts").get_caller_identity()
    partition = caller["Arn"].split(":")[1]
    return f"arn:{partition}:states:{session.region_name}:{caller['Account']}:stateMachine:{name}"


def main(words: list[str] | None = None) -> int:
    """Run the command."""
    arguments = parser().parse_args(words)
    try:
        return run(arguments)
    except KeyboardInterrupt:
        if not arguments.dry_run:
            print(
                f"It goes on in the cloud. make {arguments.mode} ARGS=--follow shows it again.",
                file=sys.stderr,
            )
        return INTERRUPTED
    except (BotoCoreError, ClientError, RuntimeError) as error:
        print(visible(str(error)), file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
