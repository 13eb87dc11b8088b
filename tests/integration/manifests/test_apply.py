"""Manifests: planned and applied as one set, told line by line, the same twice; whatever is refused changes nothing."""

from itertools import pairwise, product
from typing import Any

import pytest

from accounts.models import OU, Binding, Group, Membership
from agents.models import Agent, AgentMCPServer, AgentSkill, Credential, MCPDeployment, MCPServer, Skill
from approvals import replay
from approvals.models import ApprovalPolicy, ApprovalRequest
from powerloom.audit.models import Entry
from tests.held import decide, make_policy
from tests.integration.manifests.sending import PILOTS, UNGATED, send
from tests.refusals import code
from tests.world import World, api_of, bind, make_user

IN_ACME = "kind: OU\nmetadata: {name: a, parent_ou_path: /acme}"
CIRCLE = """
kind: OU
metadata: {name: b, parent_ou_path: /acme/b/a}
---
kind: OU
metadata: {name: a, parent_ou_path: /acme/a/b}
"""


def bomb(names: str) -> str:
    return "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise(names)
    )


BOMB, MANY_SMALL_ONES = bomb("abcdefghi"), "---\n".join([bomb("abcd")] * 100)


def verbs(answer: Any) -> set[str]:
    return {row["verb"] for row in answer.json()["resources"]}


def test_a_manifest_is_applied_as_one_set_and_planned_as_nothing_afterwards(world: World) -> None:
    api = api_of(world.alice)
    planned = send(api, "plan", PILOTS)
    assert planned.status_code == 200, planned.content
    assert planned.json()["summary"] == {"create": 9}
    assert not OU.objects.filter(name="pilots").exists()

    applied = send(api, "apply", PILOTS)
    assert applied.status_code == 200, applied.content
    assert {row["status"] for row in applied.json()["resources"]} == {"applied"}
    agent = Agent.objects.get(name="reviewer")
    assert AgentSkill.objects.filter(agent=agent, skill=Skill.objects.get()).exists()
    assert AgentMCPServer.objects.filter(agent=agent, server=MCPServer.objects.get()).exists()
    assert Credential.objects.filter(agent=agent).exists()
    assert Membership.objects.filter(group=Group.objects.get(name="leads"), member_id=world.eve.id).exists()
    assert Binding.objects.filter(principal_id=Group.objects.get(name="leads").id).exists()
    assert ApprovalPolicy.objects.get().name == "pilot-gate"
    assert MCPDeployment.objects.get().policy == {"denied_tools": ["fail"]}
    assert len(set(Entry.objects.filter(action__endswith=":create").values_list("set_id", flat=True))) == 1

    again = send(api, "plan", PILOTS)
    assert again.json()["summary"] == {"noop": 9}, again.json()
    before = Entry.objects.count()
    assert send(api, "apply", PILOTS).status_code == 200
    assert Entry.objects.count() == before


def test_a_document_changes_only_what_it_names(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)
    text = """
kind: Agent
metadata: {name: reviewer, ou_path: /acme/engineering/pilots}
spec:
  description: Reads everything.
  tools: {bash: {enabled: false}}
"""
    (row,) = send(api, "plan", text).json()["resources"]
    assert row["verb"] == "update"
    assert row["changes"]["description"] == {"from": None, "to": "Reads everything."}
    assert set(row["changes"]) == {"description", "tools"}
    assert send(api, "apply", text).status_code == 200
    assert verbs(send(api, "plan", text)) == {"noop"}
    shown = api.get(f"/agents/{Agent.objects.get(name='reviewer').id}").json()
    assert shown["system_prompt"] == "Review Python code.\n"
    assert (shown["tools"]["bash"]["enabled"], shown["tools"]["web_search"]["enabled"]) == (False, True)


def test_json_is_taken_too(world: World) -> None:
    text = '[{"kind": "OU", "metadata": {"name": "pilots", "parent_ou_path": "/acme"}}]'
    assert send(api_of(world.alice), "apply", text).status_code == 200
    assert OU.objects.filter(path="/acme/pilots/").exists()


def test_one_that_is_refused_leaves_nothing_and_is_named(world: World) -> None:
    text = PILOTS.replace("user:vera@acme.example", "user:nobody@acme.example")
    planned = send(api_of(world.alice), "plan", text)
    wrong = [row for row in planned.json()["resources"] if row["verb"] == "invalid"]
    assert [row["kind"] for row in wrong] == ["SkillAccessGrant"]
    assert "nobody@acme.example" in wrong[0]["why"]
    answer = send(api_of(world.alice), "apply", text)
    assert (answer.status_code, code(answer)) == (422, "invalid")
    assert answer.json()["error"]["detail"]["problems"][0]["line"] == wrong[0]["line"]
    assert not OU.objects.filter(name="pilots").exists()


