"""RFC 8785: the same value, the same bytes, whoever serializes it."""

import json
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from powerloom.kernel.canonical import canonical, digest, keyed_digest, text_digest

LARGEST = 2**53 - 1  # beyond it a float may be written like an integer, and is then none of JSON's doubles any more
NUMBERS = st.floats(-LARGEST, LARGEST) | st.integers(-LARGEST, LARGEST)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_it_gives_the_bytes_of_the_example_in_the_standard() -> None:
    given_value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(given_value).decode() == expected


def test_keys_are_sorted_by_their_utf_16_code_units() -> None:
    given_value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    assert [json.loads(canonical(given_value))[key] for key in json.loads(canonical(given_value))] == [
        2,
        4,
        6,
        7,
        1,
        5,
        3,
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
    ],
)
def test_numbers_are_written_as_the_standard_lists_them(bits: str, text: str) -> None:
    number = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonical(number).decode() == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, b"x", object()])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical(value)


@given(VALUES)
def test_reading_it_back_gives_the_same_value(value: object) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_a_keyed_digest_needs_its_key() -> None:
    assert keyed_digest(b"a", {"x": 1}) != keyed_digest(b"b", {"x": 1}) != digest({"x": 1})


def test_the_digest_of_text_is_that_of_its_bytes() -> None:
    assert text_digest("€") == "c4cc90ed3d26f12d4b08a75140970a7904035c31cbb4515a83f19b9003c00d1d"
