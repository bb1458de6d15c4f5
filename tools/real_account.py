"""Tries on two real accounts what is known from documentation only: ``python -m tools.real_account``.

For whoever has a hub and a spoke account. It makes small throwaway resources whose names begin with
``rr-check-``, asks before it starts, and deletes all of them at the end. It needs no deployed stack and
touches none. ``docs/real-account.md`` has the claims; ``--dry-run`` lists what would be tried, without a call.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.real_checks import images, machines, messages, registry, spelling, storage
from tools.real_checks.checks import Check, Outcome, Result, attempt
from tools.real_checks.world import Side, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHECKS: tuple[Check, ...] = (
    *registry.CHECKS,
    *storage.CHECKS,
    *images.CHECKS,
    *messages.CHECKS,
    *spelling.CHECKS,
    *machines.CHECKS,
)
PREFIX = "rr-check-"
_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line. Both profiles have to be named: there is no default account."""
    parser = argparse.ArgumentParser(prog="python -m tools.real_account", description=__doc__)
    parser.add_argument("--hub-profile", required=True, help="profile of the AWS CLI for the hub's account")
    parser.add_argument("--spoke-profile", required=True, help="the same for a spoke's, another account")
    parser.add_argument("--region", help="in place of the profiles'; it has to be one for both")
    parser.add_argument(
        "--organization", help="id of the organization, for the check of a policy that names it"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this check; may be given several times"
    )
    parser.add_argument("--dry-run", action="store_true", help="list what would be tried, and call nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before it starts")
    return parser.parse_args(arguments)


def chosen(names: Iterable[str] | None) -> list[Check]:
    """Give the checks of these names, or all. Raises `ValueError` for a name that is none."""
    if names is None:
        return list(CHECKS)
    by_name = {one.name: one for one in CHECKS}
    if unknown := [name for name in names if name not in by_name]:
        raise ValueError(f"no such check: {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in names]


def side(name: str, profile: str, region: str | None) -> Side:
    """Find out whose account a profile is. Raises `ValueError` for one without a region."""
    session = boto3.Session(profile_name=profile, region_name=region)
    if session.region_name is None:
        raise ValueError(f"the profile {profile} has no region: give --region")
    sts = session.client("sts")
    elsewhere = not (urlsplit(sts.meta.endpoint_url).hostname or "").endswith(_AWS)
    return Side(
        name, session, sts.get_caller_identity()["Account"], sts.meta.endpoint_url if elsewhere else None
    )


def compare(hub: Side, spoke: Side) -> None:
    """Raise `ValueError` unless they are two accounts in one region."""
    if hub.account == spoke.account:
        raise ValueError(f"both profiles are of account {hub.account}: the claims are about two accounts")
    if hub.region != spoke.region:
        raise ValueError(
            f"the hub's profile is in {hub.region}, the spoke's in {spoke.region}: give --region"
        )


def run(checks: Iterable[Check], world: World, console: Console) -> list[Result]:
    """Try the claims one after the other, and delete what was made."""
    results = []
    with world:
        for one in checks:
            result = attempt(one, world)
            console.print(f"{result.outcome:8}{one.name}", highlight=False, markup=False)
            results.append(result)
        console.print("deleting what was made ...")
    return results


def show(results: Sequence[Result], left: Sequence[str], console: Console) -> int:
    """Print the table, and give the exit code: 1 when a claim is wrong or something is left behind."""
    table = Table("", "Check", "Claim", "Seen", "Relied on by", show_lines=True)
    colours = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.SKIPPED: "yellow"}
    for result in results:
        one, colour = result.check, colours[result.outcome]
        table.add_row(f"[{colour}]{result.outcome}[/]", one.name, one.claim, _plain(result.seen), one.relies)
    console.print(table)
    for what in left:
        console.print(f"[red]not deleted:[/] {_plain(what)}")
    counts = ", ".join(f"{sum(r.outcome is o for r in results)} {o}" for o in Outcome)
    console.print(counts)
    return int(bool(left) or any(result.outcome is Outcome.FAIL for result in results))


def _plain(text: str) -> str:
    return escape(text)


def show_plan(checks: Iterable[Check], console: Console) -> None:
    """Print what would be tried."""
    table = Table("Check", "Claim", "Source", "Makes", show_lines=True)
    for one in checks:
        table.add_row(one.name, one.claim, one.source, one.makes or "-")
    console.print(table)
    console.print(
        f"Shared by the checks, under names that begin with {PREFIX}: a bucket in each account; in the spoke an ECR "
        "repository with an image of a few hundred bytes and a model package group. Everything is deleted at the end."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0 when no claim is wrong, 1 when one is, 2 when nothing was tried."""
    options, console = read_arguments(arguments), Console()
    try:
        checks = chosen(options.only)
        if options.dry_run:
            show_plan(checks, console)
            return 0
        hub = side("hub", options.hub_profile, options.region)
        spoke = side("spoke", options.spoke_profile, options.region)
        compare(hub, spoke)
    except (ValueError, BotoCoreError, ClientError) as error:
        print(f"Nothing was tried: {error}", file=sys.stderr)
        return 2
    world = World(hub, spoke, f"{PREFIX}{uuid.uuid4().hex[:10]}", organization=options.organization)
    console.print(f"{len(checks)} checks in hub {hub.account} and spoke {spoke.account}, {hub.region}.")
    console.print(f"They make, and delete, resources whose names begin with {world.prefix}.")
    if not options.yes and console.input("Go on? (yes) ").strip() != "yes":
        print("Nothing was tried.", file=sys.stderr)
        return 2
    results = run(checks, world, console)
    return show(results, world.left, console)


if __name__ == "__main__":
    sys.exit(main())
