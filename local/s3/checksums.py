"""Checksums of objects and parts: how S3 computes, writes, refuses and tells them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from awscrt import checksums as crt

from local.evidence import Evidence, Rule
from local.s3.errors import S3Error, invalid_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DEFAULT_ALGORITHM = "CRC64NVME"
FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"

RULES = (
    Rule(
        "s3-default-checksum",
        "An object that is written without a checksum gets a CRC64NVME of the whole object.",
        Evidence.RECORDED,
        "s3/copy-checksums.json",
    ),
    Rule(
        "s3-checksum-is-compared",
        "A checksum that comes with a body is compared with it: 400 BadDigest; one that is no base64 of its "
        "algorithm's length is 400 InvalidRequest.",
        Evidence.RECORDED,
        "s3/checksum-values.json",
    ),
    Rule(
        "s3-one-checksum",
        "A request with checksums of two algorithms is 400 InvalidRequest.",
        Evidence.REPORTED,
        "https://github.com/versity/versitygw/blob/main/s3err/s3err.go",
    ),
    Rule(
        "s3-content-md5",
        "A Content-MD5 that does not match the body is 400 BadDigest, one that is no MD5 is 400 InvalidDigest.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    ),
)

_SIZES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
ALGORITHMS = tuple(_SIZES)
_TRAILER = re.compile(rb"\r\n0(?:;[^\r\n]*)?\r\n(x-amz-checksum-[a-z0-9]+):([^\r\n]+)\r\n", re.IGNORECASE)


def _crc(compute: Callable[[bytes], int], size: int) -> Callable[[bytes], bytes]:
    return lambda body: compute(body).to_bytes(size, "big")


_COMPUTE: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": _crc(zlib.crc32, 4),
    "CRC32C": _crc(crt.crc32c, 4),
    "CRC64NVME": _crc(crt.crc64nvme, 8),
    "SHA1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
}


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of an object.

    Parameters
    ----------
    algorithm
        One of `ALGORITHMS`.
    value
        Base64, without the number of parts.
    parts
        How many parts a COMPOSITE one was computed from; None for one of the whole object.
    """

    algorithm: str
    value: str
    parts: int | None = None

    @property
    def type(self) -> str:
        """COMPOSITE or FULL_OBJECT."""
        return FULL_OBJECT if self.parts is None else COMPOSITE

    @property
    def qualified(self) -> str:
        """The value as headers and results have it: a COMPOSITE one ends with the number of parts."""
        return self.value if self.parts is None else f"{self.value}-{self.parts}"

    def headers(self) -> dict[str, str]:
        """Return the headers that tell it."""
        return {header(self.algorithm): self.qualified, "x-amz-checksum-type": self.type}

    def members(self) -> dict[str, str]:
        """Return the elements that tell it."""
        return {f"Checksum{self.algorithm}": self.qualified, "ChecksumType": self.type}


def of_key(key: Any) -> Checksum | None:
    """Return the checksum of an object of moto; None for one from before S3 computed them by itself."""
    if key.checksum_algorithm is None:
        return None
    parts = key.checksum_parts if key.checksum_type == COMPOSITE else None
    return Checksum(key.checksum_algorithm, key.checksum_value, parts)


def put_on_key(key: Any, checksum: Checksum) -> None:
    """Give an object of moto its checksum."""
    key.checksum_algorithm, key.checksum_value = checksum.algorithm, checksum.value
    key.checksum_type, key.checksum_parts = checksum.type, checksum.parts


def header(algorithm: str) -> str:
    """Return the header that carries a value."""
    return f"x-amz-checksum-{algorithm.lower()}"


def compute(body: bytes, algorithm: str) -> str:
    """Return the checksum of a body, base64."""
    return base64.b64encode(_COMPUTE[algorithm](body)).decode()


def whole(body: bytes, algorithm: str) -> Checksum:
    """Return the checksum of a whole object."""
    return Checksum(algorithm, compute(body, algorithm))


def composite(parts: Iterable[bytes], algorithm: str) -> Checksum:
    """Return the checksum of the checksums of an object's parts.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    digests = [_COMPUTE[algorithm](part) for part in parts]
    return Checksum(algorithm, compute(b"".join(digests), algorithm), len(digests))


def is_value(text: str, algorithm: str) -> bool:
    """Whether a text can be a checksum of the algorithm."""
    try:
        return len(base64.b64decode(text, validate=True)) == _SIZES[algorithm]
    except binascii.Error:
        return False


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums in the headers of a request, by algorithm."""
    return {each: headers[header(each)] for each in ALGORITHMS if headers.get(header(each))}


def sent(request: Any) -> tuple[str, str] | None:
    """Return algorithm and value of the checksum that came with a body, in a header or behind the body.

    An algorithm alone (``x-amz-sdk-checksum-algorithm``) says nothing.

    Raises
    ------
    S3Error
        There are several, or the value cannot be one.
    """
    found = named(request.headers)
    if "x-amz-trailer" in request.headers and (trailer := _TRAILER.search(request.raw_body[-4096:])):
        found |= named({trailer[1].decode().lower(): trailer[2].decode().strip()})
    if len(found) > 1:
        raise invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    for algorithm, value in found.items():
        if not is_value(value, algorithm):
            raise invalid_request(f"Value for {header(algorithm)} header is invalid.")
        return algorithm, value
    return None


def check_body(request: Any, body: bytes) -> tuple[str, str] | None:
    """Compare a body with the MD5 and the checksum that came with it, and return the latter.

    Raises
    ------
    S3Error
        BadDigest, InvalidDigest or InvalidRequest; see `RULES`.
    """
    if given := request.headers.get("Content-MD5"):
        _check_md5(given, body)
    checksum = sent(request)
    if checksum and compute(body, checksum[0]) != checksum[1]:
        raise S3Error("BadDigest", f"The {checksum[0]} you specified did not match the calculated checksum.")
    return checksum


def _check_md5(given: str, body: bytes) -> None:
    try:
        valid = len(base64.b64decode(given, validate=True)) == 16
    except binascii.Error:
        valid = False
    if not valid:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() != given:
        raise S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.")
