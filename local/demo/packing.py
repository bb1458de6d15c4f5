"""Builds the image that serves the demo's models: a program and the library that it loads them with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import joblib  # type: ignore[import-untyped]

from local.demo.models import PROGRAM
from local.images import OciImage, build_image

PROGRAM_PATH = "opt/program/serve.py"
LIBRARY_PATH = "opt/library"
"""Folder of the image for ``PYTHONPATH``."""


@cache
def program_image(flavour: str) -> OciImage:
    """Build the image: real files in two layers, without a base that would have to be pulled.

    A container would find no interpreter in it; the proof at the end of the demo runs the program from
    the unpacked image with the interpreter at hand.

    Parameters
    ----------
    flavour
        Becomes a file of the image, so that images of different flavours differ.
    """
    package = Path(joblib.__file__).parent
    files = {
        f"{LIBRARY_PATH}/joblib/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*.py")
        if "test" not in path.relative_to(package).parts
    }
    files[PROGRAM_PATH] = (PROGRAM / "serve.py").read_bytes()
    files["opt/program/FLAVOUR"] = flavour.encode()
    return build_image(files, layers=2, entrypoint=["python3", f"/{PROGRAM_PATH}"])
