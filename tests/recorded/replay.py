"""Replays recorded answers of real AWS against the local AWS and compares everything.

A recording is a JSON file ``tests/recorded/<service>/<subject>.json``::

    {"source": {"repository": ..., "commit": ..., "licence": ...},
     "recordings": [{"test" or "source": ..., "recorded": ..., "shows": ..., "content": {key: answer}}]}

A test names the recording, makes each request again, and hands the call over under the key of its answer::

    @replays("s3/multipart-null-mode.json", "test_multipart_size_validation")
    def test_size(replay: Replay, s3: S3Client) -> None:
        upload = replay("create-mpu", lambda: s3.create_multipart_upload(Bucket=..., Key=...))

Status, code, message and all members have to be the recorded ones, in both directions: a member that is recorded has
to be there, and one that is not recorded must not be there. A key that no call replays fails the test, too.

Placeholders of a recording:

- ``<name>`` and ``<name:1>``, anywhere in a string, stand for one value in the whole recording: the first answer
  binds it, or the test does by `Replay.bind`. Placeholders of one kind (``<name:1>``, ``<name:2>``) differ.
- ``datetime`` stands for any time.
- A string that is the member's own name in kebab case (``"DisplayName": "display-name"``) stands for any string,
  and so do the words that the test names by `Replay.anything`.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FOLDER = Path(__file__).parent
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w-]*(?::\d+)?>")
_ANY_TIME = {"datetime", "date", "<datetime>"}


class RecordingError(Exception):
    """A file of recordings is damaged, or says not where it comes from. The message begins with its name."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a file.

    Parameters
    ----------
    file
        Relative to ``tests/recorded``: ``s3/sse-c.json``.
    name
        The test or the thread that it comes from.
    content
        The answers by their keys.
    """

    file: str
    name: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Differing:
    """A difference that is meant to stay.

    Parameters
    ----------
    path
        Pattern (as of a shell) of the place: ``list-parts/Parts/0/ETag``, ``*/Initiator/DisplayName``.
    reason
        Why the local AWS need not do it.
    """

    path: str
    reason: str


def files(folder: Path = FOLDER) -> list[str]:
    """Return every file of recordings, relative to the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))


