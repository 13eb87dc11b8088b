"""Secrets that a config names: found in the OU and above, of the right kind, and usable by whoever names them."""

from dataclasses import dataclass
from typing import Any

import pytest

from accounts.models import OU, User
from agents.mcp.catalog import TEMPLATES
from agents.mcp.template import Allow, Call, Decision, Policy, SecretName, SecretReference, Settings, Template
from agents.models import MCPDeployment
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.kernel.ids import new_id
from tests.declared import make_agent
from tests.held import decide, make_policy
from tests.wired import wire
from tests.world import World, api_of, bind, make_role, make_user

KIND = "github"  # one of the closed list that nothing serves yet


class LockedConfig(Settings):
    token_secret: SecretName


class Locked(Template[LockedConfig, Policy]):
    """A template whose config names a secret."""

    kind = KIND
    title, description = "Locked", "Takes a token."
    config, policy = LockedConfig, Policy
    tools = ()

    def judge(self, call: Call, config: LockedConfig, policy: Policy) -> Decision:
        return Allow()

    def secrets(self, config: LockedConfig) -> tuple[SecretReference, ...]:
        return (SecretReference("token_secret", config.token_secret, "forge_token"),)


@pytest.fixture(autouse=True)
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEMPLATES, KIND, Locked())


def keep(by: User, ou: OU, name: str = "forge", kind: str = "forge_token") -> None:
    kept = {"name": name, "ou_id": str(ou.id), "kind": kind, "value": "hush"}
    assert api_of(by).post("/secrets", kept).status_code == 201


def deploy(by: User, ou: OU, secret: str = "forge", **named: Any) -> Any:
    said = {"name": "locked", "display_name": "Locked", "ou_id": str(ou.id), "template_kind": KIND}
    return api_of(by).post("/mcp-deployments", {**said, "config_json": {"token_secret": secret}, **named})


def words(answer: Any) -> dict[str, Any]:
    said: dict[str, Any] = dict(answer.json()["error"])
    del said["request_id"]
    return said


def test_a_secret_of_the_ou_or_above_is_named_and_kept_as_its_name(world: World) -> None:
    keep(world.alice, world.engineering)
    for ou in (world.engineering, world.platform):
        made = deploy(world.bob, ou)
        assert made.status_code == 201, made.content
        assert made.json()["config_json"] == {"token_secret": "forge"}
        assert "hush" not in made.content.decode()


def test_a_secret_below_beside_or_of_another_organization_does_not_exist(world: World) -> None:
    keep(world.alice, world.platform)
    keep(world.alice, world.sales)
    keep(world.mallory, world.zeta.ous.get())
    absent = deploy(world.bob, world.engineering, "nowhere")
    refused = deploy(world.bob, world.engineering)
    assert (refused.status_code, refused.json()["error"]["detail"]["field"]) == (422, "config_json.token_secret")
    assert str(words(refused)).replace("forge", "nowhere") == str(words(absent))


def test_one_that_the_actor_may_not_see_is_as_absent_even_where_a_farther_one_is_seen(world: World) -> None:
    ada = make_user("ada@acme.example", home=world.sales)
    rights = ("mcp_deployment:create", "mcp_server:create", "mcp_deployment:read", "mcp_server:read", "secret:use")
    bind(ada, make_role(world.acme, "Deployer", *rights).name, world.root)
    keep(world.alice, world.engineering)
    unseen, absent = deploy(ada, world.engineering), deploy(ada, world.engineering, "nowhere")
    assert str(words(unseen)).replace("forge", "nowhere") == str(words(absent))
    keep(world.alice, world.root)
    bind(ada, make_role(world.acme, "Reads", "secret:read").name, world.root)
    bind(ada, "Reads", world.engineering, decision="deny")
    assert deploy(ada, world.engineering).status_code == 422
    assert not MCPDeployment.objects.exists()


def test_a_secret_of_another_kind_is_refused_with_both_kinds(world: World) -> None:
    keep(world.alice, world.engineering, kind="postgres_dsn")
    refused = deploy(world.bob, world.engineering)
    assert refused.status_code == 422
    message = refused.json()["error"]["message"]
    assert "postgres_dsn" in message
    assert "forge_token" in message


