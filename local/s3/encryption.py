"""Encryption of objects: SSE-S3, SSE-KMS with the states of its keys, and SSE-C."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends

from local import kms
from local.evidence import Evidence, Rule
from local.s3.errors import S3Error, access_denied, invalid_argument, invalid_request

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = (
    Rule(
        "s3-encryption-by-default",
        "Every object is encrypted: as the request says, else as the bucket says, else with SSE-S3 (AES256).",
        Evidence.RECORDED,
        "s3/sse-kms.json",
    ),
    Rule(
        "s3-kms-key-exists",
        "PutObject, CreateMultipartUpload and CopyObject under a KMS key that is not there, or in another region, are "
        "400 KMS.NotFoundException.",
        Evidence.RECORDED,
        "s3/sse-kms.json",
    ),
    Rule(
        "s3-kms-key-state",
        "GetObject and PutObject under a disabled KMS key are 400 KMS.DisabledException, under one that is pending "
        "deletion 400 KMS.KMSInvalidStateException.",
        Evidence.RECORDED,
        "s3/sse-kms.json",
    ),
    Rule(
        "s3-kms-key-state-elsewhere",
        "Copies, parts, completions and HeadObject with its checksum ask for the state of the key in the same way.",
        Evidence.INFERRED,
        "Each of them encrypts or decrypts with the key.",
    ),
    Rule(
        "s3-kms-etag",
        "Under SSE-KMS and SSE-C the ETag is no MD5, and a copy has another one.",
        Evidence.RECORDED,
        "s3/sse-kms.json",
    ),
    Rule(
        "s3-kms-managed-key",
        "An object under the AWS managed key aws/s3 can be decrypted only by principals of the key's own account.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk",
    ),
    Rule(
        "s3-sse-c",
        "An object under SSE-C is read and copied only with its key: 400 InvalidRequest without one, 403 AccessDenied "
        "with another one.",
        Evidence.RECORDED,
        "s3/sse-c.json",
    ),
)

_NAME = "x-amz-server-side-encryption"
_KEY_ID = f"{_NAME}-aws-kms-key-id"
_BUCKET_KEY = f"{_NAME}-bucket-key-enabled"
_CUSTOMER = f"{_NAME}-customer"
_SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer"
_MANAGED = "alias/aws/s3"
_STORED_ENCRYPTED = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
    "retrieve the object."
)
_SPECIFYING = "Requests specifying Server Side Encryption with Customer provided keys"
_WRONG_SECRET = f"{_SPECIFYING} must provide the correct secret key."


@dataclass(frozen=True, slots=True)
class Encryption:
    """How an object or an upload is encrypted.

    Parameters
    ----------
    algorithm
        ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; None under SSE-C.
    key_arn
        The KMS key.
    bucket_key
        Whether an S3 Bucket Key is used.
    customer
        MD5 of the customer's key, base64, under SSE-C.
    """

    algorithm: str | None = "AES256"
    key_arn: str | None = None
    bucket_key: bool = False
    customer: str | None = None

    @property
    def hides_digest(self) -> bool:
        """Whether ETags are no MD5, and a completion tells no checksum."""
        return self.key_arn is not None or self.customer is not None

    def headers(self) -> dict[str, str]:
        """Return the headers that tell it."""
        if self.customer:
            return {f"{_CUSTOMER}-algorithm": "AES256", f"{_CUSTOMER}-key-md5": self.customer}
        told = {_NAME: self.algorithm or ""}
        if self.key_arn:
            told[_KEY_ID] = self.key_arn
        if self.bucket_key:
            told[_BUCKET_KEY] = "true"
        return told

    def etag(self) -> str | None:
        """Return an ETag for new bytes when it is no MD5 of them, without quotes."""
        return secrets.token_hex(16) if self.hides_digest else None


def of(thing: Any) -> Encryption:
    """Return the encryption of an object or an upload of moto."""
    found: Encryption = getattr(thing, "encrypted", Encryption())
    return found


def put_on_key(key: Any, encryption: Encryption) -> None:
    """Give an object of moto its encryption."""
    key.encrypted = encryption
    key.encryption, key.kms_key_id = encryption.algorithm, encryption.key_arn
    key.bucket_key_enabled = True if encryption.bucket_key else None


def requested(headers: Mapping[str, str], bucket: Any, account: str) -> Encryption:
    """Return how a new object or upload is encrypted.

    Parameters
    ----------
    account
        Of the caller: whose key an id or an alias names.

    Raises
    ------
    S3Error
        The KMS key is not there or not usable, or the parameters of SSE-C are wrong.
    """
    algorithm, key_id = headers.get(_NAME), headers.get(_KEY_ID)
    bucket_key = headers.get(_BUCKET_KEY, "").lower() == "true"
    if customer := _customer(headers, _CUSTOMER, algorithm):
        return Encryption(algorithm=None, customer=customer)
    if not algorithm and bucket.encryption:
        rule = bucket.encryption["Rule"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        algorithm, key_id = default["SSEAlgorithm"], default.get("KMSMasterKeyID")
        bucket_key = bucket_key or str(rule.get("BucketKeyEnabled", False)).lower() == "true"
        account = bucket.account_id
    if not algorithm or algorithm == "AES256":
        return Encryption()
    key = _find_key(key_id or _MANAGED, account, bucket.region_name)
    _check_state(key)
    return Encryption(algorithm, key.arn, bucket_key)


def check_use(encryption: Encryption, account: str) -> None:
    """Refuse a caller of an account what needs the KMS key of an object or an upload.

    Raises
    ------
    S3Error
        AccessDenied, or the state of the key.
    """
    if encryption.key_arn is None:
        return
    _, _, _, region, owner, resource = encryption.key_arn.split(":", 5)
    key = kms_backends[owner][region].keys.get(resource.removeprefix("key/"))
    if key is None:
        raise _not_found(f"Key '{encryption.key_arn}' does not exist")
    if key.key_manager == "AWS" and owner != account:
        raise access_denied()
    _check_state(key)


def check_read(headers: Mapping[str, str], key: Any, *, source: bool = False) -> None:
    """Refuse to read an object under SSE-C without its key; ``source`` says that it is the source of a copy.

    Raises
    ------
    S3Error
        InvalidRequest, AccessDenied, or what is wrong about the parameters.
    """
    given = _customer(headers, _SOURCE_CUSTOMER if source else _CUSTOMER, None, reading=True)
    wanted = of(key).customer
    if given is None and wanted is not None:
        raise invalid_request(_STORED_ENCRYPTED)
    if given is not None and wanted is None:
        raise invalid_request("The encryption parameters are not applicable to this object.")
    if given != wanted:
        raise S3Error("AccessDenied", _WRONG_SECRET, 403)


def check_part(headers: Mapping[str, str], upload: Any) -> None:
    """Refuse a part of an upload under SSE-C without its key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html: the headers have to match those of the
    initiate request.
    """
    given, wanted = _customer(headers, _CUSTOMER, None), of(upload).customer
    if given is None and wanted is not None:
        raise invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the "
            "appropriate encryption parameters."
        )
    if given != wanted:
        raise invalid_request("The provided encryption parameters did not match the ones used originally.")


def _customer(
    headers: Mapping[str, str], prefix: str, other: str | None, *, reading: bool = False
) -> str | None:
    """Return the MD5 of the key that a request provides for SSE-C, after a look at the parameters."""
    algorithm, text, md5 = (headers.get(f"{prefix}-{name}") for name in ("algorithm", "key", "key-md5"))
    if not algorithm and not text:
        return None
    if other:
        raise invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            _NAME,
            other,
        )
    if not algorithm or not text:
        what = "a valid encryption algorithm" if not algorithm else "an appropriate secret key"
        raise invalid_argument(f"{_SPECIFYING} must provide {what}.", _NAME)
    if algorithm != "AES256":
        message = "The Encryption request you specified is not valid. Supported value: AES256."
        raise S3Error("InvalidEncryptionAlgorithmError", message, ArgumentName=_NAME, ArgumentValue=algorithm)
    return _check_secret(text, md5, reading=reading)


def _check_secret(text: str, md5: str | None, *, reading: bool) -> str:
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != 32:
        raise invalid_argument("The secret key was invalid for the specified algorithm.", _NAME)
    actual = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if not md5 and reading:
        raise S3Error("AccessDenied", _WRONG_SECRET, 403)
    if not md5:
        raise invalid_argument(
            f"{_SPECIFYING} must provide the client calculated MD5 of the secret key.", _NAME
        )
    if md5 != actual:
        raise invalid_argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.", _NAME
        )
    return actual


def _find_key(name: str, account: str, region: str) -> Any:
    """Return the KMS key that an id, an ARN or an alias names, from the view of a bucket in the region."""
    if name.startswith("arn:"):
        _, _, _, its_region, account, name = name.split(":", 5)
        if its_region != region:
            raise _not_found(f"Invalid arn {its_region}")
        name = name.removeprefix("key/")
    backend = kms_backends[account][region]
    arn = f"arn:{backend.partition}:kms:{region}:{account}"
    if name.startswith("alias/"):
        found = backend.get_key_id_from_alias(name)
        if found is None:
            raise _not_found(f"Alias {arn}:{name} is not found.")
        key = backend.keys[backend.get_key_id(found)]
        if name.startswith("alias/aws/"):
            key.key_manager = "AWS"
        return key
    if name in backend.keys:
        return backend.keys[name]
    raise _not_found(
        f"Key '{arn}:key/{name}' does not exist" if kms.ID.fullmatch(name) else f"Invalid keyId '{name}'"
    )


def _not_found(message: str) -> S3Error:
    return S3Error("KMS.NotFoundException", message)


def _check_state(key: Any) -> None:
    if key.key_state == "PendingDeletion":
        raise S3Error("KMS.KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if not key.enabled:
        raise S3Error("KMS.DisabledException", f"{key.arn} is disabled.")
