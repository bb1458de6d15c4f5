"""AWS KMS as it answers, where moto does not: ids that are none, states of a key by its ARN, and its description."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from moto.kms.exceptions import NotFoundException
from moto.kms.models import Key, KmsBackend
from moto.kms.responses import KmsResponse

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = (
    Rule(
        "kms-unknown-key",
        "A key that is not there is 400 NotFoundException with its ARN, an id that cannot be one says so.",
        Evidence.RECORDED,
        "kms/unknown-keys.json",
    ),
    Rule(
        "kms-description",
        "A key is described with its usage, whether it is of several regions, and the id of its material.",
        Evidence.RECORDED,
        "kms/unknown-keys.json",
    ),
    Rule(
        "kms-state-by-arn",
        "DisableKey, EnableKey, ScheduleKeyDeletion and CancelKeyDeletion take the ARN of a key as well as its id.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html",
    ),
)

ID = re.compile(r"(mrk-[0-9a-f]{32}|(mrk-)?[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})", re.IGNORECASE)
_BY_ID = ("disable_key", "enable_key", "cancel_key_deletion", "schedule_key_deletion")


def install(patch: Callable[[Any, str, Any], None]) -> None:
    """Patch moto's KMS; see `RULES`."""
    for owner, name, wrap in patches():
        patch(owner, name, wrap(getattr(owner, name)))


def patches() -> list[tuple[Any, str, Callable[[Any], Any]]]:
    """Return what of moto is replaced: its owner, its name, and what makes the new one of the old."""
    return [
        (KmsResponse, "_validate_cmk_id", _validating),
        (Key, "to_dict", _describing),
        *((KmsBackend, name, _by_id) for name in _BY_ID),
    ]


def _validating(old: Any) -> Any:
    @functools.wraps(old)
    def validate(self: Any, key_id: str) -> None:
        if not ID.fullmatch(self.kms_backend.get_key_id(key_id)):
            raise NotFoundException(f"Invalid keyId '{key_id}'")
        if self.kms_backend.get_key_id(key_id) not in self.kms_backend.keys:
            raise NotFoundException(f"Key '{self._display_arn(key_id)}' does not exist")

    return validate


def _describing(old: Any) -> Any:
    @functools.wraps(old)
    def to_dict(self: Any) -> Any:
        described = old(self)
        told = described["KeyMetadata"]
        told |= {"KeyUsage": self.key_usage or "ENCRYPT_DECRYPT", "MultiRegion": bool(self.multi_region)}
        if told["KeyUsage"] == "ENCRYPT_DECRYPT":
            told.pop("SigningAlgorithms", None)
            told["CurrentKeyMaterialId"] = self.id.replace("-", "").removeprefix("mrk").ljust(64, "0")
        return described

    return to_dict


def _by_id(old: Any) -> Any:
    @functools.wraps(old)
    def change(self: Any, key_id: str, *args: Any, **more: Any) -> Any:
        return old(self, self.get_key_id(key_id), *args, **more)

    return change
