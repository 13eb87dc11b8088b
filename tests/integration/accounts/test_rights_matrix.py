"""The permission matrix: every built-in role × every action × where, from the table; and every route of accounts × the
cast, failing on a route that is not listed.
"""

import pytest
from django.test import Client

from accounts import rbac
from accounts.roles import RESERVED, ROLES, builtin_actions, known_actions
from tests.world import World, actor_of, api_of, bind, make_user


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_gives_its_actions_at_its_scope_and_below_and_nothing_else(world: World, role: str) -> None:
    someone = make_user("someone@acme.example", home=world.root)
    bind(someone, role, world.engineering)
    grants = rbac.grants(actor_of(someone))
    for action in known_actions():
        in_table = action in builtin_actions(role)
        for ou, inside in [
            (world.engineering, True),
            (world.platform, True),
            (world.sales, False),
            (world.root, False),
        ]:
            assert rbac.decide(grants, action, ou.path).allowed == (in_table and inside), (role, action, ou.path)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_deny_of_a_role_takes_its_actions_from_the_admin_of_everything(world: World, role: str) -> None:
    bind(world.alice, role, world.engineering, decision="deny")
    grants = rbac.grants(actor_of(world.alice))
    for action in known_actions():
        denied = action in builtin_actions(role)
        assert rbac.decide(grants, action, world.platform.path).allowed == (not denied), (role, action)
        assert rbac.decide(grants, action, world.sales.path).allowed, (role, action)


def test_only_the_org_admin_has_the_reserved_actions() -> None:
    assert {role for role in ROLES for action in RESERVED if action in builtin_actions(role)} == {"OrgAdmin"}


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("OrgAdmin", {"organization:create", "role:create", "agent:delegate"}, set()),
        ("OUAdmin", {"ou:create", "user:move", "role_binding:create", "agent:create"}, {"role:create", "audit:read"}),
        ("GroupAdmin", {"group:add_member"}, {"user:create", "role_binding:create"}),
        ("AgentOwner", {"agent:create", "agent:invoke", "session:read"}, {"agent:assign_owner", "skill:create"}),
        ("AgentOperator", {"agent:invoke", "session:interrupt"}, {"agent:update", "session:delete"}),
        ("AgentViewer", {"agent:read", "session:read"}, {"agent:invoke"}),
        ("SkillOwner", {"skill:create", "skill:activate"}, {"agent:read"}),
        ("SkillUser", {"skill:use"}, {"skill:upload"}),
        ("Auditor", {"audit:read", "audit:export", "secret:read"}, {"secret:create", "agent:invoke"}),
        ("Approver", {"agent:read", "skill:read"}, {"agent:invoke"}),
    ],
)
def test_the_table_says_what_the_role_names_promise(role: str, has: set[str], lacks: set[str]) -> None:
    assert has <= builtin_actions(role)
    assert not lacks & builtin_actions(role)


def test_the_docs_print_the_table(world: World) -> None:
    schema = api_of(world.eve).get("/schema").json()
    printed = schema["paths"]["/api/roles"]["get"]["description"].splitlines()
    assert "| SkillUser | `skill:read`, `skill:use` |" in printed
    assert [line.split(" | ")[0].removeprefix("| ") for line in printed if line.startswith("| ")] == ["role", *ROLES]
    page = Client().get("/api/docs").content.decode()
    assert '<td class="fit">SkillUser</td><td><code>skill:read</code>, <code>skill:use</code></td>' in page
