"""One process of one Lambda function, seen from the outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from local import metrics
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES: tuple[Rule, ...] = (
    Rule(
        "lambda-log-lines",
        "The log of an invocation begins with START and ends with END and REPORT, each with the request's id.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html",
    ),
    Rule(
        "lambda-timeout-kills",
        "At its timeout the process of a function is killed, and the next invocation gets a new one.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    ),
    Rule(
        "lambda-search-path",
        "The function's own code is found before what its layers have, and both before the runtime's packages.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-searchpath",
    ),
    Rule(
        "lambda-context",
        "A handler gets a context with the request's id, the function's name, memory and ARN, and the time left.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/python-context.html",
    ),
    Rule(
        "lambda-runtime-errors",
        "What goes wrong around a handler is Runtime.ImportModuleError, Runtime.HandlerNotFound or "
        "Runtime.MarshalError, with the messages of the runtime interface client.",
        Evidence.DOCUMENTED,
        "https://github.com/aws/aws-lambda-python-runtime-interface-client/blob/main/awslambdaric/bootstrap.py",
    ),
    Rule(
        "lambda-killed-message",
        "A process that is killed by a signal ends an invocation with 'Runtime exited with error: signal: killed'.",
        Evidence.INFERRED,
        "the message for an exit status has the same form, and reports of functions out of memory show this one",
    ),
)
"""Also those of `local.worker`, the process itself, which cannot import this package."""

_INIT_SECONDS = 60.0
"""For the imports. Lambda allows 10 before it begins again; a busy laptop may need more."""


class Died(Exception):
    """The process ended without an answer."""


class TimedOut(Exception):
    """The process was killed because the function's timeout was over."""


class Worker:
    """A warm process. Not for two invocations at the same time.

    Parameters
    ----------
    handler
        ``module.callable``.
    folders
        The function's code, then its layers: the start of ``sys.path``.
    environment
        All of it; nothing is inherited.
    log
        File that gets everything the process writes, with a line before and after each invocation.
    stream
        Account, region, group and stream of CloudWatch Logs that get the same.
    wait_factor
        How much of each wait between two tries of the SDK is waited for.
    """

    def __init__(
        self,
        handler: str,
        folders: Sequence[str],
        environment: dict[str, str],
        log: Path,
        stream: tuple[str, str, str, str],
        wait_factor: float,
    ) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._received = b""
        self._log = log
        self._stream = stream
        self._log_lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - a program of this repository
                # -I: neither the caller's variables nor its folder decide what is imported
                [sys.executable, "-I", "-u", str(Path(__file__).with_name("worker.py")),
                 str(theirs.fileno()), str(wait_factor), handler, *folders],
                env=environment,
                cwd=folders[0],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._copy_log, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether it can take an invocation."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait for the imports. Raises `Died`."""
        try:
            self._receive(time.monotonic() + _INIT_SECONDS)
        except TimedOut:
            raise Died(f"the function's imports took more than {_INIT_SECONDS:.0f} seconds") from None

    def invoke(self, request_id: str, payload: bytes, timeout: float, arn: str) -> dict[str, Any]:
        """Hand over one event and wait for ``{"payload": JSON text}`` or ``{"error": {...}}``.

        Raises
        ------
        TimedOut
            After ``timeout`` seconds; the process is killed.
        Died
            The process ended before it answered.
        """
        request = {
            "request_id": request_id,
            "payload": payload.decode(),
            "deadline": time.time() + timeout,
            "arn": arn,
            # Not sampled, so that nothing is sent to an X-Ray daemon that is not there.
            "trace": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent=53995c3f42cd8ad8;Sampled=0",
        }
        self._write_log(f"START RequestId: {request_id} Version: $LATEST")
        began = time.monotonic()
        try:
            self._channel.settimeout(timeout)
            self._channel.sendall(json.dumps(request).encode() + b"\n")
            return self._receive(began + timeout)
        except TimedOut:
            self.kill()
            self._write_log(f"{request_id} Task timed out after {timeout:.2f} seconds")
            raise
        except OSError as error:
            raise Died(self._death()) from error
        finally:
            duration = (time.monotonic() - began) * 1000
            self._write_log(
                f"END RequestId: {request_id}\nREPORT RequestId: {request_id} Duration: {duration:.2f} ms"
            )

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            left = until - time.monotonic()
            if left <= 0:
                raise TimedOut
            self._channel.settimeout(left)
            try:
                data = self._channel.recv(1 << 20)
            except TimeoutError:
                raise TimedOut from None
            except OSError:
                data = b""
            if not data:
                raise Died(self._death())
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.poll()
        if code is not None and code < 0:
            return f"Runtime exited with error: signal: {'killed' if code == -9 else -code}"
        return (
            f"Runtime exited with error: exit status {code}"
            if code
            else "Runtime exited without providing a reason"
        )

    def _copy_log(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as output:
            for line in output:
                self._write_log(line.decode(errors="replace").rstrip("\n"))

    def _write_log(self, text: str) -> None:
        with self._log_lock:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
            account, region, group, stream = self._stream
            metrics.take(account, region, text)
            # The group may have been deleted, or everything reset, while the process was still writing.
            with contextlib.suppress(Exception):
                backend = logs_backends[account][region]
                if group not in backend.groups:
                    backend.create_log_group(group, {})
                if stream not in backend.groups[group].streams:
                    backend.create_log_stream(group, stream)
                now = int(datetime.now(UTC).timestamp() * 1000)
                backend.put_log_events(group, stream, [{"timestamp": now, "message": text}])
