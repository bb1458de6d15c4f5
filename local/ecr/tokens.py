"""Authorization tokens: who asked for one, signed so that nobody makes his own.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html: good for twelve
hours, and for whatever registry its owner may use, not only the one it was asked for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

from local.evidence import Evidence, Rule

LIFETIME_SECONDS = 12 * 3600

RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-token",
        "A token is good for twelve hours, for every registry that its owner may use.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html",
    ),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    account: str
    region: str
    access_key: str
    role_arn: str | None = None


class TokenError(Exception):
    """The token is not one of ours, or too old."""


class Tokens:
    """Makes tokens and reads them."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self.issued = 0
        """How many there are by now."""
        self._expired = 0

    def expire(self) -> None:
        """Let every token that was issued so far be too old."""
        self._expired = self.issued

    def issue(self, caller: Caller, now: float | None = None) -> str:
        """Give the ``authorizationToken``: base64 of ``AWS:<password>``."""
        self.issued += 1
        expires = (time.time() if now is None else now) + LIFETIME_SECONDS
        claims = json.dumps(asdict(caller) | {"expires": expires, "number": self.issued}).encode()
        password = base64.urlsafe_b64encode(self._sign(claims) + claims)
        return base64.b64encode(b"AWS:" + password).decode()

    def read(self, authorization: str) -> Caller:
        """Read the value of an ``Authorization`` header. Raises `TokenError`."""
        try:
            kind, _, token = authorization.partition(" ")
            user, _, password = base64.b64decode(token, validate=True).partition(b":")
            signed = base64.urlsafe_b64decode(password)
        except (binascii.Error, ValueError) as error:
            raise TokenError("Not Authorized") from error
        signature, claims = signed[:32], signed[32:]
        genuine = hmac.compare_digest(signature, self._sign(claims))
        if kind.lower() != "basic" or user != b"AWS" or not genuine:
            raise TokenError("Not Authorized")
        said = json.loads(claims)
        old = said.pop("number") <= self._expired
        if said.pop("expires") < time.time() or old:
            raise TokenError("Your authorization token has expired. Reauthenticate and try again.")
        return Caller(**said)

    def _sign(self, claims: bytes) -> bytes:
        return hmac.digest(self._secret, claims, hashlib.sha256)
