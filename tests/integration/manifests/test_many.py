"""A manifest of many documents costs as many queries as one of few: nothing is read or judged a document at a time."""

from dataclasses import dataclass
from string import Template
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import AgentSkill, MCPTool
from powerloom.audit.models import Entry
from powerloom.manifests.shapes import KINDS
from tests.foreign import Foreign
from tests.integration.manifests.sending import send
from tests.wired import make_foreign
from tests.world import World, api_of

pytestmark = pytest.mark.once  # the queries are the same everywhere

FEW, MANY = 2, 5  # what MANY make of one kind still goes into one statement on SQLite
PLACE = "/acme/engineering"

OU = "kind: OU\nmetadata: {name: $name-$one, parent_ou_path: /acme/engineering}"
GROUP = "kind: Group\nmetadata: {name: g, ou_path: $at}"
SKILL = "kind: Skill\nmetadata: {name: s, ou_path: $at}"
REGISTRATION = "kind: MCPServerRegistration\nmetadata: {name: m, ou_path: $at}"
DEPLOYMENT = "kind: MCPDeployment\nmetadata: {name: d, ou_path: $at}"
AGENT = "kind: Agent\nmetadata: {name: a, ou_path: $at}"
OWNED = "model: m, owner_principal_ref: 'user:bob@acme.example'"
BINDING = "kind: RoleBinding\nmetadata: {principal_ref: 'group:$at/g', role: AgentViewer, scope_ou_path: $at$more}"
SERVED = f"{DEPLOYMENT}\nspec: {{template_kind: echo}}"
SERVICE = f"{AGENT}\nspec: {{system_prompt: Be brief., agent_kind: service, {OWNED}}}"
LENT = "kind: RoleBinding\nmetadata: {principal_ref: 'agent:$at/a', role: OUAdmin, scope_ou_path: $at}"
TIED = "kind: AgentMCPServer\nmetadata: {agent_path: $at/a, mcp_registration_path: $at/d}"
POLICY = "kind: ApprovalPolicy\nmetadata: {name: $name-$one, scope_ou_path: $at}"


@dataclass(frozen=True)
class Many:
    """What the documents of a kind rest on, set by set, how each is written when it is new, and how when it changes."""

    given: tuple[tuple[str, ...], ...]
    new: str
    changed: str = ""


CASES = {
    "OU": Many((), OU, f"{OU}\nspec: {{display_name: Changed}}"),
    "Group": Many(((OU,),), GROUP, f"{GROUP}\nspec: {{description: Changed.}}"),
    "GroupMembership": Many(
        ((OU, GROUP, BINDING.replace("$more", "")),),
        "kind: GroupMembership\nmetadata: {group_path: $at/g, member_ref: 'user:eve@acme.example'}",
    ),
    "RoleBinding": Many(((OU, GROUP),), BINDING),
    "Skill": Many(((OU,),), SKILL, f"{SKILL}\nspec: {{display_name: Changed}}"),
    "SkillAccessGrant": Many(
        ((OU, SKILL),), "kind: SkillAccessGrant\nmetadata: {skill_path: $at/s, principal_ref: 'user:eve@acme.example'}"
    ),
    "MCPServerRegistration": Many(
        ((OU,),), f"{REGISTRATION}\nspec: {{url: '$url'}}", f"{REGISTRATION}\nspec: {{url: '$url/moved'}}"
    ),
    "MCPDeployment": Many(((OU,),), SERVED, f"{SERVED[:-1]}, policy: {{denied_tools: [fail]}}}}"),
    "Agent": Many(
        ((OU, SKILL, SERVED),),
        f"{AGENT}\nspec: {{system_prompt: Be brief., skills: [s], mcp_servers: [d], {OWNED}}}",
        f"{AGENT}\nspec: {{system_prompt: Be long.}}",
    ),
    "AgentSkill": Many(
        ((OU, SKILL, SERVICE), (LENT,)), "kind: AgentSkill\nmetadata: {agent_path: $at/a, skill_path: $at/s}"
    ),
    "AgentMCPServer": Many(((OU, SERVED, SERVICE), (LENT,)), TIED, f"{TIED}\nspec: {{permission: always_ask}}"),
    "Credential": Many(((OU, SERVED, SERVICE),), TIED.replace("AgentMCPServer", "Credential")),
    "ApprovalPolicy": Many(
        ((OU,),),
        f"{POLICY}\nspec: {{action_pattern: 'agent:archive', approver_role: Approver}}",
        f"{POLICY}\nspec: {{description: Changed.}}",
    ),
}