def load(file: str, folder: Path = FOLDER) -> list[Recording]:
    """Read and validate a file.

    Raises
    ------
    RecordingError
        The file cannot be read, or a recording lacks its source, licence, date or content.
    """
    try:
        data = json.loads((folder / file).read_text(encoding="utf-8"))
        source, recordings = data["source"], data["recordings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"{file}: damaged: {error!r}") from error
    if not (isinstance(source, dict) and source.get("licence")):
        raise RecordingError(f"{file}: its source names no licence")
    if not (isinstance(recordings, list) and recordings):
        raise RecordingError(f"{file}: it has no recordings")
    return [_recording(file, source, number, each) for number, each in enumerate(recordings)]


def _recording(file: str, source: dict[str, Any], number: int, data: Any) -> Recording:
    place = f"{file}: recording {number}"
    if not isinstance(data, dict):
        raise RecordingError(f"{place}: damaged: not an object")
    name = data.get("test") or data.get("source")
    if not (isinstance(name, str) and name):
        raise RecordingError(f"{place}: it names neither test nor source")
    if "test" in data and not (source.get("repository") and source.get("commit")):
        raise RecordingError(f"{place}: it is a test of no repository or commit")
    date = data.get("recorded")
    if not (isinstance(date, str) and (date.startswith("not dated") or re.search(r"\b20\d\d\b", date))):
        raise RecordingError(f"{place}: it has no date; one that nobody knows is 'not dated'")
    if not data.get("shows"):
        raise RecordingError(f"{place}: it does not say what it shows")
    content = data.get("content")
    if not (isinstance(content, dict) and content):
        raise RecordingError(f"{place}: it has no content")
    return Recording(file, name, content)


@dataclass(frozen=True, slots=True)
class Reference:
    """Names a recording: its file, and the end of its test's name or a part of its source."""

    file: str
    name: str

    def load(self) -> Recording:
        """Read the recording.

        Raises
        ------
        RecordingError
            The file is damaged, or has not exactly one recording of that name.
        """
        every = load(self.file)
        found = [each for each in every if each.name.endswith(f"::{self.name}")]
        found = found or [each for each in every if self.name in each.name]
        if len(found) != 1:
            raise RecordingError(f"{self.file}: {len(found)} recordings are named {self.name}")
        return found[0]


class Replay:
    """A recording whose requests are made again.

    Parameters
    ----------
    recording
        What real AWS answered.
    differing
        Differences that stay. One that does not occur fails the replay, so that it goes.
    """

    def __init__(self, recording: Recording, differing: Sequence[Differing] = ()) -> None:
        self.recording = recording
        self._differing = differing
        self._occurred: set[Differing] = set()
        self._left = set(recording.content)
        self._bound: dict[str, str] = {}
        self._anything: set[str] = set()

    def anything(self, *words: str) -> None:
        """Say which further words of the recording stand for any string: ``owner-id``."""
        self._anything.update(words)

    def __call__(self, key: str, call: Callable[[], Any], *, within: str | None = None) -> Any:
        """Make a request and compare its answer with the recorded one.

        Parameters
        ----------
        key
            The key of the recorded answer.
        call
            Makes the request. A ``ClientError`` is an answer, too.
        within
            The member of the answer that was recorded, if not the whole answer was.

        Returns
        -------
        The answer as botocore gave it, with a body read to a text.
        """
        answer = answer_of(call)
        self.compare(key, answer[within] if within else answer)
        return answer

    def compare(self, key: str, answer: Any) -> None:
        """Compare an answer that was got already with the recorded one; see the module."""
        if key not in self.recording.content:
            pytest.fail(f"{self.recording.file}: {self.recording.name} has no answer {key}")
        self._left.discard(key)
        different = [
            (path, text)
            for path, text in self._differences(key, self.recording.content[key], answer)
            if not self._is_meant(path)
        ]
        if different:
            told = "\n".join(f"  {path}: {text}" for path, text in different)
            pytest.fail(
                f"{self.recording.file}: {self.recording.name}: {key} differs\n{told}\nanswer: {answer!r}"
            )

    def __getitem__(self, placeholder: str) -> str:
        """Return the value of a placeholder."""
        return self._bound[placeholder]

    def bind(self, placeholder: str, value: str) -> str:
        """Say what a placeholder stands for, before an answer has it."""
        self._bound[placeholder] = value
        return value

    def finish(self) -> None:
        """Fail for answers that were not replayed, and for differences that do not occur."""
        if self._left:
            pytest.fail(f"{self.recording.file}: {self.recording.name}: not replayed: {sorted(self._left)}")
        if idle := [each.path for each in self._differing if each not in self._occurred]:
            pytest.fail(f"{self.recording.file}: {self.recording.name}: these do not differ any more: {idle}")

    def _is_meant(self, path: str) -> bool:
        meant = [each for each in self._differing if fnmatchcase(path, each.path)]
        self._occurred.update(meant)
        return bool(meant)

    def _differences(self, path: str, recorded: Any, local: Any) -> Iterator[tuple[str, str]]:
        if isinstance(recorded, dict):
            local = _parsed(local)
            if not isinstance(local, dict):
                yield path, f"recorded {recorded!r}, local {local!r}"
                return
            for name in sorted(recorded.keys() | local.keys()):
                yield from self._member(f"{path}/{name}", name, recorded, local)
        elif isinstance(recorded, list):
            local = _parsed(local)
            if not isinstance(local, list) or len(local) != len(recorded):
                yield path, f"recorded {recorded!r}, local {local!r}"
                return
            for number, (theirs, ours) in enumerate(zip(recorded, local, strict=True)):
                yield from self._differences(f"{path}/{number}", theirs, ours)
        elif not self._equal(path, recorded, local):
            yield path, f"recorded {recorded!r}, local {local!r}"

    def _member(
        self, path: str, name: str, recorded: dict[str, Any], local: dict[str, Any]
    ) -> Iterator[tuple[str, str]]:
        if name not in local:
            yield path, f"recorded {recorded[name]!r}, local has none"
        elif name not in recorded:
            yield path, f"not recorded, local {local[name]!r}"
        else:
            yield from self._differences(path, recorded[name], local[name])

    def _equal(self, path: str, recorded: Any, local: Any) -> bool:
        if not isinstance(recorded, str):
            return type(recorded) is type(local) and bool(recorded == local)
        if recorded in _ANY_TIME:
            return _is_time(local)
        if not isinstance(local, str):
            return False
        if recorded in self._anything or recorded == _kebab(path.rpartition("/")[2]):
            return bool(local)
        return self._equal_text(recorded, local)

    def _equal_text(self, recorded: str, local: str) -> bool:
        pattern, groups = "", dict[str, str]()
        position = 0
        for found in _PLACEHOLDER.finditer(recorded):
            pattern += re.escape(recorded[position : found.start()])
            position = found.end()
            placeholder = found.group()
            if placeholder in self._bound:
                pattern += re.escape(self._bound[placeholder])
            elif placeholder in groups:
                pattern += f"(?P={groups[placeholder]})"
            else:
                groups[placeholder] = f"g{len(groups)}"
                pattern += f"(?P<{groups[placeholder]}>.+?)"
        match = re.fullmatch(pattern + re.escape(recorded[position:]), local, re.DOTALL)
        if match is None:
            return False
        new = {placeholder: match[group] for placeholder, group in groups.items()}
        taken = {(_kind(placeholder), value) for placeholder, value in self._bound.items()}
        if any((_kind(placeholder), value) in taken for placeholder, value in new.items()):
            return False
        self._bound.update(new)
        return True


def _kind(placeholder: str) -> str:
    return placeholder.partition(":")[0].strip("<>")


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _is_time(value: Any) -> bool:
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    return isinstance(value, datetime)


def _parsed(value: Any) -> Any:
    """Read a JSON document that was recorded as what it says."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def answer_of(call: Callable[[], Any]) -> Any:
    """Make a request and return its answer or its error, comparable with a recording.

    Of the metadata only the status stays, a body is read to a text.
    """
    try:
        answer = call()
    except ClientError as error:
        answer = dict(error.response)
    if isinstance(answer, dict) and "ResponseMetadata" in answer:
        answer = {
            **answer,
            "ResponseMetadata": {"HTTPStatusCode": answer["ResponseMetadata"]["HTTPStatusCode"]},
        }
        if hasattr(answer.get("Body"), "read"):
            answer["Body"] = answer["Body"].read().decode()
    return answer


def replays(
    file: str, *names: str, differing: Sequence[Differing] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test that replays recordings; it is run once for each, with its `Replay` as argument ``replay``.

    Parameters
    ----------
    file
        Relative to ``tests/recorded``.
    names
        The end of each recording's test name (``test_multipart_size_validation``), or a part of its source.
    differing
        Differences that stay, in all of them.
    """
    references = [Reference(file, name) for name in names]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def replaying(*args: Any, replay: Reference, **others: Any) -> None:
            opened = Replay(replay.load(), differing)
            test(*args, replay=opened, **others)
            opened.finish()

        replaying.references = references  # type: ignore[attr-defined] # what test_files.py collects
        marked: Callable[..., None] = pytest.mark.parametrize("replay", references, ids=list(names))(
            replaying
        )
        return marked

    return decorate
