"""Who may call what: every route of the API stands in this table, or the test of the table fails.

The table is proved, not believed: with every right but the named one the call is refused for lack of that one; with all
of them it goes through.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import RoleAction, User
from accounts.roles import known_actions
from accounts.tokens import sign_in_token
from agents.mcp.powerloom_meta import RIGHTS, ROUTES
from powerloom.api.v1 import api
from powerloom.audit.models import Entry
from powerloom.kernel.ids import new_id
from sessions.models import AgentSession
from tests.archives import GOOD, zipped
from tests.connected import attach_server, make_server
from tests.database import undone
from tests.declared import attach, make_agent, make_rule, make_skill, make_version, register_server
from tests.deployed import make_deployment, make_failed
from tests.held import held_agent, make_policy
from tests.meta import make_meta_agent, talk
from tests.routes import INSTEAD, MEMBER, OF_NOBODY, PUBLIC, QUERIES, REFUSED_ANYWAY, TABLE
from tests.standing import standing
from tests.wired import make_credential, make_foreign, make_managed
from tests.world import Api, World, api_of, bind, console_of, make_group, make_ou, make_role, make_token, make_user

# Manifests that ask for nothing: of what is there, and of what is not.
THERE = {"kind": "OU", "metadata": {"name": "engineering", "parent_ou_path": "/acme"}}
ABSENT = {"kind": "OU", "metadata": {"name": "absent", "parent_ou_path": "/acme"}}

ALL = "All"  # the role of every right

GUARDED = sorted(route for route, right in TABLE.items() if right not in {PUBLIC, MEMBER})
SIGNED_IN = sorted(route for route, right in TABLE.items() if right != PUBLIC)
OF_MEMBERS = sorted(route for route, right in TABLE.items() if right == MEMBER)


def routes() -> set[str]:
    """Return every route that the API answers, documented or not."""
    return {
        f"{method} {re.sub('{[a-z]+:', '{', path)}"
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }


def test_every_route_stands_in_the_table_and_no_other() -> None:
    assert routes() == set(TABLE)


def test_every_right_in_the_table_is_an_action_of_the_product() -> None:
    assert {right for right in TABLE.values() if right not in {PUBLIC, MEMBER}} <= known_actions()


def test_the_contract_says_the_same_about_signing_in() -> None:
    for path, operations in api.get_openapi_schema(path_prefix="")["paths"].items():
        for method, operation in operations.items():
            assert ("security" not in operation) == (TABLE[f"{method.upper()} {path}"] == PUBLIC)


@dataclass(frozen=True)
class Stage:
    """A thing of every kind, and somebody whose rights are under test."""

    world: World
    names: dict[str, str]
    bodies: dict[str, Any]
    actor: User

    def call(self, route: str, user: User) -> Any:
        method, _, path = self.address(route).partition(" ")
        if route == "POST /skills/{skill_id}/versions":
            client = Client(headers={"authorization": f"Bearer {sign_in_token(user)}"})
            return client.post(f"/api{path}", {"file": SimpleUploadedFile("s.zip", zipped({**GOOD, "new.txt": b"x"}))})
        caller = api_of(user)
        send: Callable[..., Any] = getattr(caller, method.lower())
        return send(path, *([self.bodies.get(route, {})] if method != "GET" else []))

    def address(self, route: str) -> str:
        """Return the route with the ids of its things."""
        path = route + QUERIES.get(route, "")
        for name, value in self.names.items():
            path = path.replace(f"{{{name}}}", value)
        return path


def make_session(world: World, agent: Any) -> AgentSession:
    now = timezone.now()
    return AgentSession.objects.create(
        organization=world.acme,
        ou=world.engineering,
        agent=agent,
        agent_version=1,
        cma_agent_version=1,
        cma_session_id="sesn_test",
        status="running",
        invoked_by_id=world.bob.id,
        invoked_by_ref=world.bob.ref,
        prompt="hello",
        mode="fire_and_forget",
        max_duration=600,
        created_at=now,
        changed_at=now,
    )


@standing
def stage(world: World) -> Stage:
    alice = world.alice
    actor = make_user("kay@acme.example", home=world.root, password="correct horse battery staple")
    victim = make_user("victor@acme.example", home=world.platform)
    agent = make_agent(alice, world.engineering)
    skill, spare = make_skill(alice, world.engineering), make_skill(alice, world.engineering, "spare")
    version = make_version(alice, skill)
    attach(alice, agent, skill)
    server = make_server(world.engineering)
    attach_server(alice, agent, server)
    inner = make_group(world.engineering, "inner")
    group = make_group(world.engineering, "leads", victim, inner)
    binding = bind(victim, "AgentViewer", world.platform)
    role = make_role(world.acme, "Reviewer", "agent:read")
    agent_token = api_of(alice).post(f"/principals/{agent.id}/tokens", {"name": "runs"}).json()
    own_token = api_of(actor).post("/users/me/personal-access-tokens", {"name": "mine"}).json()
    kept = {"name": "dsn", "ou_id": str(world.engineering.id), "value": "postgres://x"}
    secret = api_of(alice).post("/secrets", kept).json()
    tracker = make_foreign(world.engineering)
    credential = make_credential(alice, agent, tracker)
    parrot = make_managed(world.engineering)
    grant = api_of(alice).post(f"/skills/{skill.id}/grants", {"principal_id": str(victim.id)}).json()
    empty = make_ou(world.engineering, "empty")
    gated = make_ou(world.engineering, "gated")
    policy = make_policy(alice, gated)
    held = held_agent(world.bob, gated)
    hook = api_of(alice).post("/webhooks", {"name": "ops", "url": "https://127.0.0.1:9/in"}).json()
    here = {"ou_id": str(world.engineering.id)}
    shown = {"display_name": "Another"}
    names = {
        "ou": str(world.engineering.id),
        "ou_id": str(empty.id),
        "user_id": str(victim.id),
        "group_id": str(group.id),
        "member_group_id": str(inner.id),
        "role_id": str(role.id),
        "binding_id": str(binding.id),
        "principal_id": str(agent.id),
        "token_id": agent_token["id"],
        "own_token_id": own_token["id"],
        "secret_id": secret["id"],
        "agent_id": str(agent.id),
        "number": "1",
        "before": "1",
        "after": "2",
        "skill_id": str(skill.id),
        "spare_id": str(spare.id),
        "grant_id": grant["id"],
        "deployment_id": str(make_failed(make_deployment(alice, world.engineering)).id),
        "registration_id": str(server.id),
        "policy_id": str(policy.id),
        "webhook_id": hook["id"],
        "request_id": str(held.id),
        "rule_id": make_rule(alice, "tools.acme.internal"),
        "server_id": str(register_server(alice, world.engineering, tools=["search"]).id),
        "credential_id": str(credential.id),
        "session_id": str(make_session(world, agent).id),
        "kind": "OU",
    }
    new = {"name": "new", "display_name": "New"}
    bodies = {
        "POST /me/password": {"current_password": "correct horse battery staple", "new_password": "another long one"},
        "POST /ous": {**new, "parent_id": str(world.engineering.id)},
        "PATCH /ous/{ou_id}": shown,
        "POST /users": {"email": "new@acme.example", "home_ou_id": str(world.platform.id)},
        "PATCH /users/{user_id}": {"name": "Victor the second"},
        "POST /groups": {**new, **here},
        "PATCH /groups/{group_id}": shown,
        "POST /groups/{group_id}/users": {"user_id": str(world.eve.id)},
        "POST /groups/{group_id}/groups": {"member_group_id": str(make_group(world.engineering, "outer").id)},
        "POST /roles": {"name": "Another", "actions": ["agent:read"]},
        "PATCH /roles/{role_id}": {"description": "Reads agents."},
        "POST /role-bindings": {
            "principal_id": str(victim.id),
            "role_id": str(role.id),
            "scope_ou_id": str(world.platform.id),
        },
        "POST /users/me/personal-access-tokens": {"name": "ci"},
        "POST /principals/{principal_id}/tokens": {"name": "ci"},
        "POST /secrets": {**here, "name": "another", "value": "v"},
        "POST /secrets/{secret_id}/rotate": {"value": "w"},
        "POST /agents": {**new, **here, "model": "claude-sonnet-4-6", "system_prompt": "Be brief."},
        "PATCH /agents/{agent_id}": shown,
        "POST /agents/{agent_id}/skills": {"skill_id": str(skill.id), "skill_version_id": str(version.id)},
        "POST /agents/{agent_id}/mcp-servers": {"mcp_server_registration_id": str(server.id)},
        "POST /agents/{agent_id}/invoke": {"prompt": "hello"},
        "POST /egress-rules": {"pattern": "*.acme.internal"},
        "POST /mcp-servers": {**new, **here, "url": "https://tools.acme.example/mcp"},
        "PATCH /mcp-servers/{server_id}": {"description": "Another."},
        "POST /credentials": {"agent_id": str(agent.id), "mcp_server_registration_id": str(parrot.id)},
        "POST /skills": {**new, **here},
        "PATCH /skills/{skill_id}": {"description": "Another."},
        "POST /skills/{skill_id}/grants": {"principal_id": str(world.eve.id)},
        "POST /mcp-deployments": {**new, **here, "template_kind": "echo"},
        "PATCH /mcp-deployments/{deployment_id}": {"policy_json": {"denied_tools": ["fail"]}},
        **dict.fromkeys(("POST /manifests/plan", "POST /manifests/apply"), THERE),
        "POST /manifests/destroy": ABSENT,
        "POST /access-requests": {**here, "action": "agent:read", "reason": "To look."},
        "POST /approvals/bulk-decide": {"ids": [str(new_id())], "verdict": "reject"},
        "POST /approval-policies/try": {"policy": {"scope_ou_id": str(empty.id), "action_pattern": "agent:*"}},
        "POST /approval-policies": {
            "name": "another",
            "scope_ou_id": str(empty.id),
            "action_pattern": "agent:*",
            "approver_role_id": str(policy.approver_role_id),
        },
        "POST /webhooks": {"name": "another", "url": "https://hooks.example/in"},
        "PATCH /webhooks/{webhook_id}": {"events": ["asked"]},
        "PATCH /approval-policies/{policy_id}": {"quorum": 1},
        "POST /approval-policies/{policy_id}/switch-off": {"reason": "It holds up the release."},
        "PATCH /sessions/{session_id}": {"title": "Another"},
        "POST /sessions/{session_id}/messages": {"text": "go on"},
        "POST /sessions/{session_id}/confirmations": {"tool_use_id": "none", "result": "allow"},
    }
    return Stage(world, names, bodies, actor)


def staged(stage: Stage, route: str) -> Stage:
    """Point the names of a route at the things it is about."""
    changed = {name: stage.names[other] for name, other in INSTEAD.get(route, {}).items()}
    return Stage(stage.world, stage.names | changed, stage.bodies, stage.actor)


def give(stage: Stage) -> None:
    """Bind every right to the actor, at the root."""
    role = make_role(stage.world.acme, ALL, *sorted(known_actions()))
    bind(stage.actor, role.name, stage.world.root)


def applied() -> int:
    return Entry.objects.filter(decision__in=["allowed", "recorded"]).count()


def each(stage: Stage, routes: list[str], law: Callable[[Stage, str], None]) -> None:
    """Try a law on every route, each on the untouched stage, and tell all that break it."""
    broken = []
    for route in routes:
        with undone():
            try:
                law(staged(stage, route), route)
            except AssertionError as error:
                broken.append(f"{route}: {error}")
    assert not broken, "\n".join(broken)


def test_with_every_right_but_the_named_one_it_is_refused(stage: Stage) -> None:
    give(stage)

    def law(stage: Stage, route: str) -> None:
        right = TABLE[route]
        RoleAction.objects.filter(role__name=ALL, action=right).delete()
        before = applied()
        answer = stage.call(route, stage.actor)
        if answer.status_code == 200:
            own = [row for row in answer.json() if row.get("principal_id") == str(stage.actor.id)]
            assert answer.json() == own, "a list shows nothing that one may not read"
        elif right.endswith(":read") and right != "audit:read":
            assert answer.status_code == 404, answer.content
        else:
            assert answer.status_code == 403, answer.content
            assert answer.json()["error"]["detail"]["permission"] == right
        assert applied() == before

    each(stage, GUARDED, law)


@pytest.mark.twice
def test_with_all_rights_it_goes_through(stage: Stage) -> None:
    give(stage)

    def law(stage: Stage, route: str) -> None:
        answer = stage.call(route, stage.actor)
        refused = REFUSED_ANYWAY.get(route)
        assert answer.status_code == refused if refused else answer.status_code < 400, answer.content

    each(stage, GUARDED, law)


def test_a_member_without_any_binding_may_call_what_is_every_members(stage: Stage) -> None:
    def law(stage: Stage, route: str) -> None:
        answer = stage.call(route, stage.actor)
        assert answer.status_code < 400, answer.content

    each(stage, OF_MEMBERS, law)


def test_without_a_bearer_a_cookie_opens_nothing(stage: Stage) -> None:
    clients = (Client(), console_of(stage.world.alice))

    def law(stage: Stage, route: str) -> None:
        method, _, path = stage.address(route).partition(" ")
        for client in clients:
            assert client.generic(method, f"/api{path}").status_code == 401

    each(stage, SIGNED_IN, law)


def test_every_route_takes_the_tokens_of_its_own_tools_and_no_other(stage: Stage) -> None:
    give(stage)
    one = talk(make_meta_agent(stage.world.alice, stage.world.platform), stage.actor)
    tokens = {tool: one.token(tool) for tool in sorted(ROUTES)}
    others = cycle(tokens)  # asking every route with every token would say no more, and take minutes
    assert set(RIGHTS) == set(ROUTES)
    assert {route for named in ROUTES.values() for route in named} <= set(SIGNED_IN)

    def law(stage: Stage, route: str) -> None:
        method, _, path = stage.address(route).partition(" ")
        its_own = {tool for tool in tokens if route in ROUTES[tool]}
        for tool in its_own | {next(others)}:
            send = getattr(Api(tokens[tool]), method.lower())
            answer = send(path, *([stage.bodies.get(route, {})] if method != "GET" else []))
            assert (answer.status_code != 401) is (tool in its_own), (tool, answer.content)

    each(stage, SIGNED_IN, law)


def test_a_narrowed_token_reaches_only_its_actions(stage: Stage) -> None:
    give(stage)
    api = Api(make_token(stage.actor, actions=["agent:read"]))
    assert api.get("/agents").json() != []
    assert api.get("/skills").json() == []
    assert api.post("/groups", stage.bodies["POST /groups"]).status_code == 403


def words(answer: Any) -> tuple[int, object]:
    """Return all that a refusal says, but for the id of its request."""
    said = dict(answer.json()["error"])
    del said["request_id"]
    return answer.status_code, said


def elsewhere(stage: Stage) -> Stage:
    """Return the stage with ids that nothing has."""
    return replace(
        stage, names=dict.fromkeys(stage.names, str(new_id())) | {"number": "1", "before": "1", "after": "2"}
    )


def test_in_a_path_absent_foreign_and_unseen_answer_the_same_bytes(stage: Stage) -> None:
    """An administrator of another organization finds nothing of it, nor changes anything."""

    def law(stage: Stage, route: str) -> None:
        before = applied()
        for user in (stage.world.mallory, stage.actor) if route in GUARDED else (stage.world.mallory,):
            found = stage.call(route, user)
            if user == stage.world.mallory:
                assert found.status_code == 404, found.content
                assert applied() == before
            if route in GUARDED:
                absent = elsewhere(stage).call(route, user)
                assert absent.status_code == 404, absent.content
                assert found.status_code != 404 or words(found) == words(absent)

    each(stage, [route for route in SIGNED_IN if "{" in route and route not in OF_NOBODY], law)


def test_in_a_body_absent_and_foreign_answer_the_same_bytes(stage: Stage) -> None:
    world = stage.world
    root = world.zeta.ous.get()
    skill = make_skill(world.mallory, root)
    foreign: dict[str, Any] = {
        "ou_id": root,
        "parent_id": root,
        "home_ou_id": root,
        "scope_ou_id": root,
        "user_id": world.mallory,
        "principal_id": world.mallory,
        "owner_principal_id": world.mallory,
        "member_group_id": make_group(root, "theirs"),
        "role_id": make_role(world.zeta, "Theirs", "agent:read"),
        "approver_role_id": make_role(world.zeta, "Theirs too", "agent:read"),
        "skill_id": skill,
        "skill_version_id": make_version(world.mallory, skill),
        "mcp_server_registration_id": make_server(root, "theirs"),
    }
    optional = {"POST /agents": {"owner_principal_id": ""}, "POST /users/me/personal-access-tokens": {"ou_id": ""}}

    give(stage)

    def law(stage: Stage, route: str) -> None:
        body = stage.bodies[route] | optional.get(route, {})
        for name in body.keys() & foreign.keys():
            said = []
            for value in (str(foreign[name].id), str(new_id())):
                other = replace(stage, bodies={route: body | {name: value}})
                with undone():
                    said.append(words(other.call(route, stage.actor)))
            assert said[0] == said[1], name
            assert said[0][0] in {404, 422}, f"{name}: {said[0]}"

    each(
        stage,
        [
            route
            for route in SIGNED_IN
            if foreign.keys() & (stage.bodies.get(route, {}) | optional.get(route, {})).keys()
        ],
        law,
    )
