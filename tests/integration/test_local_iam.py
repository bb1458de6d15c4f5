"""IAM of the local AWS over HTTP, with real boto3: what a missing grant does is what it does on AWS.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.iam import IamMiddleware, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

HUB, SPOKE, OTHER = "111111111111", "222222222222", "333333333333"
REGION = "eu-west-1"
COPY_ROLE = f"arn:aws:iam::{HUB}:role/copy"
READ_ROLE = f"arn:aws:iam::{SPOKE}:role/read"
HUB_ONLY_TRUST = {"AWS": HUB}


def statement(effect: str, action: Any, resource: Any = None, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action} | ({"Resource": resource} if resource else {}) | more


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Local:
    """A server of its own, and clients of the roles in its accounts."""

    def __init__(self, iam: IamMiddleware, endpoint: str) -> None:
        self.iam = iam
        self.endpoint = endpoint

    def client(self, service: str, credentials: dict[str, Any] | None = None) -> Any:
        given = credentials or {"AccessKeyId": "anything", "SecretAccessKey": "x", "SessionToken": "x"}
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def assume(self, role: str, by: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        sts = self.client("sts", by)
        credentials: dict[str, Any] = sts.assume_role(RoleArn=role, RoleSessionName="test", **more)[
            "Credentials"
        ]
        return credentials

    def admin(self, account: str) -> dict[str, Any]:
        return self.assume(f"arn:aws:iam::{account}:role/local-admin")

    def role(self, arn: str, trust: dict[str, Any], *grants: dict[str, Any]) -> None:
        iam = self.client("iam", self.admin(arn.split(":")[4]))
        name = arn.rpartition("/")[2]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        if grants:
            iam.put_role_policy(RoleName=name, PolicyName="grants", PolicyDocument=document(*grants))

    def worker(self, *grants: dict[str, Any], arn: str = COPY_ROLE, **more: Any) -> dict[str, Any]:
        """Make a role of the hub with some grants and assume it."""
        self.role(
            arn, statement("Allow", ["sts:AssumeRole", "sts:TagSession"], Principal=HUB_ONLY_TRUST), *grants
        )
        return self.assume(arn, self.admin(arn.split(":")[4]), **more)

    def bucket(self, account: str, name: str, *grants: dict[str, Any]) -> Any:
        s3 = self.client("s3", self.admin(account))
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=name, Key="models/a", Body=b"weights")
        if grants:
            s3.put_bucket_policy(Bucket=name, Policy=document(*grants))
        return s3


@pytest.fixture
def local() -> Iterator[Local]:
    get_backend("moto_api")["global"].reset()
    iam = IamMiddleware(DomainDispatcherApplication(create_backend_app), organization="o-local")
    server = make_server("127.0.0.1", 0, iam, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Local(iam, f"http://127.0.0.1:{server.port}")
    server.shutdown()
    thread.join()
    server.server_close()
    get_backend("moto_api")["global"].reset()


def refused(call: Any, **arguments: Any) -> tuple[str, str, int]:
    """Make a call that has to be refused; give code, message and HTTP status."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return (
        answer["Error"]["Code"],
        answer["Error"].get("Message", ""),
        answer["ResponseMetadata"]["HTTPStatusCode"],
    )


