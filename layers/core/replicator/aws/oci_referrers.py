"""Finds what refers to an image: signatures, attestations, software bills of materials.

Three ways are in use: the referrers API, the tag ``sha256-<hex>`` that stands in for it where a
registry has no such API, and the tags of cosign.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from replicator.aws.oci_copy import MOST_LEVELS
from replicator.aws.oci_http import attempt
from replicator.aws.oci_manifest import OCI_INDEX, Manifest, digest_of, read_manifest
from replicator.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.aws.oci_copy import Copier
    from replicator.aws.oci_http import Answer

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")
MOST_REFERRERS = 200
MOST_PAGES = 50
"""A registry may give pages without an entry for ever."""
# No part can hold the beginning of another, so a long header takes no longer than it is.
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')


def fallback_tag(digest: str) -> str:
    """Give the tag under which an index of referrers is kept where there is no API for it."""
    return digest.replace(":", "-")


@dataclass
class Followers:
    """Copies what refers to an image that is at the destination already, without its tag.

    What the hub's registry does not take is left behind with the reason, and the image stays good:
    some registries refuse manifests with a ``subject``, and a model must not wait for that.
    https://github.com/aws/containers-roadmap/issues/2783
    """

    copier: Copier
    copied: int = 0
    left_behind: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def find(self, digest: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Give the descriptors of what refers to an image, and cosign's tags with their digests."""
        entries = self._list(digest)
        if entries is None:
            entries = self._list_by_tag(digest)
        tags: dict[str, str] = {}
        for suffix in COSIGN_SUFFIXES:
            tag = fallback_tag(digest) + suffix
            if found := self._try(self._sure, self.copier.source.head_manifest, tag):
                tags[tag] = found
        return entries, tags

    def copy(self, digest: str, entries: list[dict[str, Any]], tags: dict[str, str]) -> None:
        """Copy what `find` found, and what refers to that in its turn."""
        self._copy_entries(digest, entries)
        for tag, tagged in tags.items():
            self._try(self._copy_one, tagged, tag)

    def _copy_entries(self, subject: str, entries: list[dict[str, Any]], level: int = 1) -> None:
        done: list[dict[str, Any]] = []
        listed = True
        if len(entries) > MOST_REFERRERS:
            self.left_behind.append(
                f"more than {MOST_REFERRERS} manifests refer to {subject}: the others stay behind"
            )
        for entry in entries[:MOST_REFERRERS]:
            digest = str(entry["digest"])
            if digest in self._seen:
                continue
            self._seen.add(digest)
            answer = self._try(self._copy_one, digest, digest)
            if answer is None:
                continue
            done.append(entry)
            listed = listed and "oci-subject" in answer.headers
            # Signatures of attestations: only an API lists them at the price of one request each.
            further = self._list(digest)
            if further and level < MOST_LEVELS:
                self._copy_entries(digest, further, level + 1)
            elif further:
                self.left_behind.append(
                    f"what refers to {digest} stays behind: it is the {level}th in a chain"
                )
        if done and not listed:
            self._try(self._put_index, subject, done)

    def _copy_one(self, digest: str, reference: str) -> Answer:
        manifests = self.copier.tree(digest)
        self.copier.copy_blobs(manifests)
        for manifest in manifests[:-1]:
            self.copier.put(manifest, manifest.digest)
        answer = self.copier.put(manifests[-1], reference)
        self.copied += 1
        return answer

    def _put_index(self, subject: str, entries: list[dict[str, Any]]) -> None:
        """List the referrers under the fallback tag, for a registry that did not answer ``OCI-Subject``."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        raw = json.dumps(document, separators=(",", ":")).encode()
        self.copier.tally.expect(len(raw))
        self.copier.put(Manifest(raw, OCI_INDEX, digest_of(raw)), fallback_tag(subject))

    def _list(self, digest: str) -> list[dict[str, Any]] | None:
        """List the referrers of a manifest by the API; None where there is none."""
        entries: list[dict[str, Any]] = []
        page = digest
        pages = 0
        while len(entries) <= MOST_REFERRERS:
            pages += 1
            if pages > MOST_PAGES:
                self.left_behind.append(
                    f"the list of what refers to {digest} has more than {MOST_PAGES} pages: the others stay behind"
                )
                break
            try:
                answer = self._sure(self.copier.source.referrers, page)
            except PermanentError as error:
                self.left_behind.append(str(error))
                break
            if answer is None and page == digest:
                return None
            if answer is None:
                self.left_behind.append(
                    f"the list of what refers to {digest} ends early: {page} is not there"
                )
                break
            entries += self._try(self._entries, answer.body, answer.headers.get("content-type", "")) or []
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                break
            try:
                target = urlsplit(urljoin(answer.url, link[1]))
            except ValueError as error:
                self.left_behind.append(f"the list of what refers to {digest} ends early: {error}")
                break
            page = f"{target.path.partition('/referrers/')[2]}?{target.query}"
        return entries

    def _list_by_tag(self, digest: str) -> list[dict[str, Any]]:
        """List them by the tag that stands in for the API."""
        index = self._try(self._sure, self.copier.source.get_manifest, fallback_tag(digest))
        return (self._try(self._entries, index.raw, index.media_type) or []) if index else []

    def _entries(self, raw: bytes, content_type: str) -> list[dict[str, Any]]:
        # For its checks: it refuses what is no index, and entries without a digest.
        read_manifest(raw, content_type, self.copier.source.place.name)
        return list(json.loads(raw).get("manifests") or [])

    def _sure[**P, T](self, request: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        return attempt(lambda: request(*args, **more), self.copier.budget)

    def _try[**P, T](self, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T | None:
        """Do ``work``; what will never succeed is noted, what may pass fails the invocation."""
        try:
            return work(*args, **more)
        except PermanentError as error:
            self.left_behind.append(str(error))
            return None
