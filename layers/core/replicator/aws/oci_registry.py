"""One repository in a registry that speaks the OCI Distribution API, seen as what a copy needs of it.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from replicator.aws.oci_codes import ABSENT, ACCESS, NOT_YET, Code, codes_of, text_of
from replicator.aws.oci_http import Answer, TransientError, origin, retry_after
from replicator.aws.oci_manifest import ACCEPT, Descriptor, Manifest, digest_of, read_manifest, refuse_large
from replicator.errors import ErrorCode, PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replicator.aws.oci_http import Connections, Incoming

MOST_REDIRECTS = 5
_NO_API = frozenset({400, 404, 405})
"""What registries without the referrers API say; the specification has 404."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Side(StrEnum):
    """Which end of the copy a registry is: who has to do something when it refuses."""

    SOURCE = "source"
    HUB = "hub"


@dataclass
class Registry:
    """Where a registry is and what lets us in.

    Parameters
    ----------
    base_url
        For instance ``https://111122223333.dkr.ecr.eu-west-1.amazonaws.com``, without ``/v2``.
    authorization
        Value of the ``Authorization`` header, None for none. It goes to this scheme, host and port only.
    renew
        Gives another value when this one is refused, which it is when it has expired. Called once: a copy
        lives for minutes.
    redirects_to
        Whether a registry that is reached by https may redirect to another host, by its name; none by default.
    """

    base_url: str
    authorization: str | None = None
    renew: Callable[[], str] | None = None
    redirects_to: Callable[[str], bool] = lambda _: False
    _renewed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def renew_authorization(self, refused: str) -> bool:
        """Tell whether there is another token than the one that was refused, which several threads may have sent."""
        with self._lock:
            if self.authorization == refused and self.renew and not self._renewed:
                self.authorization, self._renewed = self.renew(), True
            return self.authorization != refused

    def __repr__(self) -> str:
        return f"Registry({self.base_url!r})"


@dataclass(frozen=True)
class Place:
    """A repository in a registry; ``label`` is what people know it by."""

    registry: Registry
    repository: str
    label: str = ""
    mount_from: tuple[str, ...] = ()
    """Repositories of the same registry that may hold some of the blobs already: they are mounted, not sent.
    Amazon ECR does so where its account setting BLOB_MOUNTING is on and both are encrypted alike.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html"""

    @property
    def name(self) -> str:
        """Name the repository for people."""
        return self.label or f"{urlsplit(self.registry.base_url).netloc}/{self.repository}"

    def image(self, reference: str) -> str:
        """Name an image in it for people."""
        return f"{self.name}{'@' if ':' in reference else ':'}{reference}"


