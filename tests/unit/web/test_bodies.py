import json
from typing import Any

import pytest
from django.http import QueryDict
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from powerloom.kernel.canonical import canonical
from powerloom.kernel.errors import Invalid, TooLarge
from powerloom.web.bodies import LARGEST, MAX_DEPTH, JsonParser


def parse(body: bytes, *, kind: str = "application/json") -> Any:
    return JsonParser().parse_body(RequestFactory().post("/", body, content_type=kind))


def query(text: str, *, lists: tuple[str, ...] = ()) -> Any:
    return JsonParser().parse_querydict(QueryDict(text), list(lists), RequestFactory().get("/"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not acceptable JSON"),
        (b"{", "not acceptable JSON"),
        (b"name=x&y=z", "not acceptable JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "a": 2}', "the same key twice"),
        (b'{"x": {"a": 1, "a": 1}}', "the same key twice"),
        (b"[" * 100_000, "not acceptable JSON"),
        (b'{"a":' * 20_000, "not acceptable JSON"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), f"more than {MAX_DEPTH} deep"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": 1e400}', "2**53"),
        (b'{"a": 9007199254740992}', "2**53"),
        (b'{"a": [-9007199254740992]}', "2**53"),
        (b'{"a": 1e20}', "2**53"),
        (b"1" * 5000, "not acceptable JSON"),
        (b"\xff\xfe", "not acceptable JSON"),
        (b'{"a": "\x01"}', "not acceptable JSON"),
    ],
)
def test_what_no_layer_below_could_keep_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(body)
    assert words in caught.value.message
    assert caught.value.detail["field"] == "body"


def test_a_body_over_the_limit_is_too_large_and_names_the_limit() -> None:
    with override_settings(MAX_JSON_BODY=100):
        assert parse(b'"' + b"x" * 98 + b'"') == "x" * 98
        with pytest.raises(TooLarge, match="100 bytes"):
            parse(b'"' + b"x" * 99 + b'"')


def test_json_is_read_as_json_whatever_curl_calls_it() -> None:
    assert parse(b'{"name": "x"}', kind="application/x-www-form-urlencoded") == {"name": "x"}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "😀"


def test_the_deepest_allowed_body_is_read() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.floats(-1e15, 1e15) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=15,
    )
)
def test_what_is_accepted_can_be_kept(value: object) -> None:
    """Whatever JSON comes in is refused with a sentence, or is the same value and has canonical bytes and UTF-8."""
    try:
        parsed = parse(json.dumps(value).encode())
    except Invalid:
        return
    assert parsed == value
    assert b"\\u0000" not in canonical(parsed)


def test_text_of_a_query_is_looked_at_too() -> None:
    assert query("a=1&b=2&b=3", lists=("b",)) == {"a": "1", "b": ["2", "3"]}
    for text in ("a=x%00y", "a%00=x", "b=1&b=%00"):
        with pytest.raises(Invalid, match="NUL"):
            query(text, lists=("b",))
