"""A wrong field is named as its caller wrote it."""

from typing import Any

import pytest

from powerloom.api.places import written


@pytest.mark.parametrize(
    ("sent", "place", "expected"),
    [
        ({"status": "zz"}, ["wanted", "status", "str-enum[Status]"], ["status"]),
        ({"skills": [{"id": 1}]}, ["body", "skills", 0, "id", "int"], ["skills", "0", "id"]),
        ({"tools": [{}]}, ["tools", 3], ["tools"]),
        ({"labels": {"a.b": 1}}, ["labels", "a.b", "[key]"], ["labels", "a.b"]),
        ({"body": {"query": 1}}, ["body", "body", "query"], ["body", "query"]),
        ([], ["body", "name"], []),
        ("text", ["body", 0], []),
    ],
)
def test_only_what_was_sent_is_named(sent: Any, place: list[str | int], expected: list[str]) -> None:
    assert written(sent, place) == expected
