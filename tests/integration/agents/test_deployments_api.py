"""Managed MCP deployments over the API: declared with a registration, kept as posted, changed, retried, destroyed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import TypeAdapter

from accounts.models import User
from agents.api.deployment_shapes import CallOut, DeploymentDetailOut, DeploymentOut, TemplateOut
from agents.mcp.catalog import KINDS, TEMPLATES
from agents.models import AgentMCPServer, CallOutcome, DeploymentStatus, MCPCall, MCPDeployment, MCPServer
from powerloom.audit.models import Entry
from tests.declared import make_agent
from tests.deployed import make_deployment, make_failed, make_running
from tests.world import World, api_of, bind, make_role, make_user

PENDING, RUNNING, FAILED = DeploymentStatus.PENDING, DeploymentStatus.RUNNING, DeploymentStatus.FAILED


def body(world: World, **named: Any) -> dict[str, Any]:
    return {
        "name": "sounds",
        "display_name": "Sounds",
        "ou_id": str(world.engineering.id),
        "template_kind": "echo",
        "isolation_mode": "shared",
        "config_json": {},
        "policy_json": {},
    } | named


def posted(world: World, **named: Any) -> Any:
    return api_of(world.bob).post("/mcp-deployments", body(world, **named))


def stands(deployment: MCPDeployment) -> str:
    return MCPDeployment.objects.get(pk=deployment.pk).status


def path(deployment: MCPDeployment, rest: str = "") -> str:
    return f"/mcp-deployments/{deployment.id}{rest}"


def attached(world: World, deployment: MCPDeployment, by: User, ou: Any, name: str) -> None:
    server = MCPServer.objects.get(deployment=deployment)
    AgentMCPServer.objects.create(agent=make_agent(by, ou, name), server=server)


# --- Templates


def test_every_kind_of_the_closed_list_is_listed_and_only_ours_are_available(world: World) -> None:
    rows = api_of(make_user("new@acme.example", home=world.sales)).get("/mcp-templates").json()
    TypeAdapter(list[TemplateOut]).validate_python(rows)
    assert [row["kind"] for row in rows] == list(KINDS)
    assert {row["kind"] for row in rows if row["available"]} == set(TEMPLATES)
    echo = next(row for row in rows if row["kind"] == "echo")
    assert echo["config_schema"]["additionalProperties"] is False
    assert {"allowed_tools", "denied_tools"} <= echo["policy_schema"]["properties"].keys()
    slow = next(tool for tool in echo["tools"] if tool["name"] == "echo_slowly")
    assert slow["input_schema"]["required"] == ["text"]


# --- Declaring


def test_a_deployment_is_answered_at_once_and_its_registration_is_there(world: World) -> None:
    made = posted(world)
    assert made.status_code == 201
    row = made.json()
    DeploymentDetailOut.model_validate(row)
    server = MCPServer.objects.get()
    assert (row["status"], row["mcp_server_registration_id"]) == ("pending", str(server.id))
    assert (server.name, server.ou_id, server.deployment_id) == ("sounds", world.engineering.id, UUID(row["id"]))
    assert row["endpoint_url"].endswith(f"/mcp/{row['id']}/mcp")
    entries = Entry.objects.filter(action__startswith="mcp_").order_by("seq").values_list("action", flat=True)
    assert list(entries) == ["mcp_deployment:create", "mcp_server:create"]


def test_config_and_policy_come_back_exactly_as_posted(world: World) -> None:
    config = {"bucket_prefix": "notes"}
    policy = {"denied_tools": ["write_file", "search_files"], "allowed_tools": None}
    made = posted(world, template_kind="files", config_json=config, policy_json=policy).json()
    for row in (made, api_of(world.bob).get("/mcp-deployments").json()[0]):
        assert (row["config_json"], row["policy_json"]) == (config, policy)
    changed = {"policy_json": {"calls_per_minute": 5}}
    answer = api_of(world.bob).patch(f"/mcp-deployments/{made['id']}", changed).json()
    assert (answer["config_json"], answer["policy_json"]) == (config, {"calls_per_minute": 5})


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"config_json": {"colour": "red"}}, "config_json.colour"),
        ({"policy_json": {"denied_tols": []}}, "policy_json.denied_tols"),
        ({"policy_json": {"denied_tools": ["NO"]}}, "policy_json.denied_tools.0"),
        ({"policy_json": {"denied_tools": ["fail", "shout"]}}, "policy_json.denied_tools.1"),
        ({"policy_json": {"calls_per_minute": 0}}, "policy_json.calls_per_minute"),
        ({"template_kind": "github"}, "template_kind"),
        ({"template_kind": "gopher"}, "template_kind"),
        ({"isolation_mode": "dedicated"}, "isolation_mode"),
        ({"isolation_mode": "own"}, "isolation_mode"),
        ({"name": "Not Good"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"config_json": []}, "config_json"),
    ],
)
def test_what_fits_no_template_is_refused_naming_the_place(world: World, named: dict[str, Any], field: str) -> None:
    refused = posted(world, **named)
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["detail"]["field"] == field, error
    assert not MCPDeployment.objects.exists()
    assert not MCPServer.objects.exists()


def test_a_kind_that_is_not_available_is_refused_by_name_with_those_that_are(world: World) -> None:
    message = posted(world, template_kind="github").json()["error"]["message"]
    assert "github is not available here" in message
    assert "echo" in message


def test_a_name_is_taken_by_a_live_deployment_and_by_a_registration(world: World) -> None:
    assert posted(world).status_code == 201
    again = posted(world)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "name_taken")
    assert posted(world, ou_id=str(world.platform.id)).status_code == 201
    MCPServer.objects.create(
        organization=world.acme,
        ou=world.engineering,
        name="foreign",
        server_name="foreign",
        display_name="Foreign",
        url="https://mcp.example/mcp",
    )
    assert posted(world, name="foreign").status_code == 409
    assert not MCPDeployment.objects.filter(name="foreign").exists()


def test_a_dry_run_leaves_nothing(world: World) -> None:
    answer = api_of(world.bob).post("/mcp-deployments?dry_run=true", body(world)).json()
    assert [command["action"] for command in answer["commands"]] == [
        "mcp_deployment:create",
        "mcp_server:create",
    ]
    assert not MCPDeployment.objects.exists()


def test_a_repeated_key_answers_the_same_deployment(world: World) -> None:
    answers = [api_of(world.bob).post("/mcp-deployments", body(world), HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]


def test_declaring_takes_the_right_to_deploy_and_the_right_to_register(world: World) -> None:
    for missing in ("mcp_deployment:create", "mcp_server:create"):
        other = {"mcp_deployment:create": "mcp_server:create"}.get(missing, "mcp_deployment:create")
        user = make_user(f"{missing.partition(':')[0]}@acme.example", home=world.sales)
        bind(user, make_role(world.acme, missing, other, "mcp_deployment:read", "mcp_server:read").name, world.root)
        refused = api_of(user).post("/mcp-deployments", body(world))
        assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, missing)
    assert not MCPDeployment.objects.exists()


CANARY = "postgres://admin:CANARY-5f3a@db.example/x"


def test_whoever_may_not_deploy_hears_nothing_of_his_config_and_nothing_of_it_is_kept(world: World) -> None:
    wrong = body(world, config_json={"database_url": CANARY, CANARY: 1})
    deployment = make_deployment(world.bob, world.engineering)
    bind(world.eve, make_role(world.acme, "Reader", "mcp_deployment:read").name, world.engineering)
    eve = api_of(world.eve)
    for suffix in ("", "?dry_run=true"):
        answers = [
            eve.post(f"/mcp-deployments{suffix}", wrong | {"name": "other"}),
            eve.patch(path(deployment, suffix), {"config_json": wrong["config_json"]}),
        ]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert not [answer for answer in answers if "CANARY" in answer.content.decode()]
    assert not [entry for entry in Entry.objects.all() if "CANARY" in entry.body]


# --- Reading


def test_the_list_is_exact_about_the_ou_and_shows_what_may_be_read(world: World) -> None:
    here = make_deployment(world.alice, world.engineering)
    make_deployment(world.alice, world.platform, "below")
    make_deployment(world.alice, world.sales, "beside")
    rows = api_of(world.bob).get("/mcp-deployments", {"ou_id": str(world.engineering.id)}).json()
    TypeAdapter(list[DeploymentOut]).validate_python(rows)
    assert [row["id"] for row in rows] == [str(here.id)]
    assert {row["name"] for row in api_of(world.bob).get("/mcp-deployments").json()} == {"sounds", "below"}
    assert api_of(world.mallory).get("/mcp-deployments").json() == []


def test_a_list_costs_the_same_for_any_number_of_rows(world: World) -> None:
    costs = []
    for count in (3, 9):
        for number in range(count):
            make_deployment(world.bob, world.engineering, f"d-{count}-{number}")
        api = api_of(world.bob)
        with CaptureQueriesContext(connection) as captured:
            assert len(api.get("/mcp-deployments").json()) >= count
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 8


def called(deployment: MCPDeployment, outcome: CallOutcome, agent_id: UUID | None, **fields: Any) -> MCPCall:
    return MCPCall.objects.create(
        organization_id=deployment.organization_id,
        deployment=deployment,
        agent_id=agent_id,
        tool="echo",
        outcome=outcome,
        milliseconds=3,
        **{"created_at": timezone.now(), **fields},
    )


def test_calls_are_paged_newest_first_and_name_only_agents_that_may_be_seen(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    seen, unseen = make_agent(world.bob, world.engineering), make_agent(world.alice, world.sales, "hidden")
    called(deployment, CallOutcome.OK, seen.id)
    called(deployment, CallOutcome.DENIED, unseen.id, rule="denied_tools", words="The policy denies it.")
    called(make_deployment(world.bob, world.platform), CallOutcome.OK, seen.id)
    rows = api_of(world.bob).get(path(deployment, "/calls")).json()
    TypeAdapter(list[CallOut]).validate_python(rows)
    assert [(row["outcome"], row["rule"]) for row in rows] == [("denied", "denied_tools"), ("ok", "")]
    assert [row["agent_id"] for row in rows] == [None, str(seen.id)]
    page = api_of(world.bob).get(path(deployment, "/calls"), {"limit": 1})
    assert len(page.json()) == 1
    assert 'rel="next"' in page.headers["Link"]


def test_the_detail_counts_the_calls_of_the_last_day(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    for outcome, count in ((CallOutcome.OK, 3), (CallOutcome.ERROR, 1), (CallOutcome.DENIED, 2)):
        for _ in range(count):
            called(deployment, outcome, None)
    called(deployment, CallOutcome.OK, None, created_at=timezone.now() - timedelta(hours=25))
    assert api_of(world.bob).get(path(deployment)).json()["recent_calls"] == {"ok": 3, "error": 1, "denied": 2}


# --- Changing


def test_a_change_of_policy_leaves_a_running_deployment_running_and_has_it_looked_at(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    api_of(world.bob).patch(path(deployment), {"policy_json": {"denied_tools": ["fail"]}})
    deployment.refresh_from_db()
    assert (deployment.status, deployment.policy) == (RUNNING, {"denied_tools": ["fail"]})
    assert deployment.due_at is not None


def test_a_change_of_name_asks_for_nothing(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    answer = api_of(world.bob).patch(path(deployment), {"display_name": "Noises"})
    assert (answer.status_code, answer.json()["display_name"]) == (200, "Noises")
    deployment.refresh_from_db()
    assert (deployment.status, deployment.due_at, deployment.generation) == (RUNNING, None, 2)


def test_a_failed_deployment_begins_anew_with_another_policy(world: World) -> None:
    deployment = make_failed(make_deployment(world.bob, world.engineering))
    answer = api_of(world.bob).patch(path(deployment), {"policy_json": {"denied_tools": ["fail"]}}).json()
    assert (answer["status"], answer["status_reason"], answer["attempts"]) == ("pending", "", 0)


@pytest.mark.parametrize(
    "changes", [{"config_json": {"colour": 1}}, {"policy_json": {"x": 1}}, {"name": "other"}, {"template_kind": "echo"}]
)
def test_a_change_that_does_not_fit_is_refused(world: World, changes: dict[str, Any]) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    assert api_of(world.bob).patch(path(deployment), changes).status_code == 422
    deployment.refresh_from_db()
    assert (deployment.status, deployment.generation) == (RUNNING, 1)


# --- Retrying


def test_only_a_failed_deployment_is_retried(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    refused = api_of(world.bob).post(path(deployment, "/retry"))
    assert (refused.status_code, "only a failed" in refused.json()["error"]["message"]) == (409, True)
    make_failed(deployment)
    answer = api_of(world.bob).post(path(deployment, "/retry"))
    assert (answer.status_code, answer.json()["status"], answer.json()["attempts"]) == (200, "pending", 0)


# --- Destroying


def test_destroying_takes_it_and_its_registration_out_of_sight_and_frees_the_name(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    bob = api_of(world.bob)
    answer = bob._client.post(f"/api{path(deployment, '/destroy')}", **bob._bearer)  # no body and no content type
    assert answer.status_code == 204
    assert bob.get("/mcp-deployments").json() == []
    assert bob.get(path(deployment)).status_code == 404
    assert not MCPServer.objects.filter(archived_at__isnull=True).exists()
    assert stands(deployment) == DeploymentStatus.DESTROYING
    assert bob.post(path(deployment, "/destroy")).status_code == 404
    assert posted(world).status_code == 201


def test_a_deployment_that_agents_use_is_not_destroyed(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    attached(world, deployment, world.bob, world.engineering, "reader")
    attached(world, deployment, world.alice, world.sales, "hidden")
    refused = api_of(world.bob).post(path(deployment, "/destroy"))
    assert refused.status_code == 409
    message = refused.json()["error"]["message"]
    assert "agent:/acme/engineering/reader" in message
    assert "hidden" not in message
    assert stands(deployment) == RUNNING


def test_destroying_takes_the_right_to_destroy_and_the_right_to_archive(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    for missing in ("mcp_deployment:destroy", "mcp_server:archive"):
        user = make_user(f"{missing.partition(':')[0]}@acme.example", home=world.sales)
        rights = {"mcp_deployment:destroy", "mcp_server:archive"} - {missing}
        bind(user, make_role(world.acme, missing, *rights, "mcp_deployment:read", "mcp_server:read").name, world.root)
        refused = api_of(user).post(path(deployment, "/destroy"))
        assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, missing)
    assert stands(deployment) == RUNNING
