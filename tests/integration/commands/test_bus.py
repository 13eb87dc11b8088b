"""The door: all or nothing, rights as before the set, a refusal that leaves only its record."""

import json
import threading
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import override_settings
from pydantic import ValidationError

from accounts import epoch
from accounts.commands.bindings import DeleteBinding
from accounts.commands.groups import AddMember, CreateGroup, UpdateGroup
from accounts.models import OU, Binding, Group
from accounts.roles import known_actions
from agents.commands import CreateAgent
from powerloom.audit.log import chain_of
from powerloom.audit.models import Entry
from powerloom.audit.verification import verify_chain
from powerloom.commands import registry
from powerloom.commands.bus import preview, submit, submit_all
from powerloom.commands.registry import Change, Command, Done, Subject, handles
from powerloom.kernel.errors import Denied, NameTaken, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor, Target
from powerloom.reconcile.models import SyncState
from tests.database import Race, Rival
from tests.world import World, actor_of, bind, make_group, make_role


def create(ou: OU, name: str = "leads") -> CreateGroup:
    return CreateGroup(id=new_id(), ou_id=ou.id, name=name, display_name=name.capitalize())


def entries() -> list[tuple[str, str, str]]:
    return list(Entry.objects.order_by("seq").values_list("action", "decision", "target_name"))


# --- All or nothing


def test_a_set_is_applied_with_one_entry_each_under_one_set_id(world: World) -> None:
    done = submit_all([create(world.root, "one"), create(world.sales, "two")], actor=actor_of(world.alice))
    assert isinstance(done, Done)
    assert [row.name for row in done.rows] == ["one", "two"]
    assert entries() == [("group:create", "allowed", "one"), ("group:create", "allowed", "two")]
    assert set(Entry.objects.values_list("set_id", flat=True)) == {done.set_id}


def test_an_invalid_command_undoes_the_set_and_leaves_no_entry(world: World) -> None:
    with pytest.raises(NameTaken):
        submit_all([create(world.root, "one"), create(world.root, "one")], actor=actor_of(world.alice))
    assert not Group.objects.exists()
    assert entries() == []


def test_a_denied_command_undoes_the_set_and_leaves_only_the_denial(world: World) -> None:
    with pytest.raises(Denied) as caught:
        submit_all([create(world.engineering, "mine"), create(world.sales, "theirs")], actor=actor_of(world.bob))
    assert caught.value.detail["permission"] == "group:create"
    assert caught.value.detail["ou_path"] == "/acme/sales"
    assert not Group.objects.exists()
    assert entries() == [("group:create", "denied", "theirs")]


def test_a_hidden_thing_undoes_the_set_and_is_recorded_with_who_asked(world: World) -> None:
    theirs = make_group(world.zeta.ous.get(), "secret")
    hidden = UpdateGroup(group_id=theirs.id, display_name="Mine")
    with pytest.raises(NotFound):
        submit_all([create(world.root), hidden], actor=actor_of(world.alice))
    assert not Group.objects.filter(name="leads").exists()
    entry = Entry.objects.get()
    assert (entry.chain_id, entry.decision, entry.target_id) == (world.acme.id, "not_found", theirs.id)


def test_absent_and_foreign_things_are_refused_in_the_same_words(world: World) -> None:
    theirs = make_group(world.zeta.ous.get(), "secret")
    said = []
    for group_id in (theirs.id, uuid4()):
        with pytest.raises(NotFound) as caught:
            submit(UpdateGroup(group_id=group_id, display_name="x"), actor=actor_of(world.alice))
        said.append((caught.value.code, caught.value.message, dict(caught.value.detail)))
    assert said[0] == said[1]


def test_a_command_sees_what_an_earlier_one_of_its_set_made(world: World) -> None:
    group = create(world.root)
    submit_all([group, AddMember(group_id=group.id, member_id=world.eve.id)], actor=actor_of(world.alice))
    assert Group.objects.get(pk=group.id).memberships.get().member_id == world.eve.id


def test_rights_are_asked_as_they_were_before_the_set(world: World) -> None:
    bind(world.bob, "OrgAdmin", world.root)
    mine = Binding.objects.get(principal_id=world.alice.id)
    submit_all([DeleteBinding(binding_id=mine.id), create(world.sales)], actor=actor_of(world.alice))
    with pytest.raises(Denied):
        submit(create(world.sales, "too-late"), actor=actor_of(world.alice))


def test_rights_that_the_set_itself_would_give_do_not_count(world: World) -> None:
    leads = make_group(world.sales, "leads")
    bind(leads, "GroupAdmin", world.sales)
    role = make_role(world.acme, "Joiner", "group:add_member")
    bind(world.eve, role.name, world.sales)
    with pytest.raises(Denied):
        submit_all(
            [AddMember(group_id=leads.id, member_id=world.eve.id), create(world.sales)], actor=actor_of(world.eve)
        )
    assert not leads.memberships.exists()


def test_what_was_recorded_is_what_was_done(world: World) -> None:
    group = make_group(world.root, "leads")
    submit(UpdateGroup(group_id=group.id, display_name="Team leads"), actor=actor_of(world.alice))
    body = json.loads(Entry.objects.get().body)
    assert body["command"] == "UpdateGroup"
    assert body["before"]["display_name"] == "Leads"
    assert body["after"]["display_name"] == "Team leads"
    assert body["decision"]["because"]["role"] == "OrgAdmin"
    assert body["target"] == {"kind": "group", "id": str(group.id), "name": "leads", "ou_path": "/acme/"}


