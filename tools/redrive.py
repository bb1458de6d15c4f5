"""Lists dead letters of a deployed hub, sends them back to its intake queue, or deletes one: ``make redrive``.

It calls the hub's redrive function, again and again until there is nothing more to do, with the credentials
and region that the AWS CLI would use. It may be stopped at any time: nothing is lost, and a further call goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from replicator.visible import visible

Answer = dict[str, Any]


def plain_console() -> Console:
    """Give a console that takes nothing in a text for a style, a link or a symbol of its own."""
    return Console(markup=False, emoji=False, highlight=False)


def parser() -> argparse.ArgumentParser:
    """Give the parser of the command line."""
    made = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    made.add_argument("--namespace", default="registry-replicator", help="Namespace of the hub's stack")
    made.add_argument("--code", help="only letters with this error code")
    made.add_argument("--account", help="only letters of this spoke")
    made.add_argument("--source-arn", help="only letters of this model package")
    made.add_argument("--message-id", help="only this letter")
    made.add_argument("--limit", type=int, help="send back at most so many")
    made.add_argument("--step", type=int, default=2_000, help="letters sent back by one call of the function")
    made.add_argument("--show", type=int, default=100, help="print at most so many letters")
    made.add_argument("--dry-run", action="store_true", help="list, and send nothing")
    made.add_argument("--delete", action="store_true", help="delete the letter of --message-id for good")
    return made


def invoke(function: str, request: dict[str, Any]) -> Answer:
    """Call the function and give its answer. Raises `RuntimeError` with what it said when it failed."""
    client = boto3.Session().client(
        "lambda", config=Config(read_timeout=330, retries={"total_max_attempts": 1})
    )
    answer = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise RuntimeError(f"{function} failed: {payload.get('errorMessage', payload)}")
    return dict(payload)


class Redriven:
    """What all calls together have done."""

    def __init__(self) -> None:
        self.redriven = self.deleted = 0
        self.codes: Counter[str] = Counter()
        self.letters: list[Answer] = []
        self.unlisted = 0
        self.last: Answer = {}

    def add(self, answer: Answer) -> None:
        """Take in the answer of one call."""
        self.redriven += answer["redriven"]
        self.deleted += answer["deleted"]
        self.codes.update({code: total["redriven"] for code, total in answer["codes"].items()})
        # What stays is found by every call; only the last one's counts.
        gone = [letter for letter in self.letters if letter["redriven"] or letter["deleted"]]
        self.letters = gone + answer["letters"]
        self.unlisted = answer["unlisted"]
        self.last = answer

    @property
    def stuck(self) -> bool:
        """Whether there is more, but the last call came no further."""
        return self.last["more"] and not self.last["redriven"]


def run(arguments: argparse.Namespace, console: Console) -> Redriven:
    """Call the function until nothing is left to do, and tell the progress."""
    done = Redriven()
    names = ("code", "account", "source_arn", "message_id", "dry_run", "delete")
    request = {name: value for name in names if (value := getattr(arguments, name)) not in (None, False)}
    while True:
        step = min(arguments.step, arguments.limit - done.redriven) if arguments.limit else arguments.step
        done.add(invoke(f"{arguments.namespace}-redrive", {**request, "limit": step}))
        if not done.last["more"] or done.stuck or done.redriven == arguments.limit:
            return done
        request["began"] = done.last["began"]
        console.print(f"{done.redriven} sent back so far")


def show(done: Redriven, console: Console, most: int) -> None:
    """Print the letters and what became of them, and the totals by code."""
    table = Table(show_lines=True)
    table.add_column("Age", no_wrap=True)
    table.add_column("Code and model package", overflow="fold")
    table.add_column("Reason", overflow="fold")
    table.add_column("", no_wrap=True)  # the message id can be copied
    for letter in done.letters[:most]:
        about = letter["source_arn"] or letter["body"] or ""
        fate = "sent back" if letter["redriven"] else "deleted" if letter["deleted"] else "kept"
        refused = (
            f"\nThe intake queue did not take it: {visible(letter['refused'])}" if letter["refused"] else ""
        )
        table.add_row(
            str(timedelta(seconds=letter["age_seconds"])),
            f"{visible(letter['code'])}\n{visible(about)}".rstrip(),
            f"{visible(letter['reason'])}{refused}",
            f"{fate}\n{letter['message_id']}",
        )
    if done.letters:
        console.print(table)
    unshown = max(0, len(done.letters) - most) + done.unlisted
    if unshown:
        console.print(f"... and {unshown} more, which are in the totals.")
    for code in sorted(done.codes | done.last["codes"]):
        total = done.last["codes"].get(code, {"found": 0, "redriven": 0})
        console.print(
            f"{visible(code)}: {done.codes[code]} sent back, {total['found'] - total['redriven']} kept"
        )
    for letter in done.letters:
        if letter["deleted"]:
            console.print("The body of the deleted letter, for whoever wants it after all:")
            console.print(visible(letter["body"]), soft_wrap=True)
    print_end(done, console)


def print_end(done: Redriven, console: Console) -> None:
    """Print the last lines, which say whether anything is left to do."""
    last = done.last
    console.print(
        f"{done.redriven} sent back, {done.deleted} deleted, {last['kept']} kept in the dead-letter queue."
    )
    if last["new"]:
        console.print(f"{last['new']} of these came after the beginning: most likely they failed again.")
    if done.stuck:
        console.print("There are more than can be looked at in one go. Send back some of those above first.")


def main(words: list[str] | None = None) -> int:
    """Run the command."""
    arguments, console = parser().parse_args(words), plain_console()
    if arguments.delete and not arguments.message_id:
        print("--delete needs the --message-id of one letter; --dry-run shows it.", file=sys.stderr)
        return 2
    try:
        show(run(arguments, console), console, arguments.show)
    except (BotoCoreError, ClientError, RuntimeError) as error:
        print(
            f"Stopped: {visible(str(error))}\nNothing is lost: what was not sent back is still there.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