@dataclass(frozen=True)
class Change:
    body: dict[str, Any]
    status: int


@pytest.mark.parametrize(
    "change",
    [
        Change({"config_json": {"token_secret": "forge"}}, 403),
        Change({"policy_json": {"calls_per_minute": 5}}, 403),
        Change({"display_name": "Another"}, 200),
    ],
)
def test_naming_a_secret_and_saying_what_it_may_be_used_for_take_its_use(world: World, change: Change) -> None:
    keep(world.alice, world.root)
    made = deploy(world.alice, world.engineering).json()
    ada = make_user(f"ada-{new_id().hex[-6:]}@acme.example", home=world.sales)
    rights = ("mcp_deployment:create", "mcp_deployment:update", "mcp_deployment:read", "mcp_server:create")
    bind(ada, make_role(world.acme, "Deployer", *rights, "secret:read").name, world.root)
    refused = deploy(ada, world.platform)
    assert (refused.status_code, words(refused)["detail"]["permission"]) == (403, "secret:use")
    assert api_of(ada).patch(f"/mcp-deployments/{made['id']}", change.body).status_code == change.status


def test_a_config_that_names_no_secret_is_refused_by_its_schema(world: World) -> None:
    refused = deploy(world.bob, world.engineering, config_json={"token_secret": "postgres://not-a-name"})
    assert (refused.status_code, words(refused)["detail"]["field"]) == (422, "config_json.token_secret")
    assert "postgres://" not in refused.content.decode()


# --- Approval


def test_what_changes_tools_underneath_an_agent_is_held_as_a_change_of_the_agent(world: World) -> None:
    keep(world.alice, world.root)
    secret = api_of(world.alice).get("/secrets").json()[0]["id"]
    deployment = MCPDeployment.objects.select_related("registration").get(
        pk=deploy(world.alice, world.root).json()["id"]
    )
    wire(make_agent(world.alice, world.engineering), deployment.registration)
    make_policy(world.alice, world.engineering, "agent:update")
    alice = api_of(world.alice)
    kept = {"name": "forge", "kind": "forge_token", "value": "hush"}
    answers = {
        "policy": alice.patch(f"/mcp-deployments/{deployment.id}", {"policy_json": {"calls_per_minute": 5}}),
        "config": alice.patch(f"/mcp-deployments/{deployment.id}", {"config_json": {"token_secret": "forge"}}),
        "value": alice.post(f"/secrets/{secret}/rotate", {"value": "louder"}),
        "loss": alice.delete(f"/secrets/{secret}"),
        "another secret": alice.post("/secrets", {**kept, "name": "other", "ou_id": str(world.root.id)}),
        "the same name elsewhere": alice.post("/secrets", {**kept, "ou_id": str(world.sales.id)}),
    }
    statuses = {what: answer.status_code for what, answer in answers.items()}
    assert statuses == dict.fromkeys(["policy", "config", "value", "loss"], 202) | {
        "another secret": 201,
        "the same name elsewhere": 201,
    }


def test_a_deployment_that_was_approved_is_not_made_with_another_secret(world: World) -> None:
    keep(world.alice, world.engineering)
    make_policy(world.alice, world.engineering, "mcp_deployment:create")
    held = deploy(world.bob, world.engineering)
    assert held.status_code == 202
    request = ApprovalRequest.objects.get(pk=held.json()["id"])
    secret = api_of(world.alice).get("/secrets").json()[0]["id"]
    api_of(world.alice).post(f"/secrets/{secret}/rotate", {"value": "louder"})
    assert decide(world.vera, request).status_code == 200
    replay.run()
    request.refresh_from_db()
    assert (request.status, (request.failure or {})["code"]) == ("failed", "stale")
    assert not MCPDeployment.objects.exists()


def test_a_deployment_that_was_approved_is_made_with_its_registration(world: World) -> None:
    keep(world.alice, world.engineering)
    make_policy(world.alice, world.engineering, "mcp_deployment:create")
    request = ApprovalRequest.objects.get(pk=deploy(world.bob, world.engineering).json()["id"])
    assert decide(world.vera, request).status_code == 200
    replay.run()
    assert MCPDeployment.objects.get().registration.name == "locked"