class TestCallers:
    def test_the_person_is_administrator_of_the_own_account_only(self, local: Local) -> None:
        local.bucket(SPOKE, "spoke")
        assert (
            local.client("s3", local.admin(SPOKE)).get_object(Bucket="spoke", Key="models/a")["Body"].read()
        )
        code, message, status = refused(
            local.client("s3", local.admin(HUB)).get_object, Bucket="spoke", Key="models/a"
        )
        assert (code, status) == ("AccessDenied", 403)
        assert "no resource-based policy allows the s3:GetObject action" in message

    def test_a_key_that_nobody_has(self, local: Local) -> None:
        assert refused(local.client("s3").list_buckets)[0] == "InvalidAccessKeyId"
        assert refused(local.client("sqs").list_queues)[0] == "InvalidClientTokenId"
        assert refused(local.client("dynamodb").list_tables)[0] == "UnrecognizedClientException"
        assert refused(local.client("sts").get_caller_identity)[0] == "InvalidClientTokenId"

    def test_nobody_else_becomes_the_person(self, local: Local) -> None:
        worker = local.worker(statement("Allow", "*", "*"))
        for account in (HUB, SPOKE):
            code, message, _ = refused(
                local.assume, role=f"arn:aws:iam::{account}:role/local-admin", by=worker
            )
            assert code == "AccessDenied"
            assert "for people only" in message

    def test_a_role_that_does_not_exist_can_neither_be_assumed_nor_used(self, local: Local) -> None:
        missing = f"arn:aws:iam::{HUB}:role/missing"
        assert refused(local.assume, role=missing, by=local.admin(HUB))[0] == "AccessDenied"
        worker = local.worker(statement("Allow", "*", "*"))
        iam = local.client("iam", local.admin(HUB))
        iam.delete_role_policy(RoleName="copy", PolicyName="grants")
        iam.delete_role(RoleName="copy")
        code, message, _ = refused(local.client("sqs", worker).list_queues)
        assert code == "AccessDenied"
        assert "does not exist" in message

    def test_unsigned_requests_are_for_public_buckets(self, local: Local) -> None:
        s3 = local.bucket(SPOKE, "spoke")
        url = f"{local.endpoint}/spoke/models/a"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url)  # noqa: S310 - the local AWS
        grant = statement("Allow", "s3:GetObject", "arn:aws:s3:::spoke/*", Principal="*")
        s3.put_bucket_policy(Bucket="spoke", Policy=document(grant))
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - the local AWS
            assert answer.read() == b"weights"

    def test_presigned_urls_are_for_whom_signed(self, local: Local) -> None:
        local.bucket(SPOKE, "spoke")
        asked = {"Bucket": "spoke", "Key": "models/a"}
        mine = local.client("s3", local.admin(SPOKE)).generate_presigned_url("get_object", Params=asked)
        with urllib.request.urlopen(mine) as answer:  # noqa: S310 - the local AWS
            assert answer.read() == b"weights"
        foreign = local.client("s3", local.admin(OTHER)).generate_presigned_url("get_object", Params=asked)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign)  # noqa: S310 - the local AWS

    def test_an_account_cannot_be_chosen_by_header(self, local: Local) -> None:
        local.client("sqs", local.admin(SPOKE)).create_queue(QueueName="q")
        sqs = local.client("sqs", local.admin(HUB))
        sqs.meta.events.register(
            "before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", SPOKE)
        )
        assert "QueueUrls" not in sqs.list_queues()


