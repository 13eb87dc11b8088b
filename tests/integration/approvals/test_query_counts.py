"""What the inbox, one request and a held write cost does not grow with what is there besides."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import replay
from approvals.models import ApprovalRequest, Demand
from tests.held import ask_for_agent, builtin, decide, held_agent, make_policy
from tests.world import World, api_of, bind, make_group, make_user

pytestmark = pytest.mark.once


def queries_of(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        act()
    return len(queries)


def more_policies(world: World, count: int, *, that_hold: bool = True) -> None:
    """As many policies that hold it, unless said otherwise, and three times as many that do not."""
    for number in range(count):
        if that_hold:
            make_policy(world.alice, world.engineering, name=f"holds-{number}")
        make_policy(world.alice, world.sales, name=f"elsewhere-{number}")
        make_policy(world.alice, world.engineering, "skill:*", name=f"skills-{number}")
        make_policy(world.alice, world.root, name=f"off-{number}", is_on=False)


def test_a_list_costs_the_same_however_long_it_is(world: World) -> None:
    make_policy(world.alice, world.engineering)
    bind(world.bob, "Approver", world.root)
    callers = {"to_approve": api_of(world.vera), "mine": api_of(world.bob), "recent": api_of(world.vera)}
    counts = []
    for number in (1, 3):
        for index in range(number):
            decide(world.vera, held_agent(world.bob, world.engineering, f"decided-{number}-{index}"), "reject")
            held_agent(world.bob, world.engineering, f"waits-{number}-{index}")
        asked = {tab: partial(caller.get, "/approvals", {"tab": tab}) for tab, caller in callers.items()}
        counts.append({tab: queries_of(ask) for tab, ask in asked.items()})
        more_policies(world, 1 if number == 1 else 0)
    assert counts[0] == counts[1]


def test_one_request_costs_the_same_whatever_it_must_satisfy(world: World) -> None:
    make_policy(world.alice, world.engineering)
    plain = held_agent(world.bob, world.engineering, "plain")
    more_policies(world, 3)
    laden = held_agent(world.bob, world.engineering, "laden")
    assert [Demand.objects.filter(request=request).count() for request in (plain, laden)] == [1, 4]
    bind(make_user("another@acme.example", home=world.sales), "Approver", world.root)
    api = api_of(world.vera)
    counts = [queries_of(partial(api.get, f"/approvals/{request.pk}")) for request in (plain, laden)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("who", ["bob", "alice"])
def test_asking_costs_the_same_whatever_does_not_hold_it(world: World, who: str) -> None:
    """Bob is held; Alice asks at the root, where no policy holds her."""
    by, place = (world.bob, world.engineering) if who == "bob" else (world.alice, world.root)
    make_policy(world.alice, world.engineering)
    ask_for_agent(by, place, "the-first")  # what is loaded once
    before = queries_of(partial(ask_for_agent, by, place, "before"))
    more_policies(world, 3, that_hold=False)
    assert queries_of(partial(ask_for_agent, by, place, "after")) == before
    assert ApprovalRequest.objects.count() == (3 if who == "bob" else 0)


def test_a_hold_costs_the_same_however_many_policies_hold_it_and_whoever_decides(world: World) -> None:
    make_policy(world.alice, world.engineering)
    ask_for_agent(world.bob, world.engineering, "the-first")  # what is loaded once
    before = queries_of(partial(ask_for_agent, world.bob, world.engineering, "before"))
    more_policies(world, 3)
    for number in range(3):
        group = make_group(
            world.root, f"deciders-{number}", make_user(f"decider-{number}@acme.example", home=world.root)
        )
        make_policy(world.alice, world.engineering, name=f"group-{number}", approver_group_id=group.id)
        make_policy(
            world.alice, world.root, "agent:*", f"admins-{number}", approver_role_id=builtin("OrgAdmin"), quorum=1
        )
    after = []
    assert queries_of(lambda: after.append(ask_for_agent(world.bob, world.engineering, "after").json())) == before
    told = {step["policy"]: step["who"] for step in after[0]["explain"]["remedy"]}
    assert len(told) == 10
    assert (told["group-2"], told["holds-1"]) == (["user:decider-2@acme.example"], ["user:vera@acme.example"])
    assert "user:alice@acme.example" in told["admins-0"]
    assert after[0]["approvers"] == sorted({one.removeprefix("user:") for who in told.values() for one in who})[:5]


def test_a_look_for_what_is_due_is_one_query_when_there_is_nothing(world: World) -> None:
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    assert queries_of(replay.run) == 1
