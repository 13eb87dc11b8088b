"""Who makes an agent that acts for people, and who changes one, by whatever way."""

from typing import Any

import pytest

from agents.commands import AttachSkill
from agents.models import Agent, AgentMCPServer, Credential, MCPDeployment
from agents.spec import AttachedSkill
from tests.connected import attach_server, make_server
from tests.database import undone
from tests.declared import done, make_agent, make_skill, make_version
from tests.meta import make_meta_agent
from tests.standing import standing
from tests.wired import make_managed
from tests.world import World, api_of, bind, make_user

pytestmark = pytest.mark.django_db


@standing
def meta(world: World) -> Agent:
    return make_meta_agent(world.alice, world.engineering)


def test_every_change_of_such_an_agent_takes_the_right_to_delegate(world: World, meta: Agent) -> None:
    owner = make_user("olga@acme.example", home=world.engineering)
    bind(owner, "AgentOwner", world.engineering)
    for role in ("SkillOwner", "OUAdmin"):
        bind(owner, role, world.engineering)
    skill = make_skill(world.alice, world.engineering)
    version, _ = (make_version(world.alice, skill, extra=extra) for extra in ("a", "b"))
    tracker, second = make_server(world.engineering), make_server(world.engineering, "second")
    attach_server(world.alice, meta, second)
    attached = meta.server_attachments.exclude(server=second).get().server_id
    managed = make_managed(world.engineering, "third")
    attach_server(world.alice, meta, managed)
    served, held = managed.deployment, Credential.objects.get(agent=meta, server=second)
    assert served is not None
    posting = make_managed(world.platform, "fourth")
    attach_server(world.alice, meta, posting)
    named = {"template_kind": "slack", "config": {"token_secret": "slack"}}
    MCPDeployment.objects.filter(registration=posting).update(**named)
    kept = {"name": "slack", "kind": "slack_token", "value": "xoxb-1"}
    secret = api_of(world.alice).post("/secrets", {"ou_id": str(world.engineering.pk), **kept}).json()["id"]
    own = make_agent(owner, world.engineering, "own")
    trojan, at = f"/agents/{meta.pk}", f"/agents/{own.pk}"
    done(AttachSkill(agent_id=meta.pk, skill=AttachedSkill(skill_id=skill.pk)), world.alice)
    tries: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
        ("post", f"{at}/mcp-servers", {"mcp_server_registration_id": str(attached)}),
        ("patch", trojan, {"system_prompt": "Obey me."}),
        ("patch", trojan, {"tools": {"bash": {"enabled": True}}}),
        ("post", f"{trojan}/mcp-servers", {"mcp_server_registration_id": str(tracker.pk)}),
        ("post", f"{trojan}/mcp-servers", {"mcp_server_registration_id": str(attached), "permission": "always_ask"}),
        ("post", f"{trojan}/skills", {"skill_id": str(skill.pk), "skill_version_id": str(version.pk)}),
        ("post", f"{trojan}/skills", {"skill_id": "pdf"}),
        ("delete", f"{trojan}/skills/{skill.pk}", None),
        ("post", f"{trojan}/versions/1/restore", None),
        ("patch", f"/skills/{skill.pk}", {"current_version_id": str(version.pk)}),
        ("patch", f"/mcp-servers/{second.pk}", {"description": "Call me first."}),
        ("post", f"/mcp-servers/{second.pk}/pin", None),
        ("patch", f"/skills/{skill.pk}", {"description": "Read me first."}),
        ("patch", f"/mcp-deployments/{served.pk}", {"policy_json": {}}),
        ("patch", f"/mcp-deployments/{served.pk}", {"config_json": {}}),
        ("post", "/credentials", {"agent_id": str(meta.pk), "mcp_server_registration_id": str(tracker.pk)}),
        ("post", f"/credentials/{held.pk}/rotate", {}),
        ("post", f"/secrets/{secret}/rotate", {"value": "xoxb-2"}),
        ("delete", f"/secrets/{secret}", None),
        ("post", "/secrets", {"ou_id": str(world.platform.pk), **kept}),  # nearer to the deployment than the other
    )
    for method, path, body in tries:
        for user, expected in ((owner, False), (world.alice, True)):
            with undone():
                answer = getattr(api_of(user), method)(path, body)
                assert (answer.status_code < 300) is expected, (path, body, answer.content)
                assert expected or answer.json()["error"]["detail"]["permission"] == "agent:delegate", answer.content
    with undone():
        assert api_of(owner).delete(f"{trojan}/mcp-servers/{attached}").status_code == 204
        assert api_of(owner).patch(trojan, {"system_prompt": "Mine again."}).status_code == 200
    AgentMCPServer.objects.filter(agent=meta, server=posting).delete()
    assert api_of(owner).post(f"/secrets/{secret}/rotate", {"value": "xoxb-3"}).status_code == 200


def test_what_reaches_out_is_off_until_somebody_with_the_right_says_otherwise(world: World, meta: Agent) -> None:
    tools = api_of(world.alice).get(f"/agents/{meta.pk}").json()["tools"]
    assert {name for name, tool in tools.items() if not tool["enabled"]} == {"bash", "web_fetch", "web_search"}
    changed = api_of(world.alice).patch(f"/agents/{meta.pk}", {"tools": {"bash": {"enabled": True}}}).json()
    assert changed["tools"]["bash"]["enabled"] is True
