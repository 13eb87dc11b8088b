"""Every console address × every member of the cast. An address that stands in no table fails: add its line.

Alice administers Acme, Bob its engineering, Vera approves, Eve reads engineering, Mallory is from elsewhere.
The agent, the session and a held request lie in engineering; session and request are Bob's. `-` is somebody who is not
signed in.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import AccessToken, Binding, Group, Role, Secret
from accounts.roles import builtin_id
from agents.commands import GrantSkill
from agents.kinds import SyncKind
from agents.models import Agent, Credential, MCPServer, Skill, SkillVersion
from agents.spec import Tools
from approvals.models import ApprovalPolicy, ApprovalRequest, Webhook
from powerloom.kernel.ids import new_id
from sessions.models import AgentSession, Status
from tests.addresses import PAGES, PARTS, address_of
from tests.connected import attach_server, make_server, pin
from tests.declared import done, make_live, make_skill, make_version
from tests.deployed import make_deployment
from tests.held import held_agent, make_policy
from tests.integration.console.test_room_pages import make_secret
from tests.standing import standing
from tests.world import World, bind, console_of, make_group, make_role, make_token

pytestmark = pytest.mark.usefixtures("things")

CAST = ["alice", "bob", "vera", "eve", "mallory", "-"]
MEMBERS = [pytest.param("alice", marks=pytest.mark.twice), *CAST[1:]]  # hers are the pages with most in them
OPEN = {"accounts:sign_in", "accounts:sign_in_by_name", "accounts:sign_out"}  # have their own tests

READS = {  # name: (alice, bob, vera, eve, mallory, nobody)
    "console:home": (200, 200, 200, 200, 200, 302),
    "console:audit": (200, 200, 200, 200, 200, 302),
    "console:find": (200, 200, 200, 200, 200, 302),
    "console:audit_chain": (200, 200, 200, 200, 200, 302),
    "console:audit_verify": (200, 403, 403, 403, 200, 302),
    "console:audit_export": (200, 403, 403, 403, 200, 302),
    "console:audit_entry": (200, 404, 404, 404, 404, 302),
    "console:ask_access": (200, 200, 200, 200, 404, 302),
    "settings:profile": (200, 200, 200, 200, 200, 302),
    "settings:password": (200, 200, 200, 200, 200, 302),
    "settings:tokens": (200, 200, 200, 200, 200, 302),
    "settings:token_new": (200, 200, 200, 200, 200, 302),
    "settings:keys": (200, 200, 200, 200, 200, 302),
    "console:webhooks": (200, 200, 200, 200, 200, 302),
    "console:webhook_new": (200, 200, 200, 200, 200, 302),
    "console:webhook": (200, 404, 404, 404, 404, 302),
    "console:webhook_edit": (200, 404, 404, 404, 404, 302),
    "console:webhook_archive": (200, 404, 404, 404, 404, 302),
    "organization:tree": (200, 200, 200, 200, 200, 302),
    "organization:ou": (200, 200, 200, 200, 404, 302),
    "organization:access": (200, 200, 200, 200, 404, 302),
    "organization:ou_new": (200, 200, 200, 200, 200, 302),
    "organization:ou_edit": (200, 200, 200, 200, 404, 302),
    "organization:ou_archive": (200, 200, 200, 200, 404, 302),
    "organization:users": (200, 200, 200, 200, 200, 302),
    "organization:user": (200, 200, 200, 200, 404, 302),
    "organization:user_new": (200, 200, 200, 200, 200, 302),
    "organization:user_rename": (200, 200, 200, 200, 404, 302),
    "organization:user_move": (200, 200, 200, 200, 404, 302),
    "organization:groups": (200, 200, 200, 200, 200, 302),
    "organization:group": (200, 200, 200, 200, 404, 302),
    "organization:group_new": (200, 200, 200, 200, 200, 302),
    "organization:group_edit": (200, 200, 200, 200, 404, 302),
    "organization:group_archive": (200, 200, 200, 200, 404, 302),
    "organization:roles": (200, 200, 200, 200, 200, 302),
    "organization:role": (200, 200, 200, 200, 404, 302),
    "organization:role_new": (200, 200, 200, 200, 200, 302),
    "organization:role_edit": (200, 200, 200, 200, 404, 302),
    "organization:role_archive": (200, 200, 200, 200, 404, 302),
    "organization:bindings": (200, 200, 200, 200, 200, 302),
    "organization:binding": (200, 200, 200, 404, 404, 302),
    "organization:binding_new": (200, 200, 200, 200, 200, 302),
    "organization:explain": (200, 200, 200, 200, 404, 302),
    "organization:why": (200, 200, 200, 200, 404, 302),
    "accounts:device": (200, 200, 200, 200, 200, 302),
    "accounts:scopes": (200, 200, 200, 200, 200, 302),
    "approvals:list": (200, 200, 200, 200, 200, 302),
    "approvals:count": (200, 200, 200, 200, 200, 302),
    "approvals:inline": (200, 200, 200, 404, 404, 302),
    "approvals:detail": (200, 200, 200, 404, 404, 302),
    "approvals:state": (200, 200, 200, 404, 404, 302),
    "approvals:policies": (200, 200, 200, 200, 200, 302),
    "approvals:policy": (200, 200, 200, 404, 404, 302),
    "approvals:policy_new": (200, 200, 200, 200, 200, 302),
    "approvals:policy_edit": (200, 200, 200, 404, 404, 302),
    "agents:list": (200, 200, 200, 200, 200, 302),
    "agents:detail": (200, 200, 200, 200, 404, 302),
    "agents:state": (200, 200, 200, 200, 404, 302),
    "agents:create": (200, 200, 200, 200, 200, 302),
    "agents:edit": (200, 200, 200, 200, 404, 302),
    "agents:archive": (200, 200, 200, 200, 404, 302),
    "agents:attach_skill": (200, 200, 200, 200, 404, 302),
    "agents:attach_server": (200, 200, 200, 200, 404, 302),
    "agents:server_settings": (200, 200, 200, 200, 404, 302),
    "console:agent_manifest": (200, 200, 200, 200, 404, 302),
    "agents:servers": (200, 200, 200, 200, 200, 302),
    "agents:server_gallery": (200, 200, 200, 200, 200, 302),
    "agents:server_register": (200, 200, 200, 200, 200, 302),
    "agents:deploy": (200, 200, 200, 200, 200, 302),
    "agents:server": (200, 200, 200, 200, 404, 302),
    "agents:server_state": (200, 200, 200, 200, 404, 302),
    "agents:server_edit": (200, 200, 200, 200, 404, 302),
    "agents:server_destroy": (200, 200, 200, 200, 404, 302),
    "agents:server_probe": (200, 200, 200, 200, 404, 302),
    "agents:server_try": (200, 200, 200, 200, 404, 302),
    "agents:deployment": (302, 302, 302, 404, 404, 302),
    "agents:deployment_policy": (200, 200, 200, 404, 404, 302),
    "agents:deployment_config": (200, 200, 200, 404, 404, 302),
    "agents:credentials": (200, 200, 200, 200, 200, 302),
    "agents:credential_create": (200, 200, 200, 200, 200, 302),
    "agents:credential": (200, 200, 200, 404, 404, 302),
    "agents:credential_rotate": (200, 200, 200, 404, 404, 302),
    "agents:credential_delete": (200, 200, 200, 404, 404, 302),
    "agents:secret_users": (200, 200, 200, 404, 404, 302),
    "accounts:secrets": (200, 200, 200, 200, 200, 302),
    "accounts:secret_create": (200, 200, 200, 200, 200, 302),
    "accounts:secret": (200, 200, 200, 404, 404, 302),
    "accounts:secret_rotate": (200, 200, 200, 404, 404, 302),
    "accounts:secret_delete": (200, 200, 200, 404, 404, 302),
    "agents:skills": (200, 200, 200, 200, 200, 302),
    "agents:skill": (200, 200, 200, 200, 404, 302),
    "agents:skill_create": (200, 200, 200, 200, 200, 302),
    "agents:skill_edit": (200, 200, 200, 200, 404, 302),
    "agents:skill_archive": (200, 200, 200, 200, 404, 302),
    "agents:skill_upload": (200, 200, 200, 200, 404, 302),
    "agents:skill_activate": (200, 200, 200, 200, 404, 302),
    "agents:skill_grant": (200, 200, 200, 200, 404, 302),
    "chat:start": (200, 200, 200, 200, 200, 302),
    "chat:conversation": (200, 200, 200, 200, 404, 302),
    "chat:news": (200, 200, 200, 200, 404, 302),
    "sessions:list": (200, 200, 200, 200, 200, 302),
    "sessions:detail": (200, 200, 200, 200, 404, 302),
    "sessions:news": (200, 200, 200, 200, 404, 302),
    "sessions:event": (200, 200, 200, 200, 404, 302),
    "sessions:pane": (200, 200, 200, 200, 404, 302),
    "sessions:download": (200, 200, 200, 200, 404, 302),
    "sessions:of_agent": (200, 200, 200, 200, 404, 302),
    "sessions:invoke": (200, 200, 200, 200, 404, 302),
}
ACTS = {
    "accounts:decide_device": (404, 404, 404, 404, 404, 204),
    "approvals:decide": (403, 403, 204, 404, 404, 204),
    "approvals:decide_several": (200, 200, 200, 200, 200, 204),  # what became of each is in the answer
    "approvals:cancel": (403, 204, 403, 404, 404, 204),
    "approvals:policy_new": (204, 403, 403, 403, 422, 204),
    "approvals:policy_edit": (202, 403, 403, 404, 404, 204),  # a policy guards itself
    "approvals:policy_switch_on": (202, 403, 403, 404, 404, 204),
    "approvals:policy_switch_off": (204, 403, 403, 404, 404, 204),
    "approvals:policy_archive": (202, 403, 403, 404, 404, 204),
    "approvals:policy_try": (200, 200, 200, 200, 422, 204),
    "console:ask_access": (422, 422, 422, 422, 404, 204),  # the role is chosen among those that have the action
    "settings:password": (422, 422, 422, 422, 422, 204),  # the form knows nobody's password
    "settings:token_new": (200, 200, 200, 200, 422, 204),  # narrowed to an OU of Acme
    "settings:token_revoke": (404, 204, 404, 404, 404, 204),
    "console:webhook_new": (200, 403, 403, 403, 200, 204),
    "console:webhook_edit": (204, 404, 404, 404, 404, 204),
    "console:webhook_test": (200, 404, 404, 404, 404, 204),
    "console:webhook_rotate": (200, 404, 404, 404, 404, 204),
    "console:webhook_archive": (204, 404, 404, 404, 404, 204),
    "organization:ou_new": (204, 204, 403, 403, 422, 204),
    "organization:ou_edit": (204, 204, 403, 403, 404, 204),
    "organization:ou_archive": (409, 409, 403, 403, 404, 204),
    "organization:user_new": (204, 204, 403, 403, 422, 204),
    "organization:user_rename": (204, 204, 403, 403, 404, 204),
    "organization:user_move": (204, 204, 403, 403, 404, 204),
    "organization:user_disable": (204, 204, 403, 403, 404, 204),
    "organization:user_enable": (204, 204, 403, 403, 404, 204),
    "organization:user_password": (200, 200, 403, 403, 404, 204),
    "organization:group_new": (204, 204, 403, 403, 422, 204),
    "organization:group_edit": (204, 204, 403, 403, 404, 204),
    "organization:group_archive": (204, 204, 403, 403, 404, 204),
    "organization:member_add": (204, 204, 403, 403, 404, 204),
    "organization:member_remove": (204, 204, 403, 403, 404, 204),
    "organization:role_new": (204, 403, 403, 403, 204, 204),
    "organization:role_edit": (204, 403, 403, 403, 404, 204),
    "organization:role_archive": (204, 403, 403, 403, 404, 204),
    "organization:binding_new": (204, 204, 403, 403, 422, 204),
    "organization:binding_end": (204, 204, 403, 404, 404, 204),
    "agents:reset_sync": (200, 200, 403, 403, 404, 204),
    "console:new_agent_manifest": (200, 200, 200, 200, 200, 204),  # writes nothing
    "console:edited_agent_manifest": (200, 200, 200, 200, 404, 204),
    "agents:create": (202, 202, 422, 422, 422, 204),
    "agents:edit": (204, 204, 403, 403, 404, 204),
    "agents:archive": (422, 422, 422, 422, 404, 204),  # the name typed is another's
    "agents:restore": (204, 204, 403, 403, 404, 204),
    "agents:attach_skill": (204, 204, 403, 403, 404, 204),
    "agents:detach_skill": (404, 404, 404, 404, 404, 204),  # it has none
    "agents:attach_server": (204, 204, 422, 422, 404, 204),  # who may use none cannot choose one
    "agents:server_settings": (204, 204, 403, 403, 404, 204),
    "agents:detach_server": (204, 204, 403, 403, 404, 204),
    "agents:server_register": (204, 204, 422, 422, 422, 204),
    "agents:deploy": (204, 204, 422, 422, 422, 204),
    "agents:server_edit": (204, 204, 403, 403, 404, 204),
    "agents:server_destroy": (422, 422, 422, 422, 404, 204),  # the name typed is another's
    "agents:server_probe": (409, 409, 403, 403, 404, 204),  # its deployment looks at it
    "agents:server_pin": (409, 409, 403, 403, 404, 204),
    "agents:server_try": (409, 409, 403, 403, 404, 204),  # it does not run yet
    "agents:deployment_policy": (204, 204, 403, 404, 404, 204),
    "agents:deployment_config": (204, 204, 403, 404, 404, 204),
    "agents:deployment_retry": (409, 409, 403, 404, 404, 204),
    "agents:credential_create": (422, 422, 422, 422, 422, 204),
    "agents:credential_rotate": (204, 204, 403, 404, 404, 204),
    "agents:credential_delete": (422, 422, 422, 404, 404, 204),  # the name typed is another's
    "agents:credential_reveal": (409, 403, 403, 404, 404, 204),
    "agents:credential_reset_sync": (200, 200, 403, 404, 404, 204),
    "accounts:secret_create": (204, 204, 422, 422, 422, 204),
    "accounts:secret_rotate": (204, 204, 403, 404, 404, 204),
    "accounts:secret_delete": (422, 422, 422, 404, 404, 204),  # the name typed is another's
    "agents:skill_create": (204, 204, 422, 422, 422, 204),  # without a place to choose, the form cannot be right
    "agents:skill_edit": (204, 204, 403, 403, 404, 204),
    "agents:skill_archive": (204, 204, 403, 403, 404, 204),
    "agents:skill_upload": (422, 422, 422, 422, 404, 204),  # a version needs a file, whoever asks
    "agents:skill_activate": (204, 204, 403, 403, 404, 204),
    "agents:skill_grant": (204, 204, 403, 403, 404, 204),
    "agents:skill_revoke_grant": (204, 204, 403, 403, 404, 204),
    "agents:skill_reset_sync": (200, 200, 403, 403, 404, 204),
    "chat:start": (204, 204, 422, 422, 422, 204),  # who may invoke nobody has nobody to choose
    "sessions:invoke": (204, 204, 403, 403, 404, 204),
    "sessions:message": (200, 200, 403, 403, 404, 204),
    "sessions:confirm": (404, 404, 403, 403, 404, 204),
    "sessions:rename": (204, 204, 403, 403, 404, 204),
    "sessions:interrupt": (200, 200, 403, 403, 404, 204),
    "sessions:close": (200, 200, 403, 403, 404, 204),
    "sessions:delete": (204, 204, 403, 403, 404, 204),
}
FORM = {  # as a person would fill any of the forms
    "name": "fresh",
    "email": "fresh@acme.example",
    "display_name": "Fresh",
    "parent_id": "/acme/engineering",
    "home_ou_id": "/acme/engineering",
    "ou_id": "/acme/engineering",
    "scope_ou_id": "/acme/engineering",
    "principal_id": "bob@acme.example",
    "role_id": "AgentViewer",
    "decision_type": "allow",
    "actions": ["agent:read"],
    "word": "engineering",
    "url": "https://hooks.example/y",
    "days": "30",
    "reason": "On call.",
    "expires_in_seconds": "3600",
    "current_password": "nobody's",
    "new_password": "correct horse battery",
    "again": "correct horse battery",
    "member_id": "bob@acme.example",
    "prompt": "x",
    "text": "x",
    "key": "k",
    "title": "x",
    "tool_use_id": "sevt_unknown",
    "result": "allow",
    "verdict": "approve",
    "typed": "python-lint",
    "principal": "user:vera@acme.example",
    "skill_type": "archive",
    "scope": "/acme/engineering",
    "action_pattern": "agent:*",
    "approver": f"role:{builtin_id('Approver')}",
    "quorum": "1",
    "time": "7",
    "unit": "86400",
    "generation": "1",
    "model": "claude-sonnet-4-6",
    "system_prompt": "x",
    "owner": "user:bob@acme.example",
    "agent_kind": "user",
    **{f"tool_{name}": "always_allow" for name in Tools.model_fields},
    "skill": "pdf",
    "permission": "always_ask",
    "skip_validation": "on",
    "seen": f"{'a' * 64} echo",
    "arguments.text": "x",
    "kind": "opaque",
    "value": "x",
}


@standing
def held(world: World, agent: Agent, session: AgentSession) -> None:
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering, "held")
    skill = make_skill(world.bob, world.engineering)
    make_version(world.bob, skill, activate=False)
    done(GrantSkill(id=new_id(), skill_id=skill.id, principal_id=world.eve.id), world.alice)
    group = make_group(world.engineering, "engineering", world.eve)
    bind(group, "SkillUser", world.engineering)
    make_role(world.acme, "engineering", "agent:read")
    make_token(world.bob)
    Webhook.objects.create(
        organization=world.acme, name="engineering", url="https://hooks.example/x"
    )  # it has no secret
    deployment = make_deployment(world.alice, world.engineering)
    pin(deployment.registration, "echo")
    attach_server(world.alice, agent, deployment.registration)
    make_server(world.engineering)
    make_secret(world.alice, world.engineering)
    Agent.objects.filter(pk=agent.pk).update(generation=1)  # as the forms say


@standing
def things(world: World, agent: Agent, session: AgentSession, held: None) -> dict[str, Any]:
    """What the variable parts of the addresses name."""
    found: dict[str, Any] = {
        "agent_id": agent.id,
        "session_id": session.id,
        "request_id": ApprovalRequest.objects.get().pk,  # Bob's, for an agent in engineering
        "policy_id": ApprovalPolicy.objects.get().pk,  # Alice's, on engineering
        "seq": 1,
        "token_id": AccessToken.objects.get().id,
        "webhook_id": Webhook.objects.get().id,
        "ou_id": world.engineering.id,
        "user_id": world.eve.id,
        "group_id": Group.objects.get(name="engineering").id,
        "member_id": world.eve.id,
        "role_id": Role.objects.get(name="engineering").pk,
        "binding_id": Binding.objects.get(role__name="SkillUser", resource_id=None).id,
        "pane": "diagnosis",
    }
    skill, credential = Skill.objects.get(), Credential.objects.get()
    return found | {
        "server_id": credential.server_id,
        "deployment_id": credential.server.deployment_id,
        "credential_id": credential.id,
        "secret_id": Secret.objects.get().id,
        "kind": "echo",
        "number": 1,
        "skill": "pdf",
        "skill_id": skill.id,
        "version_id": SkillVersion.objects.get().id,
        "grant_id": Binding.objects.get(resource_id=skill.id).id,
    }


def url_of(name: str, things: dict[str, Any]) -> str:
    return address_of(name, things, place="/acme/engineering")


def browser_of(member: str, world: World) -> Client:
    return Client() if member == "-" else console_of(getattr(world, member))


def test_every_address_stands_in_the_table() -> None:
    assert set(PARTS) == {*READS, *ACTS} | OPEN


@pytest.mark.parametrize("member", MEMBERS)
def test_who_may_open_what(world: World, things: dict[str, Any], member: str) -> None:
    browser = browser_of(member, world)
    answers = {name: undone(browser.get, url_of(name, things)) for name in READS}
    found = {name: answer.status_code for name, answer in answers.items()}
    assert found == {name: statuses[CAST.index(member)] for name, statuses in READS.items()}
    if member == "alice":
        pages = {name for name, answer in answers.items() if not answer.streaming and b"<html" in answer.content}
        assert pages == {*PAGES} - OPEN, "a browser walks through every page: name it in tests.addresses"


@pytest.mark.parametrize("member", MEMBERS)
def test_who_may_do_what(
    world: World, agent: Agent, session: AgentSession, things: dict[str, Any], member: str
) -> None:
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL})
    AgentSession.objects.filter(pk=session.pk).update(status=Status.RUNNING)
    browser, form = browser_of(member, world), form_for(world)
    answers = {name: undone(browser.post, url_of(name, things), form) for name in ACTS}
    found = {name: answer.status_code for name, answer in answers.items()}
    assert found == {name: statuses[CAST.index(member)] for name, statuses in ACTS.items()}
    if member == "-":
        assert all(answer.headers["HX-Redirect"].startswith("/sign-in") for answer in answers.values())


def form_for(world: World) -> dict[str, Any]:
    """Every field that a form may have, about what is there."""
    return FORM | {
        "ou_id": str(world.engineering.id),
        "ids": str(ApprovalRequest.objects.get().id),
        "agent_id": str(Agent.objects.get().id),
        "server": str(MCPServer.objects.get(deployment=None).id),
    }


def undone(ask: Callable[..., Any], url: str, form: dict[str, Any] | None = None) -> Any:
    """Ask, and take back what came of it, a refusal in the trail too, so that every address finds the same."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # the bus wants the outermost block, as in any test
    with block:
        answer = ask(url, form, headers={"HX-Request": "true"}) if form else ask(url)
        transaction.set_rollback(True)
    return answer


def test_nothing_is_done_by_opening_an_address(alice: Client, things: dict[str, Any]) -> None:
    acts = [name for name in ACTS if name not in READS]
    assert {alice.get(url_of(name, things)).status_code for name in acts} == {405}