def test_what_one_may_not_is_denied_and_told_for_its_document(world: World) -> None:
    text = """
kind: Skill
metadata: {name: one, ou_path: /acme/engineering}
---
kind: Skill
metadata: {name: two, ou_path: /acme/sales}
"""
    planned = send(api_of(world.bob), "plan", text).json()
    assert {row["address"]: row["verb"] for row in planned["resources"]} == {
        "/acme/engineering/one": "create",
        "/acme/sales/two": "denied",
    }
    assert send(api_of(world.bob), "apply", text).status_code == 422
    assert not Skill.objects.exists()


def test_best_effort_applies_what_can_be(world: World) -> None:
    text = """
kind: Skill
metadata: {name: one, ou_path: /acme/engineering}
---
kind: Skill
metadata: {name: two, ou_path: /acme/sales}
"""
    answer = send(api_of(world.bob), "apply", text, "?best_effort=true").json()
    assert {row["address"]: row["status"] for row in answer["resources"]} == {
        "/acme/engineering/one": "applied",
        "/acme/sales/two": "denied",
    }
    assert Skill.objects.get().name == "one"


def test_a_policy_holds_the_whole_set_as_one_request(world: World) -> None:
    make_policy(world.alice, world.engineering)
    planned = send(api_of(world.bob), "plan", UNGATED).json()
    assert planned["would_hold"]
    held = {row["kind"] for row in planned["resources"] if row["verb"] == "held"}
    assert held == {"Agent"}
    answer = send(api_of(world.bob), "apply", UNGATED)
    assert answer.status_code == 202, answer.content
    again = send(api_of(world.bob), "apply", UNGATED)
    assert again.json()["request"]["id"] == answer.json()["request"]["id"]
    assert not OU.objects.filter(name="pilots").exists()
    request = ApprovalRequest.objects.get(pk=answer.json()["request"]["id"])
    assert decide(world.vera, request).status_code == 200
    replay.run()
    assert Agent.objects.filter(name="reviewer").exists(), ApprovalRequest.objects.get().failure


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("kind: Agent\nmetadata: {name: a", "expected", 2),
        ("kind: Robot\nmetadata: {}", "kind is one of", 1),
        ("kind: OU\nmetadata: {name: a, parent_ou_path: /acme}\nspeck: {}", "speck", 3),
        ("kind: OU\nmetadata: {name: a, parent_ou_path: /acme}\nspec:\n  colour: red", "colour", 4),
        ("kind: OU\nmetadata: {name: A b, parent_ou_path: /acme}", "metadata.name", 2),
        ("apiVersion: powerloom.app/v2\nkind: OU\nmetadata: {name: a}", "apiVersion", 1),
        (
            f"{IN_ACME}\n---\n{IN_ACME}",
            "already",
            5,
        ),
        ("- just\n- text", "a document is a mapping", 1),
        ("kind: OU\nkind: OU", "stands here twice", 2),
        (
            BOMB,
            "aliases",
            1,
        ),
        (MANY_SMALL_ONES, "all aliases", 301),
        ("a: &a [*a]", "", 1),
        ("kind: OU\nmetadata: " + "[" * 100 + "]" * 100, "deep", 2),
    ],
)
def test_what_cannot_be_read_says_where(world: World, text: str, words: str, line: int) -> None:
    answer = send(api_of(world.alice), "plan", text)
    assert (answer.status_code, code(answer)) == (422, "invalid"), answer.content
    error = answer.json()["error"]
    assert words in error["message"]
    assert f"ine {line}" in error["message"]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [(b"", 422, "no document"), (b"kind: \xff\xfe", 422, "UTF-8"), (b"#" * (5 * 1024 * 1024), 413, "bytes")],
)
def test_what_is_no_text_is_refused(world: World, text: bytes, status: int, words: str) -> None:
    answer = send(api_of(world.alice), "apply", text)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: OU\nmetadata: {name: zeta}", "root OU"),
        (
            CIRCLE,
            "is not there",
        ),
        ("kind: Agent\nmetadata: {name: a, ou_path: /acme/engineering}\nspec: {model: m}", "needs system_prompt"),
        (
            "kind: MCPDeployment\nmetadata: {name: a, ou_path: /acme/engineering}\nspec: {template_kind: notion}",
            "notion",
        ),
        ("kind: Group\nmetadata: {name: a, ou_path: /zeta}", "is not there"),
    ],
)
def test_what_cannot_be_made_so_says_why(world: World, text: str, words: str) -> None:
    rows = send(api_of(world.alice), "plan", text).json()["resources"]
    assert {row["verb"] for row in rows} == {"invalid"}, rows
    assert words in rows[0]["why"]