class TestIdentityPolicies:
    def test_too_little_is_refused_as_each_service_refuses(self, local: Local) -> None:
        local.bucket(HUB, "hub")
        worker = local.worker()
        session = f"arn:aws:sts::{HUB}:assumed-role/copy/test"
        code, message, status = refused(local.client("s3", worker).get_object, Bucket="hub", Key="models/a")
        assert (code, status) == ("AccessDenied", 403)
        assert message == (
            f"User: {session} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::hub/models/a "
            "because no identity-based policy allows the s3:GetObject action"
        )
        assert refused(local.client("s3", worker).head_object, Bucket="hub", Key="models/a")[0] == "403"
        code, message, status = refused(
            local.client("dynamodb", worker).get_item, TableName="t", Key={"k": {"S": "x"}}
        )
        assert (code, status) == ("AccessDeniedException", 400)
        assert f"dynamodb:GetItem on resource: arn:aws:dynamodb:{REGION}:{HUB}:table/t" in message
        assert (
            refused(local.client("stepfunctions", worker).list_state_machines)[0] == "AccessDeniedException"
        )
        assert refused(local.client("sqs", worker).list_queues)[0] == "AccessDenied"
        assert refused(local.client("lambda", worker).invoke, FunctionName="f")[::2] == (
            "AccessDeniedException",
            403,
        )

    def test_a_big_upload_hears_why_it_is_refused(self, local: Local) -> None:
        local.bucket(HUB, "hub")
        s3 = local.client("s3", local.worker())
        assert refused(s3.put_object, Bucket="hub", Key="big", Body=b"x" * 20_000_000)[0] == "AccessDenied"
        # without Expect: 100-continue, as others send it
        request = urllib.request.Request(f"{local.endpoint}/hub/big", data=b"x" * 20_000_000, method="PUT")  # noqa: S310 - the local AWS
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)  # noqa: S310 - the local AWS

    def test_what_is_granted_works_and_nothing_beside_it(self, local: Local) -> None:
        worker = local.worker(statement("Allow", "sqs:SendMessage", f"arn:aws:sqs:{REGION}:{HUB}:in"))
        admin = local.client("sqs", local.admin(HUB))
        given, other = (admin.create_queue(QueueName=name)["QueueUrl"] for name in ("in", "out"))
        sqs = local.client("sqs", worker)
        sqs.send_message(QueueUrl=given, MessageBody="x")
        sqs.send_message_batch(QueueUrl=given, Entries=[{"Id": "1", "MessageBody": "y"}])
        assert refused(sqs.send_message, QueueUrl=other, MessageBody="x")[0] == "AccessDenied"
        assert refused(sqs.receive_message, QueueUrl=given)[0] == "AccessDenied"

    def test_attached_policies_count_and_a_deny_in_them_wins(self, local: Local) -> None:
        worker = local.worker()
        iam = local.client("iam", local.admin(HUB))
        grant = iam.create_policy(PolicyName="a", PolicyDocument=document(statement("Allow", "sqs:*", "*")))
        iam.attach_role_policy(RoleName="copy", PolicyArn=grant["Policy"]["Arn"])
        local.client("sqs", worker).list_queues()
        ban = iam.create_policy(PolicyName="b", PolicyDocument=document(statement("Deny", "sqs:List*", "*")))
        iam.attach_role_policy(RoleName="copy", PolicyArn=ban["Policy"]["Arn"])
        message = refused(local.client("sqs", worker).list_queues)[1]
        assert message.endswith("with an explicit deny in an identity-based policy")

    def test_an_operation_whose_permissions_are_unknown_does_not_pass_unnoticed(self, local: Local) -> None:
        worker = local.worker(statement("Allow", "*", "*"))
        message = refused(local.client("iam", worker).list_users)[1]
        assert "does not know which permissions iam:ListUsers needs" in message
        local.client("iam", local.admin(HUB)).list_users()

    def test_a_policy_that_cannot_be_evaluated_is_neither_yes_nor_no(self, local: Local) -> None:
        condition = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
        worker = local.worker(statement("Allow", "sqs:*", "*", Condition=condition))
        _, message, status = refused(local.client("sqs", worker).list_queues)
        assert status == 501
        assert "aws:CurrentTime" in message

    def test_a_session_policy_narrows(self, local: Local) -> None:
        narrow = document(statement("Allow", "sqs:ListQueues", "*"))
        worker = local.worker(statement("Allow", "*", "*"), Policy=narrow)
        local.client("sqs", worker).list_queues()
        message = refused(local.client("sqs", worker).create_queue, QueueName="q")[1]
        assert "no session policy or permissions boundary allows" in message

    def test_a_missing_object_is_hidden_from_who_may_not_list(self, local: Local) -> None:
        local.bucket(HUB, "hub")
        reader = local.client("s3", local.worker(statement("Allow", "s3:GetObject", "arn:aws:s3:::hub/*")))
        assert refused(reader.get_object, Bucket="hub", Key="missing")[0] == "AccessDenied"
        assert refused(reader.head_object, Bucket="hub", Key="missing")[0] == "403"
        lists = [
            statement("Allow", ["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::hub", "arn:aws:s3:::hub/*"])
        ]
        lister = local.client("s3", local.worker(*lists, arn=f"arn:aws:iam::{HUB}:role/lister"))
        assert refused(lister.get_object, Bucket="hub", Key="missing")[0] == "NoSuchKey"
        assert refused(lister.head_object, Bucket="hub", Key="missing")[0] == "404"
        assert refused(lister.get_object, Bucket="nowhere", Key="missing")[0] == "NoSuchBucket"


