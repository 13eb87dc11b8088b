"""Calls are counted, and no more environments are asked for at once than CMA takes."""

import asyncio
from typing import Any, cast

import pytest

from powerloom.reconcile.driver import CREATE, ENVIRONMENTS, ENVIRONMENTS_AT_ONCE, Calls


class Crowd:
    """Counts who is in it."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def visit(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1


@pytest.mark.parametrize(("call_class", "most"), [(ENVIRONMENTS, ENVIRONMENTS_AT_ONCE), (CREATE, 20)])
async def test_only_environments_are_limited_at_once(call_class: str, most: int) -> None:
    calls, crowd = Calls(cast("Any", None)), Crowd()
    await asyncio.gather(*(calls(call_class, crowd.visit()) for _ in range(20)))
    assert crowd.most == most
    assert calls.spent == {call_class: 20}


async def test_a_failed_call_counts_too() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    calls = Calls(cast("Any", None))
    with pytest.raises(ZeroDivisionError):
        await calls(CREATE, fail())
    assert calls.spent[CREATE] == 1
