"""What ``make second-opinion`` says when a part is missing: which one, and how to get it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.second_opinion import __main__ as command
from tests.second_opinion import parts

if TYPE_CHECKING:
    from pathlib import Path


def test_every_missing_part_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(parts.MissingError) as error:
        parts.find(tmp_path, path=str(tmp_path))
    node, localstack, *packages = str(error.value).splitlines()
    assert node.startswith("node is not on the PATH: install Node.js")
    assert localstack.startswith(f"LocalStack {parts.pinned_localstack()} is not in")
    assert [line.split()[2] for line in packages] == list(parts.pinned_packages())
    assert all("run `make second-opinion`" in line for line in (localstack, *packages))


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(parts.MissingError, match=f"port {port} of 127.0.0.1 cannot be used"):
            parts.check_port(port)


def test_without_a_part_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise parts.MissingError("npm package x is missing")

    monkeypatch.setattr(command, "find", missing)
    assert command.main([]) == 2
    assert "npm package x is missing" in capsys.readouterr().err