def test_a_command_takes_no_unknown_field_and_does_not_change() -> None:
    with pytest.raises(ValidationError):
        UpdateGroup(group_id=uuid4(), colour="red")  # type: ignore[call-arg]  # the point
    command = UpdateGroup(group_id=uuid4())
    with pytest.raises(ValidationError):
        command.group_id = uuid4()  # type: ignore[misc]  # as one might try


def test_every_action_with_a_handler_is_an_action_of_the_product() -> None:
    assert {action for action in registry._BY_ACTION if not action.startswith("test:")} <= known_actions()


# --- The steps


@pytest.mark.parametrize("step", ["authorize", "hold"])
def test_without_a_step_nothing_passes(world: World, step: str) -> None:
    steps = {"authorize": "accounts.rbac.authorize", "hold": "approvals.gate.hold"}
    del steps[step]
    with override_settings(COMMAND_STEPS=steps), pytest.raises(KeyError):
        submit(create(world.root), actor=actor_of(world.alice))
    assert not Group.objects.exists()


# --- Dry run


def test_a_preview_says_what_would_happen_and_does_nothing(world: World) -> None:
    command = CreateAgent(
        id=new_id(),
        ou_id=world.engineering.id,
        name="reviewer",
        display_name="Reviewer",
        model="claude-sonnet-4-6",
        system_prompt="Review.",
    )
    found = preview([command], actor=actor_of(world.bob))
    assert found.cases[0].decision["because"]["role"] == "OUAdmin"
    assert {"kind": "agent", "id": str(command.id)} in found.calls
    assert found.held is None
    assert not SyncState.objects.filter(object_id=command.id).exists()
    assert entries() == []


def test_a_denied_preview_records_nothing(world: World) -> None:
    with pytest.raises(Denied):
        preview([create(world.sales)], actor=actor_of(world.bob))
    assert entries() == []


def test_a_denied_preview_stops_before_it_tells_whether_a_name_is_taken(world: World) -> None:
    make_group(world.sales, "leads")
    with pytest.raises(Denied):
        preview([create(world.sales, "leads")], actor=actor_of(world.bob))


def test_an_invalid_preview_says_so(world: World) -> None:
    make_group(world.root, "leads")
    with pytest.raises(NameTaken):
        preview([create(world.root, "leads")], actor=actor_of(world.alice))


# --- Races


class LockTwo(Command):
    """Locks two groups one after the other, and waits in between until the other party has its first."""

    action: ClassVar[str] = "test:lock_two"
    first: UUID
    second: UUID


meeting = threading.Barrier(2, timeout=20)
turns: list[str] = []


def load_locks(command: LockTwo, actor: Actor) -> Subject:
    group = Group.objects.select_for_update().get(pk=command.first)
    turns.append(group.name)
    if turns.count(group.name) == 1:
        meeting.wait()
    Group.objects.select_for_update().get(pk=command.second)
    return Subject(group, Target("group", group.id, group.name, group.organization_id, "/acme/"))


@handles(LockTwo, load=load_locks)
def lock_two(command: LockTwo, *, subject: Subject, actor: Actor) -> Change:
    group: Group = subject.row
    Group.objects.filter(pk=command.second).update(description=f"{Group.objects.get(pk=command.second).description}x")
    return Change(group)


@pytest.mark.postgres_only
def test_a_deadlock_retries_the_whole_set(committed_world: World, race: Race) -> None:
    world = committed_world
    one, two = make_group(world.root, "one"), make_group(world.root, "two")
    bind(world.alice, make_role(world.acme, "Locker", "test:lock_two").name, world.root)
    turns.clear()
    actor = actor_of(world.alice)
    outcomes = race(
        lambda: submit(LockTwo(first=one.id, second=two.id), actor=actor),
        lambda: submit(LockTwo(first=two.id, second=one.id), actor=actor),
    )
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert len(turns) == 3, "one of the two was the victim, once"
    assert len(entries()) == 2


def test_sets_at_the_same_moment_make_one_gapless_chain(committed_world: World, race: Race) -> None:
    world = committed_world
    actor = actor_of(world.alice)
    outcomes = race(*[lambda name=name: submit(create(world.root, name), actor=actor) for name in ("a", "b", "c", "d")])
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    verdict = verify_chain(chain_of(world.acme.id))
    assert verdict.is_intact
    assert verdict.count == 4


def test_of_two_that_take_one_name_one_is_told_so(committed_world: World, race: Race) -> None:
    world = committed_world
    actor = actor_of(world.alice)
    outcomes = race(*[lambda: submit(create(world.root), actor=actor)] * 2)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done", "NameTaken"]
    assert Group.objects.count() == 1


def test_a_right_lost_while_a_change_waits_is_lost(committed_world: World, rival: Rival) -> None:
    """The change is asked while another transaction, which takes the right away, is not yet committed."""
    world = committed_world
    bind(world.bob, "OrgAdmin", world.root)
    binding = Binding.objects.get(principal_id=world.alice.id)
    alice, bob = actor_of(world.alice), actor_of(world.bob)
    with transaction.atomic(durable=True):
        epoch.hold(world.acme.id, exclusively=True)
        Binding.objects.filter(pk=binding.pk).update(ended_at=binding.created_at)
        theirs = rival.start(lambda: submit(create(world.sales), actor=alice))
        assert not theirs.done()
    with pytest.raises(Denied):
        theirs.result(timeout=30)
    assert isinstance(submit(create(world.sales), actor=bob), Done)
