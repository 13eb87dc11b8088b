"""The field diff: every place that differs, and only those."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.diff import diff

KEYS = st.text("ab", min_size=1, max_size=2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


def shown(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.as_json() for one in diff(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [{"field": "a", "before": 1, "after": 2}]),
        ({}, {"a": None}, [{"field": "a", "after": None}]),
        ({"a": None}, {}, [{"field": "a", "before": None}]),
        ({"a": None}, {"a": ""}, [{"field": "a", "before": None, "after": ""}]),
        ({"a": 1}, {"a": True}, [{"field": "a", "before": 1, "after": True}]),
        ({"a": [0]}, {"a": [False]}, [{"field": "a", "before": [0], "after": [False]}]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, []),
        ({"a": [1]}, {"a": [1, 2]}, [{"field": "a", "before": [1], "after": [1, 2]}]),
        (
            {"tools": {"bash": {"enabled": True, "permission": "always_allow"}}},
            {"tools": {"bash": {"enabled": False, "permission": "always_allow"}}},
            [{"field": "tools.bash.enabled", "before": True, "after": False}],
        ),
        ({"m": "x"}, {"m": {"id": "x"}}, [{"field": "m", "before": "x", "after": {"id": "x"}}]),
        ({"b": 1, "a": 1}, {}, [{"field": "a", "before": 1}, {"field": "b", "before": 1}]),
    ],
)
def test_it_names_each_place_that_differs(before: Any, after: Any, found: Any) -> None:
    assert shown(before, after) == found


@given(OBJECTS)
def test_nothing_differs_from_itself(value: dict[str, Any]) -> None:
    assert diff(value, value) == []


@given(OBJECTS, OBJECTS)
def test_a_diff_turned_round_is_the_diff_the_other_way(one: dict[str, Any], other: dict[str, Any]) -> None:
    turned = [(place.path, place.after, place.before) for place in diff(one, other)]
    assert turned == [(place.path, place.before, place.after) for place in diff(other, one)]
