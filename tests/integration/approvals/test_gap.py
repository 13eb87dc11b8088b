"""No gap between asking and doing: rights and policies are those of the moment at which a write is done."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.commands.bindings import CreateBinding, DeleteBinding
from accounts.models import Binding
from agents.commands import CreateAgent
from agents.models import Agent
from approvals.commands.policies import CreatePolicy
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done, Held
from powerloom.kernel.errors import Denied
from powerloom.kernel.ids import new_id
from tests.database import Rival, in_turn
from tests.held import builtin
from tests.world import World, actor_of

RECORD = Entry._meta.db_table  # written last: by then everything is judged and done, and nothing is committed


@pytest.fixture
def world(committed_world: World) -> World:
    return committed_world


def new_agent(world: World) -> Any:
    said = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "p", "ou_id": world.engineering.id}
    return submit(CreateAgent.model_validate({"id": new_id(), **said}), actor=actor_of(world.bob))


def revoke(world: World) -> Any:
    binding = Binding.objects.get(principal_id=world.bob.pk)
    return submit(DeleteBinding(binding_id=binding.pk), actor=actor_of(world.alice))


def deny(world: World) -> Any:
    command = CreateBinding(
        id=new_id(),
        principal_id=world.bob.pk,
        role_id=builtin("AgentOwner"),
        scope_ou_id=world.engineering.pk,
        decision_type="deny",
    )
    return submit(command, actor=actor_of(world.alice))


def gate(world: World) -> Any:
    command = CreatePolicy(
        id=new_id(),
        name="gate",
        scope_ou_id=world.engineering.pk,
        action_pattern="agent:create",
        approver_role_id=builtin("Approver"),
    )
    return submit(command, actor=actor_of(world.alice))


@pytest.mark.parametrize(("change", "kind"), [(revoke, Denied), (deny, Denied), (gate, Held)])
def test_a_write_waits_for_a_change_of_access_and_is_judged_by_it(
    world: World, rival: Rival, change: Callable[[World], Any], kind: type
) -> None:
    changed, written = in_turn(rival, lambda: change(world), lambda: new_agent(world), before=RECORD)
    assert isinstance(changed, Done)
    assert isinstance(written, kind)
    assert not Agent.objects.exists()


@pytest.mark.parametrize("change", [revoke, deny, gate])
def test_a_change_of_access_waits_for_a_write_that_was_judged_before(
    world: World, rival: Rival, change: Callable[[World], Any]
) -> None:
    written, changed = in_turn(rival, lambda: new_agent(world), lambda: change(world), before=RECORD)
    assert isinstance(written, Done)
    assert isinstance(changed, Done)
    assert Entry.objects.earliest("seq").action == "agent:create"
