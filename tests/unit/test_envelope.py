from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from powerloom.kernel.envelope import Envelope, KeyMissing, Label, MasterKey, Unreadable, rewrap, seal, unseal

LABEL = Label(UUID(int=1), "password", UUID(int=2), 1)


class Keys:
    """Master keys in memory."""

    def __init__(self) -> None:
        self.keys = [MasterKey("one", b"1" * 32)]

    def current(self) -> MasterKey:
        return self.keys[-1]

    def named(self, key_id: str) -> MasterKey:
        for key in self.keys:
            if key.id == key_id:
                return key
        raise KeyMissing(key_id)

    def rotate(self) -> MasterKey:
        self.keys.append(MasterKey("two", b"2" * 32))
        return self.current()


def test_what_was_sealed_comes_back() -> None:
    keys = Keys()
    assert unseal(seal(b"value", LABEL, keys), LABEL, keys) == b"value"


def test_equal_values_are_sealed_differently() -> None:
    one, other = (seal(b"value", LABEL, Keys()) for _ in range(2))
    assert one.ciphertext != other.ciphertext
    assert one.wrapped_key != other.wrapped_key


@pytest.mark.parametrize(
    "other",
    [
        replace(LABEL, organization_id=UUID(int=9)),
        replace(LABEL, kind="token"),
        replace(LABEL, id=UUID(int=9)),
        replace(LABEL, version=2),
    ],
)
def test_it_opens_under_no_other_label(other: Label) -> None:
    keys = Keys()
    with pytest.raises(Unreadable):
        unseal(seal(b"value", LABEL, keys), other, keys)


@pytest.mark.parametrize("part", ["wrapped_key", "nonce", "ciphertext"])
def test_a_changed_byte_is_noticed(part: str) -> None:
    keys = Keys()
    sealed = seal(b"value", LABEL, keys)
    bytes_ = bytearray(getattr(sealed, part))
    bytes_[-1] ^= 1
    changed: dict[str, Any] = {part: bytes(bytes_)}
    with pytest.raises(Unreadable):
        unseal(replace(sealed, **changed), LABEL, keys)


def test_a_data_key_of_another_value_does_not_open_this_one() -> None:
    keys = Keys()
    one, other = seal(b"value", LABEL, keys), seal(b"other", LABEL, keys)
    with pytest.raises(Unreadable):
        unseal(replace(one, wrapped_key=other.wrapped_key), LABEL, keys)


def test_old_values_open_after_a_rotation_and_rewrapping_leaves_the_value_alone() -> None:
    keys = Keys()
    old = seal(b"value", LABEL, keys)
    keys.rotate()
    assert unseal(old, LABEL, keys) == b"value"
    new = rewrap(old, LABEL, keys)
    assert (new.key_id, new.nonce, new.ciphertext) == ("two", old.nonce, old.ciphertext)
    del keys.keys[0]
    assert unseal(new, LABEL, keys) == b"value"


def test_without_its_master_key_it_says_so() -> None:
    sealed = Envelope("lost", b"x" * 60, b"n" * 12, b"c")
    with pytest.raises(KeyMissing):
        unseal(sealed, LABEL, Keys())


def test_a_master_key_never_shows_its_bytes() -> None:
    assert "1111" not in repr(Keys().current())