class TestAcrossAccounts:
    copies = statement(
        "Allow",
        ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging"],
        "*",
        Condition={"StringEquals": {"s3:ResourceAccount": ["${aws:PrincipalTag/spoke}", HUB]}},
    )

    def copier(self, local: Local, spoke: str = SPOKE) -> Any:
        return local.client("s3", local.worker(self.copies, Tags=[{"Key": "spoke", "Value": spoke}]))

    def grant(self, **more: Any) -> dict[str, Any]:
        actions = ["s3:GetObject", "s3:GetObjectTagging"]
        return statement("Allow", actions, "arn:aws:s3:::spoke/*", Principal={"AWS": COPY_ROLE}, **more)

    def copy(self, s3: Any, source: str = "spoke", destination: str = "hub") -> None:
        s3.copy_object(Bucket=destination, Key="x", CopySource={"Bucket": source, "Key": "models/a"})

    def test_a_copy_needs_both_sides(self, local: Local) -> None:
        local.bucket(SPOKE, "spoke", self.grant())
        local.bucket(HUB, "hub")
        s3 = self.copier(local)
        self.copy(s3)
        assert (
            "s3:PutObject on resource: arn:aws:s3:::spoke/x"
            in refused(self.copy, s3=s3, destination="spoke")[1]
        )

    def test_without_the_bucket_policy_it_is_refused(self, local: Local) -> None:
        local.bucket(SPOKE, "spoke")
        local.bucket(HUB, "hub")
        message = refused(self.copy, s3=self.copier(local))[1]
        assert (
            "s3:GetObject on resource: arn:aws:s3:::spoke/models/a because no resource-based policy"
            in message
        )

    def test_the_tag_decides_whose_buckets_are_read(self, local: Local) -> None:
        anyone = statement("Allow", "s3:*", ["arn:aws:s3:::other", "arn:aws:s3:::other/*"], Principal="*")
        local.bucket(OTHER, "other", anyone)  # a confused deputy's dream
        local.bucket(HUB, "hub")
        message = refused(self.copy, s3=self.copier(local), source="other")[1]
        assert "no identity-based policy allows the s3:GetObject action" in message

    def test_the_bucket_policy_can_ask_for_the_tag_too(self, local: Local) -> None:
        asked = {"StringEquals": {"aws:PrincipalTag/spoke": SPOKE}}
        local.bucket(SPOKE, "spoke", self.grant(Condition=asked))
        local.bucket(HUB, "hub")
        self.copy(self.copier(local))
        untagged = local.assume(COPY_ROLE, local.admin(HUB), Tags=[{"Key": "spoke", "Value": OTHER}])
        assert refused(self.copy, s3=local.client("s3", untagged))[0] == "AccessDenied"

    def test_the_tags_of_an_object_are_copied_by_who_may(self, local: Local) -> None:
        owner = local.bucket(SPOKE, "spoke", self.grant())
        owner.put_object_tagging(
            Bucket="spoke", Key="models/a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
        )
        local.bucket(HUB, "hub")
        self.copy(self.copier(local))
        only_read = {**self.grant(), "Action": "s3:GetObject"}
        owner.put_bucket_policy(Bucket="spoke", Policy=document(only_read))
        s3 = local.client(
            "s3", local.assume(COPY_ROLE, local.admin(HUB), Tags=[{"Key": "spoke", "Value": SPOKE}])
        )
        assert "s3:GetObjectTagging" in refused(self.copy, s3=s3)[1]

    def test_parts_are_copied_under_the_same_rules(self, local: Local) -> None:
        local.bucket(SPOKE, "spoke")
        local.bucket(HUB, "hub")
        s3 = self.copier(local)
        upload = s3.create_multipart_upload(Bucket="hub", Key="x")["UploadId"]
        part = {"Bucket": "hub", "Key": "x", "UploadId": upload, "PartNumber": 1}
        source = {"Bucket": "spoke", "Key": "models/a"}
        assert (
            "s3:GetObject on resource: arn:aws:s3:::spoke/models/a"
            in refused(s3.upload_part_copy, CopySource=source, **part)[1]
        )
        assert (
            "s3:ListMultipartUploadParts" in refused(s3.list_parts, Bucket="hub", Key="x", UploadId=upload)[1]
        )
        assert "s3:ListBucketMultipartUploads" in refused(s3.list_multipart_uploads, Bucket="hub")[1]
        assert (
            "s3:AbortMultipartUpload"
            in refused(s3.abort_multipart_upload, Bucket="hub", Key="x", UploadId=upload)[1]
        )

    def test_a_bus_takes_only_the_events_that_its_policy_names(self, local: Local) -> None:
        events = local.client("events", local.admin(HUB))
        bus = events.create_event_bus(Name="hub")["EventBusArn"]
        grant = statement(
            "Allow",
            "events:PutEvents",
            bus,
            Principal={"AWS": f"arn:aws:iam::{SPOKE}:root"},
            Condition={"StringEquals": {"events:source": "aws.sagemaker", "aws:PrincipalOrgID": "o-local"}},
        )
        events.put_permission(EventBusName="hub", Policy=document({**grant, "Sid": "spoke"}))
        iam = local.iam.authority
        sender = f"arn:aws:iam::{SPOKE}:role/forward"
        local.role(
            sender,
            statement("Allow", "sts:AssumeRole", Principal={"Service": "events.amazonaws.com"}),
            statement("Allow", "events:PutEvents", bus),
        )
        mine = {"events:source": "aws.sagemaker"}
        assert iam.authorize_role(sender, "events:PutEvents", bus, mine).allowed
        assert not iam.authorize_role(sender, "events:PutEvents", bus, {"events:source": "forged"}).allowed
        forger = local.client("events", local.admin(SPOKE))
        entry = {"Source": "forged", "DetailType": "d", "Detail": "{}", "EventBusName": bus}
        assert refused(forger.put_events, Entries=[entry])[0] == "AccessDeniedException"


