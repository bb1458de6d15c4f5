"""Every function in the container that ``sam local invoke`` makes of what ``sam build`` built.

The functions are invoked in the order of the state machine, each with what the one before it answered,
and do to the local AWS what they would do to the real one.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.artifacts.sam_build import ROOT
from tests.e2e.conftest import HUB, REGION, SPOKE
from tests.e2e.sam_local import FunctionError
from tests.e2e.spoke_account import pull

if TYPE_CHECKING:
    from tests.e2e.conftest import Stage

EVENTS = ROOT / "events"
ARN = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn"


def batch(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Give messages to a function as Lambda does."""
    assert messages, "no event reached the intake queue"
    common = {"eventSource": "aws:sqs", "awsRegion": REGION, "attributes": {}, "messageAttributes": {}}
    arn = f"arn:aws:sqs:{REGION}:{HUB}:registry-replicator-intake"
    return {
        "Records": [
            {
                **common,
                "eventSourceARN": arn,
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "md5OfBody": message["MD5OfBody"],
            }
            for message in messages
        ]
    }


def sample(path: str) -> Any:
    return json.loads((EVENTS / path).read_text())


def test_a_package_goes_through_every_step(stage: Stage) -> None:
    spoke, sam = stage.spoke, stage.sam
    data = spoke.put_artifact(1)
    arn = spoke.register(1)
    assert arn == f"{ARN}/1"
    spoke.approve(arn)

    # intake: the event came over the two buses; the same event in a batch twice makes one run
    (message,) = stage.receive("intake")
    event = batch([message, {**message, "MessageId": "delivered-again"}])
    assert sam.invoke("intake", event) == {"batchItemFailures": []}
    (run,) = stage.executions(arn)
    entry = stage.ledger(arn)
    assert (entry["state"], entry["wanted"], entry["attempt"]) == ("RUNNING", "2", "1")
    assert run == sample("plan/first.json") == {"source_arn": arn, "attempt": 1}

    plan = sam.invoke("plan", run)
    assert plan["action"] == "MIRROR", plan
    for made, documented in zip(
        plan["copies"], sample("register/mirror.json")["plan"]["copies"], strict=True
    ):
        assert {name: made[name] for name in documented} == documented
    image, artifact = plan["copies"]

    copied = sam.invoke("copy_artifact", {"source_arn": arn, "copy": artifact, "progress": None})
    assert copied["done"], copied
    destination = copied["result"]["destination"]
    bucket, key = destination.removeprefix("s3://").split("/", 1)
    assert bucket == f"registry-replicator-{HUB}-{REGION}"
    assert key.startswith(f"models/{SPOKE}/churn/1/")
    assert stage.hub("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == data

    pushed = sam.invoke("copy_image", {"source_arn": arn, "copy": image, "progress": None})
    assert pushed["done"], pushed
    mirror_image = pushed["result"]["destination"]
    repository = f"registry-replicator/{SPOKE}/churn-inference"
    assert mirror_image == f"{HUB}.dkr.ecr.{REGION}.amazonaws.com/{repository}@{stage.image.digest}"
    assert pull(stage.hub("ecr"), repository, f"manifests/{stage.image.digest}") == stage.image.manifest.data
    for blob in stage.image.blobs:
        held = pull(stage.hub("ecr"), repository, f"blobs/{blob.digest}")
        assert f"sha256:{hashlib.sha256(held).hexdigest()}" == blob.digest

    results = [pushed["result"], copied["result"]]
    registered = sam.invoke("register", {**run, "plan": plan, "results": results})
    mirror = stage.hub("sagemaker").describe_model_package(ModelPackageName=registered["hub_arn"])
    (container,) = mirror["InferenceSpecification"]["Containers"]
    assert (container["ModelDataUrl"], container["Image"]) == (destination, mirror_image)
    assert mirror["CustomerMetadataProperties"]
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
    assert stage.ledger(arn)["state"] == "IDLE"


def test_a_missing_artifact_ends_in_the_dead_letter_queue_and_is_redriven(stage: Stage) -> None:
    spoke, sam = stage.spoke, stage.sam
    spoke.put_artifact(2)
    version = (
        len(
            spoke.client("sagemaker").list_model_packages(ModelPackageGroupName="churn")[
                "ModelPackageSummaryList"
            ]
        )
        + 1
    )
    arn = spoke.register(2)
    assert arn == f"{ARN}/{version}"
    spoke.approve(arn)
    spoke.delete_artifact(2)

    assert sam.invoke("intake", batch(stage.receive("intake"))) == {"batchItemFailures": []}
    (run,) = stage.executions(arn)
    plan = sam.invoke("plan", run)
    with pytest.raises(FunctionError) as failed:
        sam.invoke("copy_artifact", {"source_arn": arn, "copy": plan["copies"][1], "progress": None})
    assert failed.value.kind == "PermanentError"
    assert failed.value.message.startswith("SOURCE_OBJECT_MISSING: ")
    assert f"s3://{spoke.bucket}/{spoke.key(2)}" in failed.value.message

    recorded = sam.invoke("record_failure", {**run, "plan": plan, "error": failed.value.caught})
    assert (recorded["again"], recorded["code"]) == (False, "SOURCE_OBJECT_MISSING")
    assert stage.ledger(arn)["state"] == "FAILED"
    depth = ["ApproximateNumberOfMessages"]
    queue = stage.queue_url("dead-letter")
    count = stage.hub("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=depth)["Attributes"]
    assert count["ApproximateNumberOfMessages"] == "1"

    redriven = sam.invoke_file("redrive", EVENTS / "redrive" / "by-code.json")
    assert [(letter["code"], letter["source_arn"]) for letter in redriven["letters"]] == [
        ("SOURCE_OBJECT_MISSING", arn)
    ]
    assert redriven["redriven"] == 1
    assert stage.receive("dead-letter") == []

    spoke.put_artifact(2)
    assert sam.invoke("intake", batch(stage.receive("intake"))) == {"batchItemFailures": []}
    assert [again["attempt"] for again in stage.executions(arn)] == [1, 2]
    assert stage.ledger(arn)["state"] == "RUNNING"


def test_bad_messages_stop_none_of_their_neighbours(stage: Stage) -> None:
    # of a version that no other test here has seen: the sample's own is older than its mirror
    text = (
        (EVENTS / "intake" / "mixed.json")
        .read_text()
        .replace("model-package/churn/1", "model-package/churn/9")
    )
    assert stage.sam.invoke("intake", json.loads(text)) == {"batchItemFailures": []}
    letters = {letter["MessageAttributes"]["code"]["StringValue"] for letter in stage.receive("dead-letter")}
    assert letters == {"MALFORMED_EVENT", "ACCOUNT_MISMATCH"}
    assert stage.executions(f"{ARN}/9") == [{"source_arn": f"{ARN}/9", "attempt": 1}]
