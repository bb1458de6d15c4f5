"""Lambda: what a function is given from a queue, and what an invocation answers when the function fails."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import make_function
from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

POLLING = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
ERRORS = "lambda/invoke-errors.json"


@replays("lambda/sqs-event-source.json", "test_message_body_and_attributes_passed_correctly")
def test_a_record_of_a_queue(
    replay: Replay, aws: LocalAws, client: Callable[[str], Any], fresh: Callable[[str], str]
) -> None:
    sqs, name = client("sqs"), fresh("queue")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    code = "import json\ndef handler(event, context):\n    print('EVENT ' + json.dumps(event))\n"
    function = make_function(aws, ACCOUNT, code, actions=POLLING)
    client("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", FunctionName=function
    )
    sqs.send_message(
        QueueUrl=url,
        MessageBody=json.dumps(
            {"destination": replay.bind("<queue-url:1>", "somewhere"), "fail_attempts": 0}
        ),
        MessageAttributes={
            "Title": {"DataType": "String", "StringValue": "The Whistler"},
            "Author": {"DataType": "String", "StringValue": "John Grisham"},
            "WeeksOn": {"DataType": "Number", "StringValue": "6"},
        },
    )
    log = aws.functions.log(function)
    while not (log.exists() and "EVENT " in (text := log.read_text(encoding="utf-8"))):
        time.sleep(0.05)
    (line,) = [each for each in text.splitlines() if each.startswith("EVENT ")]
    (record,) = json.loads(line.removeprefix("EVENT "))["Records"]
    replay.compare("record", record)


def invoked(client: Callable[[str], Any], function: str, event: Any = None) -> Any:
    """Invoke a function and read the members that were recorded."""
    answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    members = ("ExecutedVersion", "FunctionError", "StatusCode", "ResponseMetadata")
    found = {name: answer[name] for name in members}
    return {**found, "Payload": json.loads(answer["Payload"].read())}


@replays(
    ERRORS,
    "test_lambda_handler_error",
    differing=[Differing("invocation_error/Payload/stackTrace/0", "it names the file of the code")],
)
def test_a_function_that_raises(replay: Replay, aws: LocalAws, client: Callable[[str], Any]) -> None:
    function = make_function(
        aws, ACCOUNT, 'def handler(event, context):\n    raise Exception("Handler fails")\n'
    )
    replay("invocation_error", lambda: invoked(client, function))


@replays(ERRORS, "test_lambda_handler_exit")
def test_a_function_whose_process_ends(replay: Replay, aws: LocalAws, client: Callable[[str], Any]) -> None:
    function = make_function(aws, ACCOUNT, "import sys\ndef handler(event, context):\n    sys.exit(0)\n")
    replay("invocation_error", lambda: invoked(client, function))


@replays(ERRORS, "test_lambda_runtime_exit")
def test_a_function_whose_import_ends_the_process(
    replay: Replay, aws: LocalAws, client: Callable[[str], Any]
) -> None:
    function = make_function(aws, ACCOUNT, "import sys\nsys.exit(0)\n")
    replay("invocation_error", lambda: invoked(client, function))


@replays(
    ERRORS,
    "test_lambda_runtime_error",
    differing=[Differing("invocation_error/Payload/stackTrace*", "it names files of the runtime")],
)
def test_a_function_whose_import_raises(replay: Replay, aws: LocalAws, client: Callable[[str], Any]) -> None:
    function = make_function(aws, ACCOUNT, 'raise Exception("Runtime startup fails")\n')
    replay("invocation_error", lambda: invoked(client, function))


@replays(ERRORS, "test_lambda_too_large_response")
def test_an_answer_that_is_too_large(replay: Replay, aws: LocalAws, client: Callable[[str], Any]) -> None:
    code = "def handler(event, context):\n    return 'a' * event\n"
    function = make_function(aws, ACCOUNT, code)
    for key in ("invoke_result", "invoke_result_2"):
        replay(key, lambda: invoked(client, function, 6_291_556 - 1))


@replays(ERRORS, "test_lambda_invoke_with_timeout")
def test_a_function_that_takes_too_long(replay: Replay, aws: LocalAws, client: Callable[[str], Any]) -> None:
    code = "import time\ndef handler(event, context):\n    time.sleep(30)\n"
    function = make_function(aws, ACCOUNT, code, Timeout=1)
    replay("invoke-result", lambda: invoked(client, function))
