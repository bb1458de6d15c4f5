"""Give ``sam local invoke`` its image: the public one, or a stand-in made of what this machine has.

The stand-in holds the running CPython 3.13 under ``/var/lang``, the runtime interface client that the
public image runs too under ``/var/runtime``, the shared libraries that these link, and a shell. It holds
no boto3, so a function that runs in it proves that the layer brings its own.

Run it by hand with ``python -m tests.e2e.lambda_image.stand_in``.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
REQUIREMENTS = HERE.parents[2] / "requirements" / "lambda-image.txt"
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
RECIPE_LABEL = "registry-replicator.stand-in.recipe"

# What the Dockerfile that SAM CLI generates runs, beside the shell itself.
# samcli/local/docker/lambda_image.py, LambdaImage._generate_dockerfile
PROGRAMS = ("sh", "mv", "chmod")
DIRECTORIES = ("opt", "var/task", "var/rapid", "tmp", "etc")
# glibc looks for libraries in different places on different distributions: all of them lead to usr/lib.
LINKS = {"lib": "usr/lib", "lib64": "usr/lib", "usr/lib64": "lib", "bin": "usr/bin"}
# Binary wheels link these without bringing them: PEP 599, "The manylinux2014 policy".
# The last two resolve host names.
WHEEL_LIBRARIES = (
    "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1", "libstdc++.so.6",
    "libutil.so.1", "libresolv.so.2", "libnss_dns.so.2", "libnss_files.so.2",
)  # fmt: skip
SETTINGS = (
    "ENV PATH=/var/lang/bin:/usr/bin",
    "ENV LANG=C.UTF-8",
    "ENV LAMBDA_TASK_ROOT=/var/task",
    "ENV LAMBDA_RUNTIME_DIR=/var/runtime",
    "WORKDIR /var/task",
)
LEFT_OUT = re.compile(
    r"(^|/)(site-packages|test|idlelib|tkinter|turtledemo|ensurepip|config-[^/]*|__pycache__)(/|$)"
    r"|/lib-dynload/(_tkinter|_test)"
)


class NoImageError(Exception):
    """The image can neither be pulled nor made here. The message says why, and what to do."""


def architecture() -> str:
    """Name this machine's architecture as Lambda names it."""
    return ARCHITECTURES[platform.machine().lower()]


def image_tag() -> str:
    """Name the image that SAM CLI asks for: samcli/local/docker/lambda_image.py, LambdaImage.build."""
    return f"public.ecr.aws/lambda/python:3.13-{architecture()}"


def ensure_image() -> str:
    """Make sure that the image is there, and say how: ``present``, ``pulled`` or ``stand-in``.

    Raises
    ------
    NoImageError
        It cannot be pulled, and this machine is not one that a stand-in can be made on.
    """
    tag = image_tag()
    recipe = recipe_digest()
    found = _docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}', tag)
    if found.returncode == 0 and found.stdout.strip() in ("", "<no value>", recipe):
        return "present"
    if found.returncode != 0:
        pulled = _docker("pull", "--quiet", tag)
        if pulled.returncode == 0:
            return "pulled"
        _refuse_unless_possible(f"{tag} cannot be pulled ({pulled.stderr.strip()})")
    _import(tag, recipe)
    return "stand-in"


def recipe_digest() -> str:
    """Give a digest of everything that the stand-in is made by, so that an old one is not kept."""
    recipe = hashlib.sha256(sys.version.encode())
    for file in (HERE / "bootstrap", Path(__file__), REQUIREMENTS):
        recipe.update(file.read_bytes())
    return recipe.hexdigest()[:16]


def _refuse_unless_possible(why: str) -> None:
    if platform.system() != "Linux":
        raise NoImageError(
            f"{why}, and a stand-in can only be made on Linux: let Docker reach public.ecr.aws."
        )
    if sys.version_info[:2] != (3, 13):
        raise NoImageError(f"{why}, and a stand-in needs the tests to run on Python 3.13, not {sys.version}.")


def _import(tag: str, recipe: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runtime = Path(folder) / "runtime"
        _install_runtime_client(runtime)
        archive = Path(folder) / "image.tar"
        with tarfile.open(archive, "w") as tar:
            for name, source in _contents(runtime):
                tar.add(source, name, recursive=False, filter=_as_root)
            _add_made_entries(tar)
        changes = [word for setting in SETTINGS for word in ("--change", setting)]
        label = ["--change", f"LABEL {RECIPE_LABEL}={recipe}"]
        made = _docker("import", *changes, *label, str(archive), tag)
    if made.returncode != 0:
        raise NoImageError(f"docker import of the stand-in for {tag} failed: {made.stderr.strip()}")


def _install_runtime_client(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:"]
    done = subprocess.run(
        [*command, "--target", target, "-r", REQUIREMENTS], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoImageError(f"pip cannot install {REQUIREMENTS.name}: {done.stderr.strip()}")
    shutil.copy2(HERE / "bootstrap", target / "bootstrap")


def _contents(runtime: Path) -> Iterator[tuple[str, Path]]:
    """List the files of the image as pairs of name in the image and file on this machine."""
    python = Path(sys.executable).resolve()
    programs = {"var/lang/bin/python3.13": python}
    programs |= {f"usr/bin/{name}": Path(shutil.which(name) or f"/bin/{name}").resolve() for name in PROGRAMS}
    library = Path(sysconfig.get_path("stdlib"))
    files = {f"var/lang/lib/python3.13/{name}": file for name, file in _tree(library)}
    files |= {f"var/runtime/{name}": file for name, file in _tree(runtime)}
    yield from programs.items()
    yield from files.items()
    binaries = [*programs.values(), *(file for file in files.values() if file.suffix == ".so")]
    yield from ((f"usr/lib/{name}", file) for name, file in _libraries(binaries))


def _tree(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not LEFT_OUT.search(name):
            yield name, file.resolve()


def _libraries(binaries: list[Path]) -> Iterator[tuple[str, Path]]:
    """Find the shared libraries that the binaries link, and the loader, as ldd resolves them."""
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"(?:=>|^)\s+(/\S+) \(0x", listed, re.MULTILINE)}
    libraries = {path.name: path for path in sorted(found) if ".libs/" not in str(path)}
    for path in found:
        if path.name == "libc.so.6":
            beside = {name: path.parent / name for name in WHEEL_LIBRARIES}
            libraries |= {name: file for name, file in beside.items() if file.is_file()}
    yield from ((name, path.resolve()) for name, path in libraries.items())


def _add_made_entries(tar: tarfile.TarFile) -> None:
    for name in DIRECTORIES:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        tar.addfile(entry)
    for name, target in LINKS.items():
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        tar.addfile(entry)
    for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text), 0o644
        tar.addfile(entry, BytesIO(text.encode()))


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= 0o444 | (0o111 if entry.mode & 0o100 else 0)
    return entry


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=600)


if __name__ == "__main__":
    print(image_tag(), ensure_image())
