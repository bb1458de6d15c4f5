"""Copies one image in a process of its own, and says how long the copy itself took in it.

``python -m tests.bench.images_ours SOURCE_URL SOURCE_REPOSITORY URL REPOSITORY DIGEST [streams]``
"""

from __future__ import annotations

import json
import sys
import time

from replicator.aws.oci_copy import STREAMS
from replicator.aws.oci_image import copy_image
from replicator.aws.oci_registry import Place, Registry


def main(source_url: str, source: str, url: str, repository: str, digest: str, streams: str = "") -> None:
    """Copy, and print seconds and processor seconds of the copy as JSON."""
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = copy_image(
        Place(Registry(source_url), source),
        Place(Registry(url), repository),
        digest,
        streams=int(streams or STREAMS),
    )
    said = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if not outcome.done:
        raise SystemExit("the copy is not complete")
    print(json.dumps(said | {"streamed": outcome.streamed, "already_there": outcome.already_there}))


if __name__ == "__main__":
    main(*sys.argv[1:])
