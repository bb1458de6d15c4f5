"""What a manifest says, and what is refused for what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicator.aws.oci_manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    digest_of,
    read_manifest,
)
from replicator.errors import ErrorCode, PermanentError

IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/scorer:1.0"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": A, "size": 7}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": B, "size": 70}


def manifest(**changes: Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}
    return json.dumps(
        {key: value for key, value in (document | changes).items() if value is not None}
    ).encode()


def refusal(raw: bytes, content_type: str = OCI_MANIFEST) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        read_manifest(raw, content_type, IMAGE)
    assert IMAGE in caught.value.message
    return caught.value


@pytest.mark.parametrize("kind", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_config_and_layers_are_what_has_to_be_copied(kind: str) -> None:
    raw = manifest(mediaType=kind)
    read = read_manifest(raw, "", IMAGE)
    assert [(blob.digest, blob.size) for blob in read.blobs] == [(A, 7), (B, 70)]
    assert (read.media_type, read.digest, read.raw, read.children) == (kind, digest_of(raw), raw, ())


def test_the_content_type_counts_where_the_manifest_does_not_say() -> None:
    read = read_manifest(manifest(mediaType=None), f"{OCI_MANIFEST}; charset=utf-8", IMAGE)
    assert read.media_type == OCI_MANIFEST


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_an_index_names_its_children(kind: str) -> None:
    child = {"mediaType": OCI_MANIFEST, "digest": C, "size": 5, "platform": {"os": "linux"}}
    read = read_manifest(
        json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [child]}).encode(), "", IMAGE
    )
    assert read.children == (Descriptor(C, 5, OCI_MANIFEST),)


def test_a_subject_is_read() -> None:
    assert read_manifest(manifest(subject={"digest": C, "size": 3}), "", IMAGE).subject == C


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schemaVersion": 1}, "schema 1"),
        ({"mediaType": "application/vnd.example+json"}, "application/vnd.example"),
        ({"layers": [LAYER | {"urls": ["https://example.com/layer"]}]}, "may not be distributed"),
        (
            {
                "layers": [
                    LAYER | {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}
                ]
            },
            "may not be distributed",
        ),
        ({"layers": [LAYER | {"digest": f"sha512:{'a' * 128}"}]}, "sha512"),
        ({"layers": [LAYER | {"size": 52_001 * 1024 * 1024}]}, "52,000 MiB"),
        ({"annotations": {"long": "x" * (4 * 1024 * 1024)}}, "4 MiB"),
    ],
)
def test_what_amazon_ecr_cannot_hold_is_unsupported(changes: dict[str, Any], words: str) -> None:
    error = refusal(manifest(**changes))
    assert error.code is ErrorCode.IMAGE_UNSUPPORTED
    assert words in error.message


@pytest.mark.parametrize(
    "raw",
    [
        b"<html>Please log in</html>",
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 1_000_000,
        manifest(layers={"digest": B}),
        manifest(layers=[B]),
        manifest(layers=[{"digest": B}]),
        manifest(layers=[{"digest": B, "size": "70"}]),
        manifest(layers=[{"digest": B, "size": -1}]),
        manifest(config="sha256"),
    ],
)
def test_what_is_no_manifest_is_the_registrys_mistake(raw: bytes) -> None:
    assert refusal(raw, "text/html").code is ErrorCode.REGISTRY_PROTOCOL


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
members = st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "blobs", "subject"])


# The first examples of a fresh checkout are slow to make, and any is on a busy machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(members, json_values))
def test_nothing_but_the_two_refusals_comes_of_any_document(document: dict[str, Any]) -> None:
    try:
        read_manifest(json.dumps(document).encode(), OCI_MANIFEST, IMAGE)
    except PermanentError as error:
        assert error.code in (ErrorCode.REGISTRY_PROTOCOL, ErrorCode.IMAGE_UNSUPPORTED)  # noqa: PT017