class TestTrust:
    trust = statement(
        "Allow",
        ["sts:AssumeRole", "sts:TagSession"],
        Principal={"AWS": HUB},
        Condition={
            "ArnEquals": {"aws:PrincipalArn": COPY_ROLE},
            "StringEquals": {"aws:RequestTag/spoke": SPOKE},
        },
    )
    tag = [{"Key": "spoke", "Value": SPOKE}]

    def may(self, *actions: str) -> dict[str, Any]:
        return statement("Allow", list(actions), READ_ROLE)

    def test_the_named_role_with_the_right_tag_gets_in(self, local: Local) -> None:
        local.role(READ_ROLE, self.trust)
        worker = local.worker(self.may("sts:AssumeRole", "sts:TagSession"))
        got = local.assume(READ_ROLE, worker, Tags=self.tag)
        identity = local.client("sts", got).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{SPOKE}:assumed-role/read/test"

    @pytest.mark.parametrize("tags", [[], [{"Key": "spoke", "Value": OTHER}]])
    def test_without_the_tag_or_with_anothers_it_does_not(
        self, local: Local, tags: list[dict[str, str]]
    ) -> None:
        local.role(READ_ROLE, self.trust)
        worker = local.worker(self.may("sts:AssumeRole", "sts:TagSession"))
        code, message, status = refused(local.assume, role=READ_ROLE, by=worker, Tags=tags)
        assert (code, status) == ("AccessDenied", 403)
        assert "no role trust policy allows the sts:AssumeRole action" in message

    def test_another_role_of_the_hub_does_not(self, local: Local) -> None:
        local.role(READ_ROLE, self.trust)
        grants = self.may("sts:AssumeRole", "sts:TagSession")
        worker = local.worker(grants, arn=f"arn:aws:iam::{HUB}:role/intake")
        assert refused(local.assume, role=READ_ROLE, by=worker, Tags=self.tag)[0] == "AccessDenied"
        assert refused(local.assume, role=READ_ROLE, by=local.admin(HUB), Tags=self.tag)[0] == "AccessDenied"
        assert (
            refused(local.assume, role=READ_ROLE, by=local.admin(OTHER), Tags=self.tag)[0] == "AccessDenied"
        )

    def test_the_caller_needs_the_grant_on_its_own_side(self, local: Local) -> None:
        local.role(READ_ROLE, self.trust)
        message = refused(local.assume, role=READ_ROLE, by=local.worker(), Tags=self.tag)[1]
        assert "no identity-based policy allows the sts:AssumeRole action" in message
        worker = local.worker(self.may("sts:AssumeRole"), arn=f"arn:aws:iam::{HUB}:role/untagged")
        trust = {**self.trust, "Condition": {}}
        update = local.client("iam", local.admin(SPOKE)).update_assume_role_policy
        update(RoleName="read", PolicyDocument=document(trust))
        message = refused(local.assume, role=READ_ROLE, by=worker, Tags=self.tag)[1]
        assert "no identity-based policy allows the sts:TagSession action" in message

    def test_transitive_tags_stay_along_a_chain(self, local: Local) -> None:
        reads = statement(
            "Allow", "sqs:ListQueues", "*", Condition={"StringEquals": {"aws:PrincipalTag/spoke": SPOKE}}
        )
        local.role(READ_ROLE, {**self.trust, "Condition": {}}, reads)
        grants = self.may("sts:AssumeRole", "sts:TagSession")
        chained = local.worker(grants, Tags=self.tag, TransitiveTagKeys=["spoke"])
        local.client("sqs", local.assume(READ_ROLE, chained)).list_queues()
        plain = local.assume(COPY_ROLE, local.admin(HUB), Tags=self.tag)
        assert refused(local.client("sqs", local.assume(READ_ROLE, plain)).list_queues)[0] == "AccessDenied"


