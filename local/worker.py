"""The process in which one Lambda function runs: started by `local.functions`, never imported.

It does what Lambda's Python runtime does: puts the function's code and its layers on the path, imports the
handler once, then answers one invocation after the other. Standard output and error are the function's
log; invocations and answers travel as lines of JSON over the socket whose number is the first argument.

Arguments: socket number, how much of each wait between two tries of the SDK is waited for (1 is all), handler
(``module.callable``), function's code folder, folders of its layers.
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback
from typing import Any


class Context:
    """What a handler gets as its second argument.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    identity = None
    client_context = None

    def __init__(self, request_id: str, deadline: float, arn: str) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds until the invocation is killed; 0 when that is past."""
        return max(0, int((self._deadline - time.time()) * 1000))


def _error(kind: str, message: str, stack: list[str] | None = None) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": kind, "stackTrace": stack or []}


def _load(handler: str) -> Any:
    """Import the handler. What goes wrong is told in the words of Lambda's own runtime, and of no request.

    An import that ends the process ends it here, too.
    """
    module_name, _, name = handler.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        traceback.print_exc()
        told = _error("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}")
        return {**told, "requestId": ""}
    except Exception as error:
        traceback.print_exc()
        told = _error(type(error).__name__, str(error), traceback.format_tb(error.__traceback__))
        return {**told, "requestId": ""}
    if not hasattr(module, name):
        told = _error("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'")
        return {**told, "requestId": ""}
    return getattr(module, name)


class _Hurried:
    """Stands for the module ``time`` where botocore waits before it tries again."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Wait for a part of it."""
        time.sleep(seconds * self._factor)


def _hurry(factor: float) -> None:
    endpoint = importlib.import_module("botocore.endpoint")
    endpoint.time = _Hurried(factor)  # type: ignore[attr-defined]


def _answer(function: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Call the handler with one event, and give its answer or its error as Lambda words it."""
    if isinstance(function, dict):
        return {"error": function}
    context = Context(request["request_id"], request["deadline"], request["arn"])
    os.environ["_X_AMZN_TRACE_ID"] = request["trace"]
    try:
        result = function(json.loads(request["payload"] or "null"), context)
    except Exception as error:
        sys.stderr.write(f"[ERROR] {type(error).__name__}: {error}\n{traceback.format_exc()}")
        frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
        return {"error": _error(type(error).__name__, str(error), frames)}
    try:
        return {"payload": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": _error("Runtime.MarshalError", f"Unable to marshal response: {error}")}


def main() -> None:
    """Serve invocations until the other end of the socket is closed."""
    number, factor, handler, *folders = sys.argv[1:]
    # /var/task stands before /opt/python, and both before the runtime's own packages:
    # https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-searchpath
    sys.path[:0] = folders
    logging.basicConfig(stream=sys.stdout, format="[%(levelname)s]\t%(asctime)s\t%(message)s")
    with socket.socket(fileno=int(number)) as channel, channel.makefile("rw", encoding="utf-8") as lines:

        def say(message: dict[str, Any]) -> None:
            lines.write(json.dumps(message) + "\n")
            lines.flush()

        function = _load(handler)
        if float(factor) < 1:
            _hurry(float(factor))
        say({"ready": True})
        for line in lines:
            answer = _answer(function, json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            say(answer)


if __name__ == "__main__":
    main()
