"""HTTP/1.1 for requests without a body: as much of it as the answers of S3 need, and no more.

``http.client`` makes an e-mail message of the headers of every answer and a new file for each, which costs
more than the signature. Here is only what is plain: whatever else comes raises `OddAnswerError`, and the
caller asks in another way.
"""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from io import BufferedReader

CONNECT_TIMEOUT = 5.0
"""Seconds to connect in, TLS included: botocore's clients have as many."""
_LONGEST_LINE = 65_536
_MOST_HEADERS = 200
_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9]{2})(?: .*)?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(r"([0-9A-Fa-f]{1,8})(?:;.*)?")


class OddAnswerError(Exception):
    """An answer (or a request) that is not plain enough to be read here, or that broke off."""


class Connection:
    """A connection that is kept. After any error it is closed, and opened again for the next request.

    Parameters
    ----------
    host
        With its port, where it is not the usual one.
    context
        For TLS; None is without.
    """

    def __init__(self, host: str, context: ssl.SSLContext | None) -> None:
        self._connection = (
            http.client.HTTPSConnection(host, timeout=CONNECT_TIMEOUT, context=context)
            if context
            else http.client.HTTPConnection(host, timeout=CONNECT_TIMEOUT)
        )
        self._answers: BufferedReader | None = None

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request and read its answer: status, headers as they are spelled, body.

        Parameters
        ----------
        timeout
            Seconds in which the server has to say something.

        Raises
        ------
        OddAnswerError, OSError
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        request = f"{method} {target} HTTP/1.1\r\n{lines}content-length: 0\r\n\r\n"
        if request.count("\n") != len(headers) + 3:
            raise OddAnswerError("a header with a line break")
        try:
            if self._answers is None:
                self._connection.connect()
                self._answers = self._connection.sock.makefile("rb")
            self._connection.sock.settimeout(timeout)
            self._connection.sock.sendall(request.encode("latin-1"))
            return self._answer(self._answers, method == "HEAD")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        self._connection.close()

    def _answer(self, answers: BufferedReader, without_body: bool) -> tuple[int, dict[str, str], bytes]:
        status = _STATUS.fullmatch(_line(answers))
        if status is None:
            raise OddAnswerError("another status line than that of HTTP/1.1")
        headers: dict[str, str] = {}
        framing = {"content-length": "", "transfer-encoding": "", "connection": ""}
        while line := _line(answers):
            name, colon, value = line.partition(":")
            if not colon or name[0] in " \t" or len(headers) == _MOST_HEADERS:
                raise OddAnswerError("headers that are not plain")
            headers[name] = value = value.strip()
            if name.lower() in framing:
                framing[name.lower()] = value.lower()
        body = b"" if without_body or status[1] == "204" else _body(answers, framing)
        if framing["connection"] == "close":
            self.close()
        return int(status[1]), headers, body


def _line(answers: BufferedReader) -> str:
    line = answers.readline(_LONGEST_LINE)
    if line[-2:] != b"\r\n":
        raise OddAnswerError("an answer that broke off, or a line without an end")
    return line[:-2].decode("latin-1")


def _body(answers: BufferedReader, framing: Mapping[str, str]) -> bytes:
    if framing["transfer-encoding"] == "chunked":
        body = b""
        while size := _chunk_size(answers):
            body += _exactly(answers, size)
            if _line(answers):
                raise OddAnswerError("a chunk without an end")
        while _line(answers):
            pass  # trailers
        return body
    if framing["transfer-encoding"] or not _LENGTH.fullmatch(framing["content-length"]):
        raise OddAnswerError("a body without a length")
    return _exactly(answers, int(framing["content-length"]))


def _chunk_size(answers: BufferedReader) -> int:
    size = _CHUNK.fullmatch(_line(answers))
    if size is None:
        raise OddAnswerError("a chunk without a size")
    return int(size[1], 16)


def _exactly(answers: BufferedReader, size: int) -> bytes:
    body = answers.read(size)
    if len(body) != size:
        raise OddAnswerError("a body that broke off")
    return body