class Repository:
    """The requests of a copy. None of them tries twice: that is for `oci_http.attempt`.

    Each raises `TransientError` for what may pass and `PermanentError` for what will not.
    """

    def __init__(self, place: Place, side: Side, connections: Connections) -> None:
        self.place = place
        self.side = side
        self.connections = connections
        self._neighbours = deque(place.mount_from)
        self._neighbours_lock = threading.Lock()
        self._invalid: set[str] = set()
        """Digests of the blobs of which an upload was called invalid after all their bytes had been sent."""

    def head_manifest(self, reference: str) -> str | None:
        """Tell the digest that a tag or digest stands for, without its bytes; None when it is not there."""
        answer = self._request("HEAD", f"manifests/{reference}", {"Accept": ACCEPT})
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self.failure(answer, f"looking for {self.place.image(reference)}")
        # The specification only says SHOULD: without the header the bytes tell.
        return answer.headers.get("docker-content-digest") or self._need_manifest(reference).digest

    def get_manifest(self, reference: str) -> Manifest | None:
        """Fetch a manifest; by digest, it is checked against it. None when it is not there."""
        answer = self._request("GET", f"manifests/{reference}", {"Accept": ACCEPT})
        image = self.place.image(reference)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self.failure(answer, f"fetching the manifest of {image}")
        refuse_large(answer.body, image)
        if ":" in reference and digest_of(answer.body) != reference:
            raise PermanentError(
                ErrorCode.DIGEST_MISMATCH,
                f"the manifest of {image} came with other bytes ({digest_of(answer.body)}). "
                "Pull the image to see whether its registry is damaged; push it again if so.",
            )
        return read_manifest(answer.body, answer.headers.get("content-type", ""), image)

    def put_manifest(self, manifest: Manifest, reference: str) -> Answer:
        """Put a manifest's own bytes under a tag or its digest; the caller judges what is answered."""
        return self._request(
            "PUT", f"manifests/{reference}", {"Content-Type": manifest.media_type}, manifest.raw
        )

    def has_blob(self, blob: Descriptor) -> bool:
        """Tell whether a blob is there."""
        answer = self._request("HEAD", f"blobs/{blob.digest}", {})
        if answer.status in _REDIRECTS:
            return True
        if answer.status not in (200, 404):
            raise self.failure(answer, f"looking for {blob.digest} in {self.place.name}")
        return answer.status == 200

    @contextmanager
    def open_blob(self, blob: Descriptor) -> Iterator[Incoming]:
        """Open a blob for reading, wherever the registry keeps it."""
        url = self._url(f"blobs/{blob.digest}")
        for _ in range(MOST_REDIRECTS):
            with self.connections.open("GET", url, self._headers(url, {})) as incoming:
                if incoming.response.status == 200:
                    self._refuse_web_page(
                        incoming.response.headers.get("Content-Type"), f"blobs/{blob.digest}"
                    )
                    yield incoming
                    return
                answer = incoming.answer(incoming.read(64 * 1024), url)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                raise self.failure(answer, f"reading {blob.digest} from {self.place.name}")
            url = self._follow(url, answer.headers["location"])
        raise self._protocol(f"{blob.digest} is redirected more than {MOST_REDIRECTS} times")

    def begin_upload(self, blob: Descriptor) -> str | None:
        """Open an upload session and give its URL; None when the blob was mounted instead.

        A registry that does not mount answers with a session all the same, so asking costs nothing. It is asked
        about one neighbour for each blob, because every further question would leave a session behind.
        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository
        """
        with self._neighbours_lock:
            neighbour = self._neighbours[0] if self._neighbours else None
        answer = self._post_upload(blob, neighbour)
        if neighbour:
            if answer.status == 201:
                return None
            if answer.status == 202:
                self._put_last(neighbour)  # the next blob may be in another
            elif 400 <= answer.status < 500 and answer.status not in (408, 429):
                # It is not there yet, or may not be read: that is no reason not to send the blob.
                self._remove(neighbour)
                answer = self._post_upload(blob, None)
        doing = f"opening an upload to {self.place.name}"
        if answer.status == 404:
            # Made a moment ago, or removed under our feet: the next invocation makes it again.
            raise TransientError(ErrorCode.SERVICE_UNAVAILABLE, f"{doing}: the repository is not there")
        if answer.status != 202:
            raise self.failure(answer, doing)
        if "location" not in answer.headers:
            raise self._protocol(f"{doing}: no Location came")
        return self._follow(answer.url, answer.headers["location"])

    def _put_last(self, neighbour: str) -> None:
        """Ask the other neighbours first from now on, unless another thread, which asked the same one, saw to that."""
        with self._neighbours_lock:
            if self._neighbours and self._neighbours[0] == neighbour:
                self._neighbours.rotate(-1)

    def _remove(self, neighbour: str) -> None:
        with self._neighbours_lock, suppress(ValueError):
            self._neighbours.remove(neighbour)

    def _post_upload(self, blob: Descriptor, neighbour: str | None) -> Answer:
        mount = f"?mount={quote(blob.digest, safe='')}&from={quote(neighbour, safe='')}" if neighbour else ""
        return self._request("POST", f"blobs/uploads/{mount}", {"Content-Length": "0"})

    def upload(self, session: str, blob: Descriptor, chunks: Iterable[memoryview]) -> None:
        """Send a whole blob to an upload session in one request, which also completes it."""
        url = f"{session}{'&' if urlsplit(session).query else '?'}digest={quote(blob.digest, safe='')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        sent = 0

        def counted() -> Iterator[memoryview]:
            nonlocal sent
            for chunk in chunks:
                yield chunk
                sent += len(chunk)

        answer = self.connections.upload("PUT", url, self._headers(url, headers), counted())
        if answer.status in (201, 204):
            return
        doing = f"completing {blob.digest} in {self.place.name}"
        if answer.status in (400, 416) and Code.BLOB_UPLOAD_INVALID in codes_of(answer.body):
            failure = self._invalid_upload(answer, blob, doing, whole=sent == blob.size)
        else:
            failure = self.failure(answer, doing)
        # Another copy of the same blob may have been quicker, which a registry may take for a conflict.
        if isinstance(failure, PermanentError) and answer.status not in (401, 403) and self.has_blob(blob):
            return
        raise failure

    def _invalid_upload(
        self, answer: Answer, blob: Descriptor, doing: str, *, whole: bool
    ) -> TransientError | PermanentError:
        """Say what ``BLOB_UPLOAD_INVALID`` means: only its text tells one of its meanings from another.

        What was sent was compared with the digest on its way, so the registry should not see another one. A session
        that went wrong is over with a new upload, in one request from the first byte. What is refused again in that
        way, whole and not empty, can only have another digest at the registry.
        """
        words = f"{answer.status} {text_of(answer.body)}"
        said = f"{doing}: the hub's registry called the upload invalid ({words})"
        if blob.size == 0:
            return PermanentError(
                ErrorCode.IMAGE_REJECTED,
                f"{said}. The layer has no bytes, and Amazon ECR takes no empty layer: build the image without it.",
            )
        # 416: a part that does not follow the part before it (apple/container#1895).
        about_content = whole and answer.status == 400
        if about_content and blob.digest in self._invalid:
            return PermanentError(
                ErrorCode.DIGEST_MISMATCH,
                f"{said}, twice, though the bytes that were sent have this digest: they were changed on their way to "
                "the registry. Look for a proxy between the copy-image function and the registry, then redrive.",
            )
        if about_content:
            self._invalid.add(blob.digest)
        return TransientError(ErrorCode.SERVICE_UNAVAILABLE, said)

    def referrers(self, page: str) -> Answer | None:
        """Ask for what refers to a manifest, by its digest or where a further page is. None when it is not there."""
        answer = self._request("GET", f"referrers/{page}", {"Accept": ACCEPT})
        if answer.status in _NO_API and not codes_of(answer.body) & (ACCESS | {Code.TOOMANYREQUESTS}):
            return None
        if answer.status != 200:
            raise self.failure(answer, f"listing what refers to {self.place.image(page)}")
        return answer

    def failure(self, answer: Answer, doing: str) -> TransientError | PermanentError:
        """Say what an answer means that is no success: by its status, and by its codes where they say more."""
        codes = codes_of(answer.body)
        said = f"{answer.status} {text_of(answer.body)}".strip()
        if answer.status == 429 or Code.TOOMANYREQUESTS in codes:
            return TransientError(ErrorCode.THROTTLED, f"{doing}: throttled ({said})", retry_after(answer))
        if answer.status >= 500 or answer.status == 408:
            return TransientError(
                ErrorCode.SERVICE_UNAVAILABLE, f"{doing}: the registry failed ({said})", retry_after(answer)
            )
        if answer.status in (401, 403) or codes & ACCESS:
            # Has the token expired, or may we not? Words that tell do not come with every answer: HEAD has none.
            if answer.authorization and self.place.registry.renew_authorization(answer.authorization):
                return TransientError(ErrorCode.SERVICE_UNAVAILABLE, f"{doing}: {said}")
            return self._denied(answer, f"{doing}: {said}")
        if answer.status < 400:
            return self._protocol(f"{doing}: an unexpected answer came ({said})")
        if self.side is Side.HUB:
            return _refused_by_hub(codes, f"{doing}: the hub's registry refused it ({said}).")
        if answer.status == 404 or codes & ABSENT:
            return PermanentError(
                ErrorCode.SOURCE_IMAGE_MISSING,
                f"{doing}: it is not there ({said}). Push the image again, then redrive.",
            )
        return self._protocol(f"{doing}: the registry refused it ({said})")

    def _need_manifest(self, reference: str) -> Manifest:
        manifest = self.get_manifest(reference)
        if manifest is None:
            raise self._protocol(f"{self.place.image(reference)} is there for HEAD and not for GET")
        return manifest

    def _denied(self, answer: Answer, what: str) -> PermanentError:
        if self.side is Side.HUB:
            return PermanentError(
                ErrorCode.HUB_ACCESS_DENIED,
                f"{what}. The role of the copy-image function must be allowed to push to {self.place.name}; "
                "deploy the hub's stack again.",
            )
        elsewhere = origin(answer.url) != origin(self.place.registry.base_url)
        hint = (
            f"Layers come from {origin(answer.url)[1]}: a network or endpoint policy must let the hub read there."
            if elsewhere
            else f"The spoke's read role must be allowed to pull from {self.place.name}: deploy spoke.yaml "
            "there, and look at the repository's own policy."
        )
        return PermanentError(ErrorCode.SOURCE_ACCESS_DENIED, f"{what}. {hint}")

    def _protocol(self, what: str) -> PermanentError:
        return PermanentError(
            ErrorCode.REGISTRY_PROTOCOL,
            f"{what}. Check that {self.place.registry.base_url} is a registry and not answered by a proxy.",
        )

    def _follow(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            scheme, host, _ = origin(target)
        except ValueError as error:
            raise self._protocol(
                f"{self.place.name} redirects to an address that is none: {error}"
            ) from error
        registry = self.place.registry
        if urlsplit(url).scheme == "https":
            if scheme != "https":
                raise self._protocol(f"{self.place.name} redirects from https to {scheme}")
            if origin(target) != origin(registry.base_url) and not registry.redirects_to(host):
                raise self._protocol(f"{self.place.name} redirects to {host}, which is not a host of its own")
        return target

    def _url(self, path: str) -> str:
        return f"{self.place.registry.base_url.rstrip('/')}/v2/{self.place.repository}/{path}"

    def _headers(self, url: str, headers: dict[str, str]) -> dict[str, str]:
        """Add the credentials, for the registry itself: object storage gets a presigned URL instead."""
        registry = self.place.registry
        own = {"User-Agent": "model-registry-replicator", **headers}
        if registry.authorization and origin(url) == origin(registry.base_url):
            own["Authorization"] = registry.authorization
        return own

    def _request(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        url = self._url(path)
        answer = self.connections.request(method, url, self._headers(url, headers), body)
        if answer.status < 300:
            self._refuse_web_page(answer.headers.get("content-type"), path)
        return answer

    def _refuse_web_page(self, content_type: str | None, path: str) -> None:
        if "html" in (content_type or ""):
            raise self._protocol(f"a web page came from {self.place.name} for {path}")


def _refused_by_hub(codes: frozenset[str], what: str) -> TransientError | PermanentError:
    if Code.DIGEST_INVALID in codes:
        return PermanentError(ErrorCode.DIGEST_MISMATCH, what)
    if codes & NOT_YET:
        return TransientError(ErrorCode.SERVICE_UNAVAILABLE, what)
    return PermanentError(ErrorCode.IMAGE_REJECTED, what)
