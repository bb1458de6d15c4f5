"""Proves that the hub is enough: reads models and images from it alone, and predicts with what they are.

Nothing here is told what the spokes had; `story` compares.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import urllib3

from local.demo.packing import LIBRARY_PATH, PROGRAM_PATH
from local.demo.program.serve import load_inference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.demo.hub import Hub

MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


class ProofError(Exception):
    """Something in the hub is not what its name says."""


def containers(mirror: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the containers of a described version, in their order."""
    found: list[dict[str, Any]] = mirror["InferenceSpecification"]["Containers"]
    return found


def unpack_models(hub: Hub, mirror: dict[str, Any], folder: Path) -> list[Path]:
    """Download and unpack the artifact of every container; give their folders."""
    folders = []
    for number, container in enumerate(containers(mirror)):
        target = folder / str(number)
        with tarfile.open(fileobj=io.BytesIO(hub.get(container["ModelDataUrl"])), mode="r:gz") as archive:
            archive.extractall(target, filter="data")
        folders.append(target)
    return folders


def predict(folders: list[Path], rows: Any) -> Any:
    """Predict as the containers of an inference pipeline do, each with the code that is in its artifact."""
    values = rows
    for folder in folders:
        inference = load_inference(folder)
        values = inference.predict_fn(values, inference.model_fn(str(folder)))
    return values


def pull(hub: Hub, image: str, folder: Path) -> str:
    """Pull an image by digest, check every byte, unpack it, and give the manifest's digest.

    Parameters
    ----------
    hub
        Whose registry is asked, and no other.
    image
        ``<registry>/<repository>@sha256:<hex>``.
    folder
        Where the files of its layers go.
    """
    name, _, digest = image.partition("@")
    repository = name.partition("/")[2]
    data = hub.client("ecr").get_authorization_token()["authorizationData"][0]
    base = f"{data['proxyEndpoint'].rstrip('/')}/v2/{repository}"
    headers = {"Authorization": f"Basic {data['authorizationToken']}", "Accept": MANIFESTS}
    with urllib3.PoolManager(retries=urllib3.Retry(2)) as http:
        manifest = _fetched(http, f"{base}/manifests/{digest}", headers, digest)
        described = json.loads(manifest)
        _fetched(
            http, f"{base}/blobs/{described['config']['digest']}", headers, described["config"]["digest"]
        )
        for layer in described["layers"]:
            blob = _fetched(http, f"{base}/blobs/{layer['digest']}", headers, layer["digest"])
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
                archive.extractall(folder, filter="data")
    return digest


def _fetched(http: urllib3.PoolManager, url: str, headers: dict[str, str], digest: str) -> bytes:
    answer = http.request("GET", url, headers=headers)
    if answer.status != 200:
        raise ProofError(f"the hub's registry answers {answer.status} for {url}")
    found = f"sha256:{hashlib.sha256(answer.data).hexdigest()}"
    if found != digest:
        raise ProofError(f"the hub's registry gives {found} in place of {digest}")
    return answer.data


@contextmanager
def served(image_folder: Path, model_folder: Path) -> Iterator[str]:
    """Run the program of a pulled image on a pulled model; give its URL.

    It runs with this interpreter, for the image has none; the program and the library are the image's.
    """
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(image_folder / LIBRARY_PATH),
        "SM_MODEL_DIR": str(model_folder),
        "SERVE_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": "0",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(image_folder / PROGRAM_PATH)]
    with subprocess.Popen(  # noqa: S603 - a program of this repository
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            first = process.stdout.readline() if process.stdout else ""
            if not first.startswith("serving on port "):
                process.kill()
                raise ProofError(f"the program in the image did not start: {process.communicate()[1][-500:]}")
            yield f"http://127.0.0.1:{first.split()[-1]}"
        finally:
            process.kill()


def invoke(url: str, rows: Any) -> list[Any]:
    """Ask a served model for predictions, as an endpoint does."""
    with urllib3.PoolManager() as http:
        ping = http.request("GET", f"{url}/ping")
        answer = http.request("POST", f"{url}/invocations", body=json.dumps(rows.tolist()))
    if ping.status != 200 or answer.status != 200:
        raise ProofError(f"the served model answers {ping.status} to a ping, {answer.status} to a request")
    predictions: list[Any] = json.loads(answer.data)
    return predictions


def strings(value: Any) -> Iterator[str]:
    """Give every text in a description."""
    if isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)
    elif isinstance(value, str):
        yield value
