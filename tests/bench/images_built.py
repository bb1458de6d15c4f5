"""Builds an image for benchmarks, of any size, without holding a layer in memory.

The layers are real: gzipped archives of one file of random bytes each. That matters, because a tool may look into
a layer to see whether it is compressed, and compress it if it is not.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class BuiltImage:
    """An image in files: each blob's is named by its digest."""

    folder: Path
    blobs: tuple[tuple[str, int], ...]
    """Digest and size."""
    manifest: Path
    digest: str

    @property
    def size(self) -> int:
        """Count the bytes of all blobs."""
        return sum(size for _, size in self.blobs)


def build(folder: Path, layers: int, layer_bytes: int) -> BuiltImage:
    """Build an image of some layers of a size each; the same numbers give the same digests."""
    folder.mkdir()
    written = [_layer(folder, number, layer_bytes) for number in range(layers)]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, _, diff_id in written]},
        }
    ).encode()
    blobs = [_file(folder, config), *((digest, size) for digest, size, _ in written)]
    entries = [
        {"mediaType": LAYER if number else CONFIG, "digest": digest, "size": size}
        for number, (digest, size) in enumerate(blobs)
    ]
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": entries[0], "layers": entries[1:]}
    digest, _ = _file(folder, json.dumps(document).encode())
    return BuiltImage(folder, tuple(blobs), folder / digest, digest)


class _Random(io.RawIOBase):
    def __init__(self, seed: int, size: int) -> None:
        self._random, self._left = random.Random(seed), size  # noqa: S311 - nothing secret

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        self._left -= size
        return self._random.randbytes(size)


class _Hashing(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write
        self.hasher = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hasher.update(data)
        self.size += len(data)
        self._write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self.hasher.hexdigest()}"


def _layer(folder: Path, number: int, size: int) -> tuple[str, int, str]:
    draft = folder / "draft"
    with draft.open("wb") as file:
        packed = _Hashing(file.write)
        with gzip.GzipFile("", "wb", compresslevel=0, fileobj=packed, mtime=0) as zipped:
            plain = _Hashing(zipped.write)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                entry = tarfile.TarInfo(f"opt/ml/part-{number}")
                entry.size = size
                archive.addfile(entry, _Random(number, size))
    draft.rename(folder / packed.digest)
    return packed.digest, packed.size, plain.digest


def _file(folder: Path, data: bytes) -> tuple[str, int]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (folder / digest).write_bytes(data)
    return digest, len(data)
