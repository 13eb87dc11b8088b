"""Agents over REST: declared, listed, read, changed, archived; and every refusal in its place."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pydantic import TypeAdapter

from accounts.models import AccessToken, Principal, PrincipalClosure
from accounts.tokens import sign_in_token
from agents.api.shapes import AgentDetailOut, AgentOut, SyncOut
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion
from powerloom.reconcile.models import SyncState
from tests.declared import is_stale, make_agent, make_live
from tests.refusals import said
from tests.world import World, api_of, bind, make_group, make_role

ABSENT = "01920000-0000-7000-8000-000000000000"
PROMPT = "  Review Python code.\n\tBe concise. ✓\n"


def body(world: World, **fields: Any) -> dict[str, Any]:
    return {
        "name": "code-reviewer",
        "ou_id": str(world.engineering.id),
        "display_name": "Code Reviewer",
        "model": "claude-sonnet-4-6",
        "system_prompt": PROMPT,
        **fields,
    }


def listed(response: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = response.json()
    return rows


def code(response: Any) -> str:
    found: str = response.json()["error"]["code"]
    return found


# --- Create


def test_it_declares_an_agent_as_the_documentation_prints_it(world: World) -> None:
    sent = body(world, agent_kind="user", owner_principal_id=str(world.bob.id))
    response = api_of(world.bob).post("/agents", sent)
    assert response.status_code == 201
    made = response.json()
    AgentDetailOut.model_validate(made)
    assert {name: made[name] for name in sent} == sent
    assert made["description"] is None
    assert (made["ou_path"], made["runtime_type"], made["version"]) == ("/acme/engineering", "cma", 1)
    assert (made["sync_status"], made["cma_agent_id"]) == ("pending", None)
    assert (made["skills"], made["mcp_servers"]) == ([], [])
    assert made["owner_ref"] == "user:bob@acme.example"


def test_the_body_is_read_as_json_even_when_curl_calls_it_a_form(world: World) -> None:
    response = Client().generic(
        "POST",
        "/api/agents",
        json.dumps(body(world)),
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Bearer {sign_in_token(world.bob)}"},
    )
    assert response.status_code == 201


def test_a_new_agent_and_its_environment_are_wanted_on_the_runtime(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert is_stale(SyncKind.AGENT, agent.id)
    assert is_stale(SyncKind.ENVIRONMENT, world.acme.id)


def test_another_agent_does_not_touch_the_environment(world: World) -> None:
    make_agent(world.bob, world.engineering)
    make_live(world.acme.id)
    make_agent(world.bob, world.engineering, "second")
    assert not is_stale(SyncKind.ENVIRONMENT, world.acme.id)


def test_an_agent_is_a_principal_that_speaks_for_itself_alone(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, agent_kind="service")
    principal = Principal.objects.get(pk=agent.id)
    assert (principal.kind, principal.ref) == ("agent", "agent:/acme/engineering/code-reviewer")
    assert principal.acts_as_id is None
    assert list(PrincipalClosure.objects.filter(member=principal).values_list("principal_id", flat=True)) == [agent.id]


def test_an_agent_of_kind_user_acts_as_its_owner(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert Principal.objects.get(pk=agent.id).acts_as_id == world.bob.id


def test_without_an_owner_it_belongs_to_whoever_makes_it(world: World) -> None:
    made = api_of(world.bob).post("/agents", body(world)).json()
    assert made["owner_principal_id"] == str(world.bob.id)


def test_the_first_version_holds_the_whole_spec_and_its_author(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, description="", metadata={"team": "core"})
    version = AgentVersion.objects.get(agent=agent)
    assert (version.number, version.author_ref) == (1, "user:bob@acme.example")
    assert (version.spec["description"], version.spec["metadata"]) == ("", {"team": "core"})


@pytest.mark.parametrize("model", ["gpt-5.5", {"id": "claude-opus-4-1", "speed": "fast"}])
@pytest.mark.parametrize("description", [None, "", "Reviews code. "])
def test_what_was_posted_comes_back_as_it_was(world: World, model: Any, description: str | None) -> None:
    api = api_of(world.bob)
    made = api.post("/agents", body(world, model=model, description=description)).json()
    for row in (made, api.get(f"/agents/{made['id']}").json(), listed(api.get("/agents"))[0]):
        assert (row["model"], row["description"], row["system_prompt"]) == (model, description, PROMPT)


def test_a_prompt_at_the_limit_is_taken(world: World) -> None:
    response = api_of(world.bob).post("/agents", body(world, system_prompt="é" * 100_000))
    assert response.status_code == 201
    assert len(response.json()["system_prompt"]) == 100_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"system_prompt": "x" * 100_001}, 422),
        ({"name": "Code Reviewer"}, 422),
        ({"name": "x" * 64}, 422),
        ({"name": "-x"}, 422),
        ({"name": "x\n"}, 422),
        ({"display_name": ""}, 422),
        ({"display_name": "x" * 256}, 422),
        ({"description": "x" * 2049}, 422),
        ({"model": ""}, 422),
        ({"runtime_type": "langchain"}, 422),
        ({"agent_kind": "robot"}, 422),
        ({"ou_id": "engineering"}, 422),
        ({"unknown": 1}, 422),
        ({"id": ABSENT}, 422),
        ({"metadata": {"powerloom": "x"}}, 422),
        ({"system_prompt": "a\x00b"}, 422),
        ({"system_prompt": "\ud800"}, 422),
        ({"system_prompt": "x" * 1_100_000}, 413),
        ({"owner_principal_id": ABSENT}, 404),
        ({"ou_id": ABSENT}, 404),
    ],
)
def test_wrong_input_is_refused_and_names_its_field(world: World, fields: dict[str, Any], status: int) -> None:
    response = api_of(world.bob).post("/agents", body(world, **fields))
    assert response.status_code == status
    if status == 422:
        assert next(iter(fields)) in {response.json()["error"]["detail"]["field"].split(".")[0], "system_prompt"}
    assert not Agent.objects.exists()


@pytest.mark.parametrize("missing", ["name", "ou_id", "display_name", "model", "system_prompt"])
def test_a_missing_field_is_named(world: World, missing: str) -> None:
    sent = body(world)
    del sent[missing]
    response = api_of(world.bob).post("/agents", sent)
    assert (response.status_code, response.json()["error"]["detail"]["field"]) == (422, missing)


def test_a_taken_name_is_refused(world: World) -> None:
    make_agent(world.bob, world.engineering)
    response = api_of(world.bob).post("/agents", body(world))
    assert (response.status_code, code(response)) == (409, "name_taken")


def test_the_same_name_is_free_in_another_ou_and_after_archiving(world: World) -> None:
    api = api_of(world.bob)
    first = make_agent(world.bob, world.engineering)
    assert api.post("/agents", body(world, ou_id=str(world.platform.id))).status_code == 201
    assert api.delete(f"/agents/{first.id}").status_code == 204
    assert api.post("/agents", body(world)).status_code == 201


def test_an_idempotency_key_makes_one_agent(world: World) -> None:
    api = api_of(world.bob)
    first = api.post("/agents", body(world), HTTP_IDEMPOTENCY_KEY="k1")
    again = api.post("/agents", body(world), HTTP_IDEMPOTENCY_KEY="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json()["id"] == first.json()["id"]
    assert Agent.objects.count() == 1


def test_a_dry_run_makes_nothing_and_says_what_it_would(world: World) -> None:
    answer = api_of(world.bob).post("/agents?dry_run=true", body(world)).json()
    assert answer["commands"][0]["after"]["system_prompt"] == PROMPT
    assert {call["kind"] for call in answer["cma_calls"]} == {"agent", "environment"}
    assert not Agent.objects.exists()
    assert not SyncState.objects.exists()


# --- Whose it is


def test_naming_another_owner_takes_the_right_in_that_owners_home(world: World) -> None:
    refused = api_of(world.bob).post("/agents", body(world, owner_principal_id=str(world.vera.id)))
    assert (refused.status_code, code(refused)) == (403, "permission_denied")
    assert refused.json()["error"]["detail"]["permission"] == "agent:assign_owner"
    assert refused.json()["error"]["detail"]["ou_path"] == "/acme/sales"
    taken = api_of(world.alice).post("/agents", body(world, owner_principal_id=str(world.vera.id)))
    assert taken.status_code == 201


def test_a_custom_role_in_the_owners_home_is_enough(world: World) -> None:
    make_role(world.acme, "Assigner", "agent:assign_owner")
    bind(world.bob, "Assigner", world.sales)
    assert api_of(world.bob).post("/agents", body(world, owner_principal_id=str(world.vera.id))).status_code == 201


def test_a_group_can_own_an_agent(world: World) -> None:
    group = make_group(world.engineering, "leads", world.bob)
    refused = api_of(world.bob).post("/agents", body(world, owner_principal_id=str(group.id)))
    assert refused.status_code == 403
    made = api_of(world.alice).post("/agents", body(world, owner_principal_id=str(group.id)))
    assert made.json()["owner_ref"] == "group:/acme/engineering/leads"


def test_only_users_and_groups_own_agents(world: World) -> None:
    agent = make_agent(world.alice, world.root, "other")
    for owner in (agent.id, world.root.id):
        response = api_of(world.alice).post("/agents", body(world, owner_principal_id=str(owner)))
        assert (response.status_code, response.json()["error"]["detail"]["field"]) == (422, "owner_principal_id")


def test_an_owner_from_elsewhere_does_not_exist(world: World) -> None:
    foreign = api_of(world.alice).post("/agents", body(world, owner_principal_id=str(world.mallory.id)))
    absent = api_of(world.alice).post("/agents", body(world, owner_principal_id=str(uuid4())))
    assert said(foreign) == said(absent)


# --- List


def test_the_list_is_a_bare_array_with_the_fields_that_clients_read(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    make_live(agent.id)
    rows = listed(api_of(world.eve).get("/agents"))
    TypeAdapter(list[AgentOut]).validate_python(rows)
    assert (rows[0]["sync_status"], rows[0]["cma_agent_id"]) == ("synced", f"agent_{agent.id.hex[:12]}")


def test_ou_id_means_exactly_that_ou(world: World) -> None:
    make_agent(world.alice, world.engineering, "here")
    make_agent(world.alice, world.platform, "below")
    make_agent(world.alice, world.root, "above")
    api = api_of(world.alice)
    assert [row["name"] for row in listed(api.get("/agents", {"ou_id": world.engineering.id}))] == ["here"]
    assert listed(api.get("/agents", {"ou_id": uuid4()})) == []
    assert api.get("/agents", {"ou_id": "x"}).status_code == 422


def test_it_filters_by_exact_name(world: World) -> None:
    for name in ("lint", "lint-more"):
        make_agent(world.bob, world.engineering, name)
    assert [row["name"] for row in listed(api_of(world.bob).get("/agents", {"name": "lint"}))] == ["lint"]


def test_archived_agents_are_nowhere(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    api = api_of(world.bob)
    api.delete(f"/agents/{agent.id}")
    assert listed(api.get("/agents")) == []
    assert listed(api.get("/agents", {"ou_id": world.engineering.id, "name": agent.name})) == []
    for part in ("", "/skills", "/versions", "/versions/1", "/sync-status"):
        assert api.get(f"/agents/{agent.id}{part}").status_code == 404
    assert api.patch(f"/agents/{agent.id}", {"model": "m"}).status_code == 404


def test_it_pages_newest_first(world: World) -> None:
    for number in range(5):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    api, seen = api_of(world.bob), []
    response = api.get("/agents", {"limit": 2})
    while True:
        seen += [row["name"] for row in response.json()]
        if "Link" not in response.headers:
            break
        address = response.headers["Link"].partition(">")[0].removeprefix("<").partition("/api")[2]
        response = api.get(address)
    assert seen == [f"agent-{number}" for number in reversed(range(5))]


# --- Change


def patch(world: World, agent: Agent, changes: dict[str, Any], **headers: Any) -> Any:
    return api_of(world.bob).patch(f"/agents/{agent.id}", changes, **headers)


def test_a_change_makes_a_new_version_of_the_whole_spec(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, description="old")
    make_live(agent.id)
    changed = patch(world, agent, {"display_name": "New", "description": None}).json()
    assert (changed["version"], changed["display_name"], changed["description"]) == (2, "New", None)
    assert changed["system_prompt"] == "Review code.\n"
    assert Agent.objects.get().display_name == "New"
    assert AgentVersion.objects.get(agent=agent, number=2).spec["display_name"] == "New"
    assert AgentVersion.objects.get(agent=agent, number=1).spec["description"] == "old"
    assert is_stale(SyncKind.AGENT, agent.id)


def test_the_same_again_is_no_change(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    make_live(agent.id)
    same = {"display_name": "Code-reviewer", "description": None, "model": "claude-sonnet-4-6"}
    assert patch(world, agent, {**same, "system_prompt": "Review code.\n"}).json()["version"] == 1
    assert patch(world, agent, {}).json()["version"] == 1
    assert not is_stale(SyncKind.AGENT, agent.id)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"ou_id": ABSENT},
        {"owner_principal_id": ABSENT},
        {"agent_kind": "service"},
        {"runtime_type": "cma"},
        {"skills": []},
        {"display_name": None},
        {"model": None},
        {"system_prompt": ""},
        {"system_prompt": "x" * 100_001},
        {"metadata": {f"k{number}": "x" for number in range(16)}},
    ],
)
def test_what_is_no_part_of_a_change_is_refused(world: World, changes: dict[str, Any]) -> None:
    agent = make_agent(world.bob, world.engineering)
    response = patch(world, agent, changes)
    assert response.status_code == 422
    assert next(iter(changes)) == response.json()["error"]["detail"]["field"].split(".")[0]
    assert AgentVersion.objects.filter(agent=agent).count() == 1


def test_a_stale_caller_is_refused(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    seen = api_of(world.bob).get(f"/agents/{agent.id}").headers["ETag"]
    assert patch(world, agent, {"model": "a"}, HTTP_IF_MATCH=seen).status_code == 200
    late = patch(world, agent, {"model": "b"}, HTTP_IF_MATCH=seen)
    assert (late.status_code, code(late)) == (409, "stale")
    gone = api_of(world.bob).delete(f"/agents/{agent.id}", HTTP_IF_MATCH=seen)
    assert gone.status_code == 409
    assert patch(world, agent, {"model": "b"}, HTTP_IF_MATCH="*").status_code == 200


@pytest.mark.parametrize("tag", ["", "x", '"1x"', "-1", "1" * 30, "½"])
def test_a_wrong_precondition_is_not_ignored(world: World, tag: str) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert patch(world, agent, {"model": "b"}, HTTP_IF_MATCH=tag).status_code == 422


# --- Archive


def test_archiving_leaves_versions_ends_its_rights_and_tells_the_reconciler(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, agent_kind="service")
    make_live(agent.id)
    token = AccessToken.objects.create(
        organization=world.acme, principal_id=agent.id, name="t", prefix="pl", hmac="0" * 64
    )
    binding = bind(agent.id, "SkillUser", world.engineering)
    response = api_of(world.bob).delete(f"/agents/{agent.id}")
    assert (response.status_code, response.content) == (204, b"")
    assert AgentVersion.objects.filter(agent=agent).exists()
    assert is_stale(SyncKind.AGENT, agent.id)
    for right in (token, binding):
        right.refresh_from_db()
    assert token.revoked_at is not None
    assert binding.ended_at is not None


def test_sync_status_answers_as_described(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    SyncOut.model_validate(api_of(world.eve).get(f"/agents/{agent.id}/sync-status").json())