HERE = "/acme/engineering/pilots"
IMMUTABLE = {
    "agent_kind": f"kind: Agent\nmetadata: {{name: reviewer, ou_path: {HERE}}}\nspec:\n  agent_kind: service",
    "owner_principal_ref": f"kind: Agent\nmetadata: {{name: reviewer, ou_path: {HERE}}}\nspec:\n"
    "  owner_principal_ref: user:eve@acme.example",
    "skill_type": f"kind: Skill\nmetadata: {{name: lint, ou_path: {HERE}}}\nspec:\n  skill_type: tool_definition",
    "template_kind": f"kind: MCPDeployment\nmetadata: {{name: echo-box, ou_path: {HERE}}}\nspec:\n"
    "  template_kind: files",
}


def test_what_is_immutable_is_refused_by_name(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)
    before = Entry.objects.count()
    for field, text in IMMUTABLE.items():
        (row,) = send(api, "plan", text).json()["resources"]
        assert row["verb"] == "invalid"
        assert row["why"].startswith(f"Line 4: {field} cannot be changed"), row["why"]
        answer = send(api, "apply", text)
        assert (answer.status_code, code(answer)) == (422, "invalid")
    assert Entry.objects.count() == before


NAMING = (
    "kind: RoleBinding\nmetadata: {{principal_ref: 'agent:{path}', role: AgentViewer, scope_ou_path: /acme/sales}}",
    "kind: SkillAccessGrant\nmetadata: {{skill_path: {path}, principal_ref: 'user:eve@acme.example'}}",
    "kind: AgentSkill\nmetadata: {{agent_path: {path}, skill_path: {path}}}",
    "kind: AgentMCPServer\nmetadata: {{agent_path: {path}, mcp_registration_path: {path}}}",
    "kind: Credential\nmetadata: {{agent_path: {path}, mcp_registration_path: {path}}}",
)


def test_absent_foreign_and_unseen_are_told_alike(world: World) -> None:
    nobody = make_user("nobody@acme.example", home=world.sales)
    bind(nobody, "OUAdmin", world.sales)
    unseen = (
        UNGATED.replace("name: lint", "name: reviewer").replace("/lint", "/reviewer").replace("[lint]", "[reviewer]")
    )
    assert send(api_of(world.alice), "apply", unseen).status_code == 200
    for text, act in product(NAMING, ("plan", "destroy")):
        said = set()
        for path in (f"{HERE}/reviewer", f"{HERE}/none", "/zeta/none"):
            query = "?dry_run=true" if act == "destroy" else ""
            (row,) = send(api_of(nobody), act, text.format(path=path), query).json()["resources"]
            said.add((row["verb"], row["why"].replace(path, "…")))
        assert len(said) == 1, (text, act)


def test_a_foreign_server_that_does_not_answer_is_registered_with_a_warning(world: World, settings: Any) -> None:
    settings.DEV_MODE = True
    text = """
kind: MCPServerRegistration
metadata: {name: tools, ou_path: /acme/engineering}
spec: {url: "http://127.0.0.1:9/mcp"}
"""
    refused = send(api_of(world.bob), "apply", text, "?strict=true")
    assert (refused.status_code, MCPServer.objects.exists()) == (422, False)
    (row,) = send(api_of(world.bob), "apply", text).json()["resources"]
    assert row["status"] == "applied"
    assert "unverified" in row["warnings"][0]
    server = MCPServer.objects.get()
    assert (server.state, server.probe_due_at is None) == ("unverified", False)


def test_the_schemas_of_all_kinds_can_be_read(world: World) -> None:
    api = api_of(world.eve)
    schema = api.get("/manifests/schema/Agent").json()
    assert schema["properties"]["kind"] == {"const": "Agent"}
    assert "model" in schema["properties"]["spec"]["properties"]
    assert api.get("/manifests/schema/Robot").status_code == 404


def test_a_repeat_with_the_same_key_is_applied_once(world: World) -> None:
    text = "kind: Skill\nmetadata: {name: one, ou_path: /acme/engineering}"
    api = api_of(world.bob)
    api._bearer["HTTP_IDEMPOTENCY_KEY"] = "once"
    assert [send(api, "apply", text).status_code for _ in range(2)] == [200, 200]
    assert Skill.objects.count() == 1
