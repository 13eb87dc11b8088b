import re

import pytest

from powerloom.kernel import errors
from powerloom.kernel.errors import PowerloomError


def tree() -> list[type[PowerloomError]]:
    found: list[type[PowerloomError]] = []
    todo: list[type[PowerloomError]] = [PowerloomError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return found


def drawn() -> dict[str, tuple[str, int]]:
    assert errors.__doc__
    lines = re.findall(r"[├└]── (\w+) +(\w+) +(\d{3})", errors.__doc__)
    return {name: (code, int(status)) for name, code, status in lines}


def test_the_drawn_tree_is_the_tree() -> None:
    assert drawn() == {kind.__name__: (kind.code, kind.status) for kind in tree() if kind is not PowerloomError}


def test_every_code_means_one_error() -> None:
    codes = [kind.code for kind in tree()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_an_error_carries_its_message_and_detail(kind: type[PowerloomError]) -> None:
    more = {"retry_after": 3} if kind is errors.TooMany else {}
    error = kind("Say what to do.", permission="agent:read", **more)
    assert str(error) == error.message == "Say what to do."
    assert error.detail["permission"] == "agent:read"
    assert not error.is_recorded


def test_an_invalid_field_is_named() -> None:
    assert errors.Invalid("Too long.", field="name").detail == {"field": "name"}
