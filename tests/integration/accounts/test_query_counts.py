"""Check, explain and lists cost the same number of queries for any depth, bindings and rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.commands.bindings import CreateBinding
from accounts.models import OU, Role, Secret
from powerloom.commands.bus import preview
from powerloom.kernel.errors import Denied, PowerloomError
from powerloom.kernel.ids import new_id
from tests.database import undone
from tests.refusals import one_minute
from tests.world import Api, World, actor_of, api_of, bind, make_group, make_ou, make_role, make_user

READS = [
    "/access/check?action=agent:create&ou_id={ou}",
    "/access/explain?action=agent:create&ou_id={ou}",
    "/ous/tree",
    "/ous",
    "/users",
    "/groups",
    "/roles",
    "/role-bindings",
    "/secrets",
    "/users/me/personal-access-tokens",
    "/me",
]


def counted(api: Api, path: str, ou: OU) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert api.get(path.format(ou=ou.id)).status_code == 200
    return len(queries)


def grow(world: World) -> OU:
    """Make the organization deeper and fuller, and everybody's rights more."""
    ou = world.platform
    for level in range(6):
        ou = make_ou(ou, f"deep{level}")
        group = make_group(ou, f"g{level}", world.bob)
        role = make_role(world.acme, f"Role{level}", "agent:read", "secret:read")
        bind(group, "AgentOwner", ou)
        bind(world.bob, role.name, world.engineering)
        bind(make_user(f"u{level}@acme.example", home=ou), "AgentViewer", ou)
        Secret.objects.create(organization=world.acme, ou=ou, name=f"s{level}", kind="opaque")
        api_of(world.bob).post("/users/me/personal-access-tokens", {"name": f"t{level}"})
    return ou


def test_a_read_costs_the_same_however_much_there_is(world: World) -> None:
    # One of each first, so that what is only asked when there is any (the actions of custom roles) is asked both times.
    bind(world.bob, make_role(world.acme, "First", "agent:read").name, world.engineering)
    api = api_of(world.bob)
    small = {path: counted(api, path, world.platform) for path in READS}
    deep = grow(world)
    assert {path: counted(api, path, deep) for path in READS} == small
    assert max(small.values()) <= 12


@pytest.mark.parametrize("allowed", [True, False])
def test_a_write_costs_the_same_however_many_rights_there_are(world: World, allowed: bool) -> None:
    api = api_of(world.bob if allowed else world.eve)
    bind(world.bob, make_role(world.acme, "First", "agent:read").name, world.engineering)

    def rename(ou: OU) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = api.patch(f"/ous/{ou.id}", {"display_name": "X"})
        assert answer.status_code == (200 if allowed else 403)
        return len(queries)

    with one_minute():
        rename(world.engineering)  # the first one begins the chain of the trail
        small = rename(world.platform)
        assert rename(grow(world)) == small


def test_refusals_for_the_same_cost_the_same_for_any_number(world: World) -> None:
    people = [make_user(f"p{number}@acme.example", home=world.engineering) for number in range(9)]
    role = Role.objects.get(name="OrgAdmin")

    def refused(number: int) -> int:
        commands = [
            CreateBinding(id=new_id(), principal_id=one.id, role_id=role.id, scope_ou_id=world.engineering.id)
            for one in people[:number]
        ]
        found: dict[int, PowerloomError] = {}
        with undone(), CaptureQueriesContext(connection) as caught:
            preview(commands, actor=actor_of(world.bob), refused=found)
        assert [type(error) for error in found.values()] == [Denied] * number
        return len(caught)

    assert refused(3) == refused(9)
