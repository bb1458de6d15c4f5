"""``python -m local``: a local AWS with a hub and two spokes, to look around in with the plain ``aws`` CLI."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from local.landscape import HUB, ROOT, SPOKES, Landscape, deploy_all
from local.samples import FUNCTIONS, register_sample, write_env_vars
from local.seed import Seeded, seed
from local.server import LocalAws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.deploy import Stack

PORT = 4599

_GUIDE = """\
The local AWS listens on {endpoint} (region {region}). Everything in it is gone when it ends.
Logs of the functions: {logs}

In another terminal:

  export AWS_CONFIG_FILE={config} AWS_SHARED_CREDENTIALS_FILE=/dev/null

What waits for approval in the spokes:

{waiting}

Approve one; its mirror is there some seconds later:

  aws --profile spoke-a sagemaker update-model-package --model-approval-status Approved \\
      --model-package-arn {first}
  aws --profile hub stepfunctions list-executions --state-machine-arn {machine}
  aws --profile hub sagemaker list-model-packages --model-package-group-name {group}
  aws --profile hub sagemaker describe-model-package \\
      --model-package-name arn:aws:sagemaker:{region}:{hub}:model-package/{group}/1
  aws --profile hub s3 ls --recursive s3://{bucket}/models/
  aws --profile hub ecr describe-repositories
  aws --profile hub dynamodb scan --table-name {ledger}

The artifact of {lost_name} is missing. Approve it, and read in the dead-letter queue why there is no mirror:

  aws --profile spoke-b sagemaker update-model-package --model-approval-status Approved \\
      --model-package-arn {lost}
  aws --profile hub --endpoint-url {endpoint} sqs receive-message --queue-url {dead} \\
      --message-attribute-names All --visibility-timeout 0 --output text \\
      --query 'Messages[].MessageAttributes.[code.StringValue, reason.StringValue]'

Bring it back by deleting its delete marker, and send the event back:

  aws --profile spoke-b s3api delete-object --bucket {missing_bucket} --key {missing_key} \\
      --version-id $(aws --profile spoke-b s3api list-object-versions --bucket {missing_bucket} \\
      --prefix {missing_key} --query 'DeleteMarkers[0].VersionId' --output text)
  aws --profile hub lambda invoke --function-name {redrive} --payload '{{}}' {folder}/redriven.json
  aws --profile hub sagemaker list-model-packages --model-package-group-name {lost_group}

One function by itself, in Docker (see README.md):

  AWS_PROFILE=hub-intake sam local invoke IntakeFunction --event events/intake/approved.json \\
      --env-vars {env_vars}

{containers}Ctrl-C ends it.
"""

_ONLY_LOOPBACK = """\
Containers do not reach {host}: for that, start with make local ARGS="--host 0.0.0.0".

"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Start, deploy, seed, say how to look around, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 lets containers in (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--region", default="us-east-1", help="default: %(default)s")
    parser.add_argument("--folder", type=Path, default=ROOT / ".local", help="default: .local in the project")
    chosen = parser.parse_args(arguments)
    folder: Path = chosen.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with LocalAws(chosen.host, chosen.port, region=chosen.region, root=folder) as aws:
        print("Deploying the hub and two spokes ...", flush=True)
        landscape = deploy_all(aws)
        print("Training models and registering them in the spokes ...", flush=True)
        seeded = seed(landscape)
        register_sample(aws)
        config = write_profiles(aws, folder / "aws-config", landscape.hub)
        write_env_vars(landscape, folder / "env.json")
        print(guide(landscape, config, seeded), flush=True)
        wait_for_end()
        print("\nEnding.", flush=True)


def write_profiles(aws: LocalAws, path: Path, hub: Stack | None = None) -> Path:
    """Write a configuration file of the AWS CLI with a profile for each account and function of the hub.

    The credentials in it are those of the local AWS and mean nothing anywhere else.
    """
    lines = []
    holders = {profile: aws.credentials(account) for profile, account in {"hub": HUB, **SPOKES}.items()}
    for name in FUNCTIONS if hub else ():
        suffix = name.replace("_", "-")
        role = f"registry-replicator-{aws.region}-{suffix}"
        holders[f"hub-{suffix}"] = aws.credentials(HUB, role)
    for profile, credentials in holders.items():
        lines += [
            f"[profile {profile}]",
            f"region = {aws.region}",
            f"endpoint_url = {aws.endpoint}",
            f"aws_access_key_id = {credentials.access_key_id}",
            f"aws_secret_access_key = {credentials.secret_access_key}",
            f"aws_session_token = {credentials.session_token}",
            "cli_pager =",
            "cli_binary_format = raw-in-base64-out",
            "",
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def guide(landscape: Landscape, config: Path, seeded: Seeded) -> str:
    """Write how to look around."""
    aws, hub = landscape.aws, landscape.hub
    first, lost = seeded.versions[0], seeded.lost
    missing_bucket, _, missing_key = seeded.missing.removeprefix("s3://").partition("/")
    return _GUIDE.format(
        endpoint=aws.endpoint,
        region=aws.region,
        logs=aws.root / "logs",
        folder=aws.root,
        config=config,
        waiting="\n".join(f"  {version.arn}" for version in seeded.versions),
        first=first.arn,
        group=f"{first.account}-{first.trained.name}",
        lost=lost.arn,
        lost_name=lost.arn.rpartition("model-package/")[2],
        lost_group=f"{lost.account}-{lost.trained.name}",
        missing_bucket=missing_bucket,
        missing_key=missing_key,
        hub=hub.account,
        machine=hub.outputs["StateMachineArn"],
        bucket=hub.outputs["BucketName"],
        ledger=hub.outputs["LedgerTable"],
        dead=hub.outputs["DeadLetterQueueUrl"],
        redrive=hub.outputs["RedriveFunctionName"],
        env_vars=aws.root / "env.json",
        containers="" if aws.host == "0.0.0.0" else _ONLY_LOOPBACK.format(host=aws.host),  # noqa: S104 - compared
    )


def wait_for_end() -> None:
    """Wait until somebody presses Ctrl-C or ends the process."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