class TestServices:
    def test_a_service_gets_the_roles_that_trust_it(self, local: Local) -> None:
        trust = statement("Allow", "sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
        local.role(COPY_ROLE, trust, statement("Allow", "sqs:ListQueues", "*"))
        got = local.iam.authority.service_credentials(COPY_ROLE, "lambda.amazonaws.com", session="copy")
        local.client("sqs", got).list_queues()
        assert local.client("sts", got).get_caller_identity()["Arn"].endswith(":assumed-role/copy/copy")
        with pytest.raises(PermissionError, match="role trust policy"):
            local.iam.authority.service_credentials(COPY_ROLE, "states.amazonaws.com")
        with pytest.raises(PermissionError, match="cannot assume"):
            local.iam.authority.service_credentials(READ_ROLE, "lambda.amazonaws.com")

    def test_a_trust_policy_can_ask_on_whose_behalf(self, local: Local) -> None:
        rule = f"arn:aws:events:{REGION}:{HUB}:rule/forward"
        asked = {"StringEquals": {"aws:SourceAccount": HUB}, "ArnEquals": {"aws:SourceArn": rule}}
        trust = statement(
            "Allow", "sts:AssumeRole", Principal={"Service": "events.amazonaws.com"}, Condition=asked
        )
        local.role(COPY_ROLE, trust)
        assume = local.iam.authority.service_credentials
        assert assume(COPY_ROLE, "events.amazonaws.com", source_arn=rule)["AccessKeyId"]
        for source in (rule + "-other", rule.replace(HUB, SPOKE), None):
            with pytest.raises(PermissionError, match="no role trust policy"):
                assume(COPY_ROLE, "events.amazonaws.com", source_arn=source)

    def test_a_queue_policy_decides_for_which_rule_eventbridge_may_send(self, local: Local) -> None:
        sqs = local.client("sqs", local.admin(HUB))
        queue = f"arn:aws:sqs:{REGION}:{HUB}:in"
        rule = f"arn:aws:events:{REGION}:{HUB}:rule/hub/in"
        url = sqs.create_queue(QueueName="in")["QueueUrl"]
        may = local.iam.authority.authorize_service
        sender = ("events.amazonaws.com", "sqs:SendMessage", queue)
        assert not may(*sender, source_arn=rule).allowed
        grant = statement(
            "Allow",
            "sqs:SendMessage",
            queue,
            Principal={"Service": "events.amazonaws.com"},
            Condition={"ArnEquals": {"aws:SourceArn": rule}},
        )
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(grant)})
        assert may(*sender, source_arn=rule).allowed
        assert not may(*sender, source_arn=rule.replace("rule/hub/in", "rule/other")).allowed
        assert not may("sns.amazonaws.com", *sender[1:], source_arn=rule).allowed

    def test_who_holds_an_access_key_can_be_asked(self, local: Local) -> None:
        worker = local.worker(
            statement("Allow", "ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:{HUB}:repository/a")
        )
        may = local.iam.authority.authorize
        repository = f"arn:aws:ecr:{REGION}:{HUB}:repository/"
        assert may(worker["AccessKeyId"], "ecr:BatchGetImage", repository + "a").allowed
        assert not may(worker["AccessKeyId"], "ecr:BatchGetImage", repository + "b").allowed
        assert not may("nobody", "ecr:BatchGetImage", repository + "a").allowed


class TestReporting:
    def test_report_only_lets_through_and_tells(self, local: Local) -> None:
        worker = local.worker()
        authority = local.iam.authority
        authority.enforce = False
        authority.denials.clear()
        local.client("sqs", worker).list_queues()
        assert [(d.kind, d.action, d.resource) for d in authority.denials] == [
            (Kind.DENIED, "sqs:ListQueues", "*")
        ]

    def test_a_reset_forgets(self, local: Local) -> None:
        worker = local.worker()
        refused(local.client("sqs", worker).list_queues)
        assert local.iam.authority.denials
        urllib.request.urlopen(urllib.request.Request(f"{local.endpoint}/moto-api/reset", method="POST"))  # noqa: S310 - the local AWS
        assert not local.iam.authority.denials
        assert refused(local.client("sqs", worker).list_queues)[0] == "InvalidClientTokenId"
