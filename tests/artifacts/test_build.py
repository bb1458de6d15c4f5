"""What ``sam build`` makes is what runs: checked there, and not only in the source.

Neither ``sam build`` nor ``sam validate`` looks at the Handler strings, at what lies in the layer, or at the
architecture of the wheels.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

import pytest

from tests.artifacts.sam_build import ROOT
from tests.e2e.lambda_image.stand_in import architecture as host_architecture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.artifacts.sam_build import Build

ARCHITECTURES = ("x86_64", "arm64")
NAMES = sorted(file.parent.name for file in (ROOT / "functions").glob("*/handler.py"))
# e_machine of the ELF header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
ELF_MACHINES = {"x86_64": 62, "arm64": 183}
SUFFIX_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
# Function and layers together, unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
SIZE_LIMIT = 250 * 1024 * 1024
# SAM copies everything under ContentUri into the layer, the lists that it was built from too.
EXPECTED_BESIDE_DISTRIBUTIONS = {"replicator", "requirements.in", "requirements.txt"}

# Runs without site-packages (-S), so that what is not in the build is not found, and leaves no bytecode in it (-B).
IMPORT_HANDLER = """
import importlib, json, sys
code, layer, handler = sys.argv[1:]
sys.path[:0] = [code, layer]
module, name = handler.rsplit(".", 1)
found = getattr(importlib.import_module(module), name)
loaded = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
print(json.dumps({"callable": callable(found), "module": sys.modules[module].__file__, "loaded": loaded}))
"""


@pytest.fixture(params=ARCHITECTURES)
def build(request: pytest.FixtureRequest, built: Callable[[str], Build]) -> Build:
    return built(request.param)


@pytest.fixture
def native(built: Callable[[str], Build]) -> Build:
    """Give the build that this machine can import."""
    return built(host_architecture())


def test_every_function_of_the_source_is_in_the_build(native: Build) -> None:
    assert len(NAMES) >= 7
    assert sorted(native.function(name) for name in NAMES) == sorted(native.functions)


@pytest.mark.parametrize("name", NAMES)
def test_handler_is_imported_from_the_build_alone(native: Build, name: str) -> None:
    function = native.function(name)
    code, layer = native.code(function), native.layer / "python"
    handler = native.functions[function]["Handler"]
    command = [sys.executable, "-I", "-S", "-B", "-c", IMPORT_HANDLER, code, layer, handler]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["callable"]
    assert answer["module"] == str(code / "handler.py")
    assert (code / "handler.py").read_bytes() == (ROOT / "functions" / name / "handler.py").read_bytes()
    packages = {
        path.removeprefix(f"{layer}/").split("/")[0]
        for path in answer["loaded"]
        if path.startswith(str(layer))
    }
    assert {"replicator", "pydantic", "pydantic_core", "boto3", "botocore"} <= packages
    assert not [path for path in answer["loaded"] if "site-packages" in path]


def test_first_party_code_in_the_layer_is_the_source(build: Build) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    assert contents(build.layer / "python" / "replicator") == contents(ROOT / "layers/core/replicator")


def test_layer_brings_boto3_and_botocore_both_as_pinned(build: Build) -> None:
    pinned = dict(
        re.findall(r"^(boto3|botocore)==(\S+)", (ROOT / "layers/core/requirements.txt").read_text(), re.M)
    )
    assert set(pinned) == {"boto3", "botocore"}
    for package, version in pinned.items():
        assert (build.layer / "python" / package / "__init__.py").is_file()
        assert (build.layer / "python" / f"{package}-{version}.dist-info").is_dir()


def test_layer_holds_nothing_but_the_package_and_the_pinned_distributions(build: Build) -> None:
    python = build.layer / "python"
    assert [entry.name for entry in build.layer.iterdir()] == ["python"]
    pinned = {
        name.replace("-", "_").lower()
        for name in re.findall(r"^([\w.-]+)==", (ROOT / "layers/core/requirements.txt").read_text(), re.M)
    }
    distributions = {info: Distribution.at(info) for info in python.glob("*.dist-info")}
    assert {info.name.split("-")[0].lower() for info in distributions} == pinned
    owned = {info.name for info in distributions} | EXPECTED_BESIDE_DISTRIBUTIONS
    for distribution in distributions.values():
        owned |= {file.parts[0] for file in distribution.files or ()}
    # A wheel's data folder stays where "pip install --target" leaves it.
    strange = {entry.name for entry in python.iterdir() if not entry.name.endswith(".data")} - owned
    assert not strange
    assert not list((python / "replicator").rglob("test*"))


def test_binary_wheels_match_the_architecture(build: Build) -> None:
    libraries = [file for file in build.layer.rglob("*.so*") if file.is_file()]
    assert any("pydantic_core" in file.name for file in libraries)
    for file in libraries:
        machine = int.from_bytes(file.read_bytes()[18:20], "little")
        assert machine == ELF_MACHINES[build.architecture], f"{file} is for another machine"
        if tag := re.search(r"\.cpython-(\d+)-(\w+)-linux", file.name):
            assert tag.groups() == ("313", SUFFIX_MACHINES[build.architecture])


def test_functions_and_layer_share_the_architecture(build: Build) -> None:
    parameter = {"Ref": "Architecture"}
    assert build.template["Globals"]["Function"]["Architectures"] == [parameter]
    (layer,) = [
        r for r in build.template["Resources"].values() if r["Type"] == "AWS::Serverless::LayerVersion"
    ]
    assert layer["Metadata"]["BuildArchitecture"] in (build.architecture, parameter)


def test_size_fits(build: Build) -> None:
    def size(folder: Path) -> int:
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    layer = size(build.layer)
    sizes = {function: layer + size(build.code(function)) for function in build.functions}
    assert max(sizes.values()) < SIZE_LIMIT, sizes
