"""Lambda: every function runs in processes of its own, under the environment that its template gives it.

moto keeps the functions (create, update, configuration, layers, event source mappings); only ``Invoke`` is
replaced. A process is kept warm for the next invocation; more are started, up to a limit, when invocations
overlap. One that exceeds the function's timeout is killed, as Lambda does it.

Not like the real service: beyond the limit an invocation waits instead of being throttled, an asynchronous
invocation that fails is not tried again, and memory is not limited.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import uuid
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.awslambda_simple.models import LambdaSimpleBackend, lambda_simple_backends

from local.accounts import NO_FILES, service_credentials
from local.evidence import Evidence, Rule
from local.process import Died, TimedOut, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "lambda-error-payload",
        "A function that raises answers 200 with FunctionError, and type, message and trace of the error.",
        Evidence.RECORDED,
        "lambda/invoke-errors.json",
    ),
    Rule(
        "lambda-process-ends",
        "A process that ends is a Runtime.ExitError.",
        Evidence.RECORDED,
        "lambda/invoke-errors.json",
    ),
    Rule(
        "lambda-import-error",
        "An error of the imports has an empty requestId; imports that end the process are a Runtime.ExitError.",
        Evidence.RECORDED,
        "lambda/invoke-errors.json",
    ),
    Rule(
        "lambda-timeout",
        "A function that takes too long is killed, and answers Sandbox.Timedout.",
        Evidence.RECORDED,
        "lambda/invoke-errors.json",
    ),
    Rule(
        "lambda-environment",
        "A function has the variables of its configuration and those that Lambda gives every function.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
    ),
    Rule(
        "lambda-warm-processes",
        "A process is kept for the next invocation, and more are started when invocations overlap.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    ),
)


@dataclass(frozen=True)
class Result:
    """What an invocation gave: the payload, and whether it is the description of an error."""

    payload: bytes
    failed: bool = False


class _Pool:
    """The processes of one version of one function."""

    def __init__(self, signature: str, limit: int) -> None:
        self.signature = signature
        self.slots = threading.BoundedSemaphore(limit)
        self.idle: list[Worker] = []
        self.busy: list[Worker] = []


class Functions:
    """Runs the functions of all accounts.

    Attributes
    ----------
    wait_factor
        How much of each wait between two tries of the SDK is waited for, in processes that are started from now on.
    """

    def __init__(self, aws: LocalAws, limit: int) -> None:
        self._aws = aws
        self._limit = limit
        self._lock = threading.RLock()
        self._pools: dict[str, _Pool] = {}
        self._closed = False
        self.wait_factor = 1.0

    def install(self) -> None:
        """Take over ``Invoke``, and with it Step Functions' tasks and SQS event sources."""
        functions = self

        def invoke(
            backend: LambdaSimpleBackend,
            function_name: str,
            qualifier: str | None,
            body: Any,
            headers: Any,
            response_headers: Any,
        ) -> bytes:
            function = backend.get_function(function_name, qualifier)
            payload = body.encode() if isinstance(body, str) else body or b""
            kind = (headers or {}).get("X-Amz-Invocation-Type", "RequestResponse")
            response_headers["X-Amz-Executed-Version"] = "$LATEST"
            if kind == "DryRun":
                return b""
            if kind == "Event":
                threading.Thread(target=functions.run, args=(function, payload), daemon=True).start()
                return b""
            result = functions.run(function, payload)
            if result.failed:
                response_headers["x-amz-function-error"] = "Unhandled"
            return result.payload

        self._aws.patch(LambdaSimpleBackend, "invoke", invoke)

    def invoke(self, account: str, name: str, event: Any) -> Result:
        """Invoke a function of an account and wait for its answer, without a client."""
        function = lambda_simple_backends[account][self._aws.region].get_function(name)
        return self.run(function, json.dumps(event).encode())

    def run(self, function: Any, payload: bytes) -> Result:
        """Run one invocation of one of moto's functions."""
        request_id = str(uuid.uuid4())
        pool = self._pool(function)
        with pool.slots:
            try:
                worker = self._take(pool, function)
            except Died as death:
                return _failed("Runtime.ExitError", f"RequestId: {request_id} Error: {death}")
            try:
                answer = worker.invoke(request_id, payload, float(function.timeout), function.function_arn)
            except TimedOut:
                # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
                return _failed(
                    "Sandbox.Timedout",
                    f"RequestId: {request_id} Error: Task timed out after {float(function.timeout):.2f} seconds",
                )
            except Died as death:
                return _failed("Runtime.ExitError", f"RequestId: {request_id} Error: {death}")
            finally:
                self._give_back(pool, worker)
        if "error" in answer:
            return Result(json.dumps({"requestId": request_id, **answer["error"]}).encode(), failed=True)
        return Result(str(answer["payload"]).encode())

    def kill(self, account: str, name: str) -> int:
        """Kill every process of a function, in the middle of what it does; give how many did something."""
        with self._lock:
            pool = self._pools.get(f"{account}/{name}")
            if pool is None:
                return 0
            busy, idle = list(pool.busy), list(pool.idle)
            pool.idle.clear()
        for worker in busy + idle:
            worker.kill()
        return len(busy)

    def forget(self) -> None:
        """Kill every process of every function."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            for worker in pool.idle + pool.busy:
                worker.kill()

    def close(self) -> None:
        """Kill every process, and start none any more."""
        self._closed = True
        self.forget()

    def log(self, name: str) -> Path:
        """Give the file with everything that the processes of a function have written."""
        folder = self._aws.root / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def _pool(self, function: Any) -> _Pool:
        key = f"{function.account_id}/{function.function_name}"
        text = repr(
            (
                function.code_sha_256,
                function.handler,
                function.layers,
                function.environment_vars,
                function.role,
                function.memory_size,
            )
        )
        signature = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            pool = self._pools.get(key)
            if pool is None or pool.signature != signature:
                for worker in pool.idle if pool else ():
                    worker.kill()
                pool = self._pools[key] = _Pool(signature, self._limit)
            return pool

    def _take(self, pool: _Pool, function: Any) -> Worker:
        with self._lock:
            if self._closed:
                raise Died("the local AWS has ended")
            while pool.idle:
                worker = pool.idle.pop()
                if worker.alive:
                    pool.busy.append(worker)
                    return worker
        worker = self._start(function)
        with self._lock:
            pool.busy.append(worker)
        try:
            worker.wait_until_ready()
        except BaseException:
            self._give_back(pool, worker)
            raise
        return worker

    def _give_back(self, pool: _Pool, worker: Worker) -> None:
        with self._lock:
            pool.busy.remove(worker)
            if worker.alive and not self._closed and pool in self._pools.values():
                pool.idle.append(worker)
                return
        worker.kill()

    def _start(self, function: Any) -> Worker:
        backend = lambda_simple_backends[function.account_id][function.region]
        code = self._unpacked(function.code_bytes)
        layers = [backend.layers_versions_by_arn(layer["Arn"]) for layer in function.layers]
        folders = [
            str(code),
            *(str(self._unpacked(layer.code_bytes) / "python") for layer in layers if layer),
        ]
        stream = f"[$LATEST]{uuid.uuid4().hex}"
        return Worker(
            function.handler,
            folders,
            self.environment(function, stream, str(code)),
            self.log(function.function_name),
            (function.account_id, function.region, f"/aws/lambda/{function.function_name}", stream),
            self.wait_factor,
        )

    def environment(self, function: Any, stream: str, code: str) -> dict[str, str]:
        """Give the function's whole environment: what Lambda gives every function, then its template's.

        The template declares ``AWS_ENDPOINT_URL`` empty; here it names the local AWS. What Lambda gives:
        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        trusted = self._aws.authority.authorize_service(
            "lambda.amazonaws.com", "sts:AssumeRole", function.role, source_arn=function.function_arn
        )
        if not trusted.allowed:
            raise Died(f"the role {function.role} cannot be assumed by Lambda {trusted.reason}")
        credentials = service_credentials(function.role, function.function_name, function.region)
        given = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": code,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.function_name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            **credentials.environment(),
        }
        declared = {name: str(value) for name, value in function.environment_vars.items()}
        return {**given, **declared, **NO_FILES, "AWS_ENDPOINT_URL": self._aws.endpoint}

    def _unpacked(self, archive: bytes) -> Path:
        """Unpack the zip of a function or layer, once for each content."""
        folder = self._aws.root / "code" / hashlib.sha256(archive).hexdigest()[:16]
        with self._lock:
            if not folder.exists():
                with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                    opened.extractall(folder)
        return folder


def _failed(kind: str, message: str) -> Result:
    return Result(json.dumps({"errorType": kind, "errorMessage": message}).encode(), failed=True)