def manifest(name: str, number: int, *documents: str, url: str = "") -> str:
    """Write each of the documents so many times, each time for an OU of its own; every other binding denies."""
    written = []
    for one in range(number):
        more = ", decision_type: deny" if one % 2 else ""
        fields = {"name": name, "one": one, "at": f"{PLACE}/{name}-{one}", "more": more, "url": url}
        written += [Template(document).substitute(fields) for document in documents]
    return "\n---\n".join(written)


def queries(world: World, act: str, text: str, verb: str) -> int:
    """Return how many statements a request takes."""
    with CaptureQueriesContext(connection) as caught:
        answer: Any = send(api_of(world.bob), act, text)
    assert {row["act"] for row in answer.json()["resources"]} == {verb}
    assert {row["verb"] for row in answer.json()["resources"]} <= {verb, "held"}  # a policy guards itself
    return len(caught)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_do_not_grow_with_the_documents_of_a_kind(world: World, foreign: Foreign, kind: str) -> None:
    case = CASES[kind]
    for given in case.given:
        sets = (manifest(name, number, *given) for name, number in (("first", 1), ("few", FEW), ("many", MANY)))
        assert send(api_of(world.bob), "apply", "\n---\n".join(sets)).status_code == 200
    send(api_of(world.bob), "apply", manifest("first", 1, case.new, url=foreign.url))  # makes what all of them share
    foreign.bearers.clear()
    for act, verb, document in (
        ("plan", "create", case.new),
        ("apply", "create", case.new),
        ("apply", "noop", case.new),
        ("apply", "update", case.changed),
        ("destroy", "delete", case.new),
    ):
        if document:
            few, many = (
                queries(world, act, manifest(name, number, document, url=foreign.url), verb)
                for name, number in (("few", FEW), ("many", MANY))
            )
            assert few == many, f"{act} of {verb}"


def test_what_was_found_at_each_server_is_pinned(world: World, foreign: Foreign) -> None:
    new = CASES["MCPServerRegistration"].new
    send(api_of(world.bob), "apply", manifest("few", FEW, OU))
    send(api_of(world.bob), "apply", manifest("few", FEW, new, url=foreign.url))
    assert [tool.is_on for tool in MCPTool.objects.all()] == [True] * FEW


def test_queries_do_not_grow_with_how_many_are_refused(world: World) -> None:
    def refused(number: int) -> int:
        text = "---\n".join(f"kind: Skill\nmetadata: {{name: s{one}, ou_path: /acme/sales}}\n" for one in range(number))
        with CaptureQueriesContext(connection) as caught:
            rows = send(api_of(world.bob), "plan", text).json()["resources"]
        assert {row["verb"] for row in rows} == {"denied"}
        return len(caught)

    assert refused(FEW) == refused(MANY)


def test_each_of_many_answers_for_itself(world: World) -> None:
    """Rule by rule: an agent whose owner may not use a thing does not get it beside one whose owner may."""
    make_foreign(world.engineering, "t0")
    attached = (
        "kind: AgentSkill\nmetadata: {agent_path: $at/a, skill_path: $at/s}",
        f"kind: AgentMCPServer\nmetadata: {{agent_path: $at/a, mcp_registration_path: {PLACE}/t0}}",
    )
    user = SERVICE.replace("service", "user")
    text = (
        manifest("few", 1, OU, SKILL, user) + "\n---\n" + manifest("more", 1, OU, SKILL, user.replace("bob@", "vera@"))
    )
    assert send(api_of(world.alice), "apply", text).status_code == 200
    joining = manifest("few", 1, *attached) + "\n---\n" + manifest("more", 1, *attached)
    planned = send(api_of(world.alice), "plan", joining).json()
    assert [row["verb"] for row in planned["resources"]] == ["create", "denied"] * 2
    before = Entry.objects.filter(decision="allowed").count()
    assert send(api_of(world.alice), "apply", joining).status_code == 422
    assert not AgentSkill.objects.exists()
    assert Entry.objects.filter(decision="allowed").count() == before
