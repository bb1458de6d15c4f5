"""Sends dead letters of a deployed hub back to its intake queue, and shows them: ``make redrive``.

It calls the hub's redrive function with the credentials and region that the AWS CLI would use.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    parser.add_argument("--namespace", default="registry-replicator", help="Namespace of the hub's stack")
    parser.add_argument("--code", help="only messages with this error code")
    parser.add_argument("--account", help="only messages of this spoke")
    parser.add_argument("--source-arn", help="only messages of this model package")
    parser.add_argument("--limit", type=int, default=10_000, help="send back at most so many")
    parser.add_argument("--dry-run", action="store_true", help="list, and send nothing")
    return parser.parse_args()


def invoke(function: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call the function and give its answer. Raises `RuntimeError` with what it said when it failed."""
    client = boto3.client("lambda", config=Config(read_timeout=930, retries={"total_max_attempts": 1}))
    answer = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"{function} failed: {payload.get('errorMessage', payload)}")
    return dict(payload)


def show(answer: dict[str, Any]) -> None:
    """Print the messages and what became of them."""
    table = Table(show_lines=True)
    table.add_column("Age", no_wrap=True)
    table.add_column("Code and model package", overflow="fold")
    table.add_column("Reason", overflow="fold")
    table.add_column("", no_wrap=True)
    for letter in answer["letters"]:
        table.add_row(
            str(timedelta(seconds=letter["age_seconds"])),
            f"{letter['code']}\n{letter['source_arn'] or ''}".rstrip(),
            letter["reason"],
            "sent back" if letter["redriven"] else "kept",
        )
    console = Console()
    if answer["letters"]:
        console.print(table)
    console.print(f"{answer['redriven']} sent back, {answer['kept']} kept in the dead-letter queue.")


def main() -> int:
    """Run the command."""
    arguments = read_arguments()
    request = {
        name: value
        for name in ("code", "account", "source_arn", "limit", "dry_run")
        if (value := getattr(arguments, name)) is not None
    }
    try:
        show(invoke(f"{arguments.namespace}-redrive", request))
    except (BotoCoreError, ClientError, RuntimeError) as error:
        print(f"Nothing was sent back that is not shown above: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
