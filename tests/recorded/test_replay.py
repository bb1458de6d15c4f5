"""The comparison with a recording sees every difference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.recorded.replay import Differing, Recording, Replay

OK = {"HTTPStatusCode": 200}


def replay(*differing: Differing, **content: Any) -> Replay:
    return Replay(Recording("s3/some.json", "test_some", content), differing)


def differs(recorded: Any, local: Any) -> str:
    with pytest.raises(pytest.fail.Exception) as caught:
        replay(key=recorded).compare("key", local)
    return str(caught.value)


def test_equal_answers_are_equal() -> None:
    made = replay(put={"ETag": "e", "Parts": [{"Size": 3}], "ResponseMetadata": OK})
    more = {"HTTPStatusCode": 200, "RequestId": "x", "HTTPHeaders": {}}
    made("put", lambda: {"ETag": "e", "Parts": [{"Size": 3}], "ResponseMetadata": more})
    made.finish()


@pytest.mark.parametrize(
    ("recorded", "local", "said"),
    [
        ({"ETag": "e"}, {"ETag": "f"}, "key/ETag: recorded 'e', local 'f'"),
        ({"ETag": "e"}, {}, "key/ETag: recorded 'e', local has none"),
        ({}, {"ETag": "e"}, "key/ETag: not recorded, local 'e'"),
        ({"Size": 3}, {"Size": "3"}, "key/Size"),
        ({"Is": True}, {"Is": 1}, "key/Is"),
        ({"Parts": [1]}, {"Parts": [1, 2]}, "key/Parts"),
        ({"Parts": [1, 3]}, {"Parts": [1, 2]}, "key/Parts/1"),
        ({"Parts": {}}, {"Parts": "x"}, "key/Parts"),
        ({"When": "datetime"}, {"When": "yesterday"}, "key/When"),
        ({"DisplayName": "display-name"}, {"DisplayName": ""}, "key/DisplayName"),
        ({"ETag": "<a:1>"}, {"ETag": 3}, "key/ETag"),
        ({"A": "<id:1>", "B": "<id:1>"}, {"A": "x", "B": "y"}, "key/B"),
        ({"A": "<id:1>", "B": "<id:2>"}, {"A": "x", "B": "x"}, "key/B"),
        ({"A": "<id:1>/<id:1>"}, {"A": "x/y"}, "key/A"),
        ({"A": "no <id:1>."}, {"A": "no x"}, "key/A"),
    ],
)
def test_a_difference_is_told_with_its_place(recorded: Any, local: Any, said: str) -> None:
    assert said in differs(recorded, local)


def test_placeholders_are_bound_in_the_whole_recording() -> None:
    made = replay(
        a={"Key": "<key:1>", "When": "datetime", "DisplayName": "display-name"},
        b={"Key": "p/<key:1>/<key:2>"},
    )
    made.compare("a", {"Key": "x", "When": datetime.now(UTC), "DisplayName": "any"})
    made.compare("b", {"Key": "p/x/y"})
    assert (made["<key:1>"], made["<key:2>"]) == ("x", "y")
    made.finish()


def test_a_value_that_the_test_binds_is_held_to() -> None:
    made = replay(a={"Bucket": "<bucket:1>"})
    made.bind("<bucket:1>", "mine")
    with pytest.raises(pytest.fail.Exception, match="local 'yours'"):
        made.compare("a", {"Bucket": "yours"})


def test_a_refusal_is_an_answer() -> None:
    def refuse() -> None:
        answer: Any = {"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(answer, "Get")

    made = replay(get={"Error": {"Code": "NoSuchKey"}, "ResponseMetadata": {"HTTPStatusCode": 404}})
    made("get", refuse)
    made.finish()


def test_a_json_document_may_be_recorded_as_what_it_says() -> None:
    made = replay(got={"Body": {"id": "<id>"}})
    made.compare("got", {"Body": '{"id": "7"}'})
    assert made["<id>"] == "7"


def test_an_answer_that_no_request_replays_fails() -> None:
    made = replay(a={}, b={})
    made.compare("a", {})
    with pytest.raises(pytest.fail.Exception, match=r"not replayed: \['b'\]"):
        made.finish()


def test_an_answer_that_was_not_recorded_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="has no answer b"):
        replay(a={}).compare("b", {})


def test_a_meant_difference_is_passed_over_and_has_to_occur() -> None:
    meant = Differing("*/Owner", "a reason")
    made = replay(meant, a={"Owner": "x"})
    made.compare("a", {"Owner": "y"})
    made.finish()
    made = replay(meant, a={"Owner": "x"})
    made.compare("a", {"Owner": "x"})
    with pytest.raises(pytest.fail.Exception, match=r"do not differ any more: \['\*/Owner'\]"):
        made.finish()
