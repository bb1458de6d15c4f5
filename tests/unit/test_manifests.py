import pytest

from replicator.manifests import ForeignLocationError, rewrite_manifest

BASE, MOVED = "s3://spoke/models/a/", "s3://hub/models/1/g/1/f/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://spoke/models/a/x.bin\r\ny.bin\n", "s3://hub/models/1/g/1/f/x.bin\r\ny.bin\n"),
        ('"w","s3://spoke/models/a/x,y"\n', None),
        ('id,"s3://spoke/models/a/d/x.bin",3\n', 'id,"s3://hub/models/1/g/1/f/d/x.bin",3\n'),
        ("s3://spoke/models/a/\n", "s3://hub/models/1/g/1/f/\n"),
        ("relative/only.bin,12\n", "relative/only.bin,12\n"),
        ("", ""),
    ],
)
def test_locations_below_the_data_source_move_with_it(text: str, expected: str | None) -> None:
    rewritten = rewrite_manifest(text, BASE, MOVED)
    if expected is not None:
        assert rewritten == expected
    assert "spoke" not in rewritten


@pytest.mark.parametrize("text", ["s3://spoke/models/b/x", "s3://other/x", "a,s3://spoke/models/"])
def test_a_location_elsewhere_is_refused_by_name(text: str) -> None:
    with pytest.raises(ForeignLocationError, match="s3://"):
        rewrite_manifest(text, BASE, MOVED)


def test_an_object_moves_as_a_whole_and_its_namesakes_do_not() -> None:
    assert rewrite_manifest("s3://b/m.bin", "s3://b/m.bin", "s3://h/m.bin") == "s3://h/m.bin"
    with pytest.raises(ForeignLocationError):
        rewrite_manifest("s3://b/m.bin2", "s3://b/m.bin", "s3://h/m.bin")
