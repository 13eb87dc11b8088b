"""Why: every refusal, hold and failed replay says in one shape what decided, what would change it and who can."""

from typing import Any

from accounts.models import Binding, User
from approvals import mails, replay, telling
from approvals.models import ApprovalRequest
from tests.declared import attach, make_agent, make_skill, make_version
from tests.held import AGENT, ask_for_agent, decide, held_agent, make_policy
from tests.standing import standing
from tests.world import Api, World, api_of, bind, console_of, make_group, make_role, make_token, make_user


def deciding(explain: dict[str, Any]) -> list[str]:
    """Check the shape, and return the kinds of the facts that decide."""
    assert explain.keys() == {"facts", "decided_by", "remedy"}
    for fact in explain["facts"]:
        assert {"kind", "text", "decides"} <= fact.keys()
    for step in explain["remedy"]:
        assert {"kind", "text", "who"} <= step.keys()
    texts = [fact["text"] for fact in explain["facts"] if fact["decides"]]
    assert explain["decided_by"] == ("; ".join(texts) or None)
    return [fact["kind"] for fact in explain["facts"] if fact["decides"]]


def why_not(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 403, answer.content
    explain: dict[str, Any] = answer.json()["error"]["detail"]["explain"]
    return explain


# --- Refused


def test_what_nothing_allows_is_remedied_by_the_smallest_binding(world: World) -> None:
    explain = why_not(ask_for_agent(world.eve, world.engineering))
    assert deciding(explain) == ["nothing"]
    [step] = explain["remedy"]
    assert (step["kind"], step["role"], step["who"][0]) == ("grant", "AgentOwner", "user:bob@acme.example")
    assert step["request"] == {"action": "agent:create", "ou_id": str(world.engineering.id)}
    asked = {"action": "agent:create", "ou_id": str(world.engineering.id)}
    told = api_of(world.eve).get("/access/explain", asked).json()
    assert {name: told[name] for name in explain} == explain


def test_a_deny_is_remedied_by_its_end_and_no_request_would_help(world: World) -> None:
    bind(world.eve, "AgentOwner", world.engineering, decision="deny")
    explain = why_not(ask_for_agent(world.eve, world.engineering))
    assert deciding(explain) == ["deny"]
    assert [step["kind"] for step in explain["remedy"]] == ["end_deny", "grant"]
    assert "request" not in explain["remedy"][1]


def test_a_narrow_token_decides_alone(world: World) -> None:
    body = {**AGENT, "name": "x", "ou_id": str(world.engineering.id)}
    explain = why_not(Api(make_token(world.bob, actions=["agent:read"])).post("/agents", body))
    assert deciding(explain) == ["token"]
    assert [step["kind"] for step in explain["remedy"]] == ["token"]


def test_what_an_agents_principal_lacks_tells_nothing_of_its_rules(world: World) -> None:
    owner = make_user("owner@acme.example", home=world.sales)
    skill = make_skill(world.alice, world.engineering)
    make_version(world.alice, skill)
    body = {**AGENT, "name": "x", "ou_id": str(world.engineering.id), "owner_principal_id": str(owner.id)}
    agent = api_of(world.alice).post("/agents", body).json()
    explain = why_not(api_of(world.alice).post(f"/agents/{agent['id']}/skills", {"skill_id": str(skill.id)}))
    assert deciding(explain) == ["nothing"]
    assert "a rule you cannot see" in explain["decided_by"]


def refusals(world: World) -> dict[str, Any]:
    """Refusals of rules that are no binding."""
    make_role(world.acme, "Clerk", "role_binding:create", "token:create", "user:disable", "user:update")
    clerk = make_user("clerk@acme.example", home=world.sales)
    bind(clerk, "Clerk", world.root)
    api, hers = api_of(clerk), api_of(world.alice)
    given = {"principal_id": str(clerk.id), "scope_ou_id": str(world.root.id), "decision_type": "allow"}
    role = str(Binding.objects.get(principal_id=world.bob.id).role_id)
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    held = f"/approvals/{request.pk}"
    return {
        "handing out": api.post("/role-bindings", {**given, "role_id": role}),
        "a person's token": hers.post(f"/principals/{world.bob.id}/tokens", {"name": "x"}),
        "deciding unasked": hers.post(f"{held}/approve", {}),
        "deciding one's own": api_of(world.bob).post(f"{held}/approve", {}),
        "cancelling another's": hers.post(f"{held}/cancel", {}),
        "the whole trail": api_of(world.bob).get("/audit/verify"),
        "explaining another": api_of(world.eve).get(
            "/access/explain",
            {"action": "agent:read", "ou_id": str(world.root.id), "principal_id": str(world.bob.id)},
        ),
    }


def test_every_other_refusal_has_the_shape_and_a_way_out(world: World) -> None:
    for name, answer in refusals(world).items():
        explain = why_not(answer)
        assert len(deciding(explain)) == 1, name
        assert explain["remedy"], name
        assert all(step["who"] for step in explain["remedy"] if step["kind"] != "grant"), name


def test_what_is_out_of_sight_is_never_explained(world: World) -> None:
    agent = make_agent(world.alice, world.sales, "hidden")
    absent = "00000000-0000-0000-0000-000000000000"
    answers = [api_of(world.eve).patch(f"/agents/{id_}", {"description": "x"}) for id_ in (agent.id, absent)]
    bodies = [answer.json()["error"] | {"request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    assert bodies[0]["detail"] == {}


# --- Held


def test_a_hold_says_what_allowed_it_what_matched_who_decides_and_until_when(world: World) -> None:
    make_policy(world.alice, world.engineering, condition='resource.model.startsWith("claude")')
    explain = ask_for_agent(world.bob, world.engineering).json()["explain"]
    assert deciding(explain) == ["policy"]
    assert [fact["kind"] for fact in explain["facts"]] == ["allow", "policy", "clock"]
    for part in ("gate", "agent:create on code-reviewer", "/acme/engineering", 'resource.model.startsWith("claude")'):
        assert part in explain["decided_by"]
    [step] = explain["remedy"]
    assert (step["kind"], step["who"]) == ("approve", ["user:vera@acme.example"])


def test_a_condition_that_cannot_be_decided_says_so(world: World) -> None:
    make_policy(world.alice, world.engineering, condition="resource.no_such_field == 1")
    assert "cannot be decided" in ask_for_agent(world.bob, world.engineering).json()["explain"]["decided_by"]


def test_a_policy_that_one_may_not_read_is_named_and_nothing_more(world: World) -> None:
    make_policy(world.alice, world.root, condition='resource.model.startsWith("claude")')
    explain = ask_for_agent(world.bob, world.engineering).json()["explain"]
    assert explain["decided_by"] == "the policy gate holds it by a rule you cannot see"
    assert "startsWith" not in str(explain)


def test_every_policy_that_holds_decides(world: World) -> None:
    make_policy(world.alice, world.engineering)
    make_policy(world.alice, world.engineering, "*", "everything")
    explain = ask_for_agent(world.bob, world.engineering).json()["explain"]
    assert deciding(explain) == ["policy", "policy"]
    assert {step["policy"] for step in explain["remedy"]} == {"gate", "everything"}


def test_a_policy_that_guards_itself_says_so(world: World) -> None:
    policy = make_policy(world.alice, world.engineering)
    explain = api_of(world.alice).patch(f"/approval-policies/{policy.id}", {"quorum": 1}).json()["explain"]
    assert "changes it, or who decides for it" in explain["decided_by"]


@standing
def reaching(world: World) -> ApprovalRequest:
    """Sam, who owns skills in engineering, changes one under an agent that he cannot see."""
    sam = make_user("sam@acme.example", home=world.engineering)
    make_role(world.acme, "SkillMaker", "skill:read", "skill:use", "skill:activate", "skill:upload")
    bind(sam, "SkillMaker", world.engineering)
    skill = make_skill(world.alice, world.engineering)
    make_version(world.alice, skill)
    attach(world.alice, make_agent(world.alice, world.platform, "secret-project"), skill)
    second = make_version(world.alice, skill, activate=False, extra="another")
    make_policy(world.alice, world.platform, "agent:update")
    answer = api_of(sam).patch(f"/skills/{skill.id}", {"current_version_id": str(second.id)})
    assert answer.status_code == 202, answer.content
    assert "secret-project" not in answer.content.decode()
    return ApprovalRequest.objects.get()


def test_what_a_change_reaches_out_of_sight_is_not_named_to_who_asked(world: World, reaching: ApprovalRequest) -> None:
    asker = api_of_asker(reaching)
    for path in (f"/approvals/{reaching.pk}", "/approvals?tab=mine"):
        content = asker.get(path).content.decode()
        assert "secret-project" not in content
    detail = asker.get(f"/approvals/{reaching.pk}").json()
    assert {effect["name"] for effect in detail["effects"]} == {"python-lint", "something you cannot see"}
    assert detail["cannot_read"] == ["agent in /acme/engineering/platform"]
    hers = api_of(world.vera).get(f"/approvals/{reaching.pk}").json()
    assert {effect["name"] for effect in hers["effects"]} == {"python-lint", "secret-project"}


def api_of_asker(request: ApprovalRequest) -> Any:
    return api_of(User.objects.get(pk=request.requester_id))


def test_who_is_named_and_may_not_read_it_sees_that_there_is_something(world: World, mailoutbox: Any) -> None:
    blind = make_user("blind@acme.example", home=world.sales)
    group = make_group(world.root, "blind", blind)
    make_policy(world.alice, world.engineering, approver_group_id=group.id)
    request = held_agent(world.bob, world.engineering, "secret-project")
    answer = api_of(blind).get(f"/approvals/{request.pk}")
    detail = answer.json()
    assert (detail["commands"], detail["changes"][0]["after"]) == ([{"action": "agent:create", "data": {}}], None)
    assert "Review Python code." not in answer.content.decode()
    (row,) = api_of(blind).get("/approvals").json()
    unseen = {"kind": "agent", "id": None, "name": "something you cannot see"}
    assert (row["id"], row["target"], row["pending_payload"]) == (str(request.pk), unseen, {})
    telling.spread()
    mails.send()
    (mail,) = mailoutbox
    assert "agent:create something you cannot see" in mail.subject
    paths = (f"/approvals/{request.pk}", "/approvals", "/approvals?tab=recent")
    told = [mail.body, *(api_of(blind).get(path).content.decode() for path in paths)]
    pages = (*paths, f"/approvals/{request.pk}/inline", "/", f"/find?q={request.pk}", "/find?q=secret-proj")
    shown = [console_of(blind).get(path).content.decode() for path in pages]
    assert not [one for one in [*told, *shown] if "secret-project" in one]
    assert all("agent:create something you cannot see" in page for page in shown[-3:-1])
    assert str(request.pk) not in shown[-1], "what is found by a name is found by who may read it"
    assert str(request.pk) in console_of(world.vera).get("/find?q=Secret-proj").content.decode()
    assert api_of(world.vera).get("/approvals?tab=recent").json()[0]["target"]["name"] == "secret-project"


# --- Failed


def test_a_failed_replay_explains_itself_and_tells_others_only_what_they_may_read(world: World) -> None:
    judge = make_user("judge@acme.example", home=world.sales)
    make_role(world.acme, "Judge", "agent:read", "approval:decide")
    bind(judge, "Judge", world.root)
    judges = make_group(world.root, "judges", judge)
    make_policy(world.alice, world.engineering, approver_group_id=judges.id)
    request = held_agent(world.bob, world.engineering)
    decide(judge, request)
    bind(world.bob, "AgentOwner", world.root, decision="deny")
    replay.run()
    mine = api_of(world.bob).get(f"/approvals/{request.pk}").json()["failure"]
    assert deciding(mine["explain"]) == ["deny"]
    assert "AgentOwner" in mine["explain"]["decided_by"]
    his = api_of(judge).get(f"/approvals/{request.pk}")
    assert deciding(his.json()["failure"]["explain"]) == ["rule"]
    assert "AgentOwner" not in str(his.json()["failure"])
    hers = api_of(world.alice).get(f"/approvals/{request.pk}")
    assert hers.status_code == 200
    assert hers.json()["failure"] == mine


def test_what_has_moved_meanwhile_is_asked_again(world: World) -> None:
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    decide(world.vera, request)
    api_of(world.alice).patch(f"/ous/{world.engineering.id}", {"display_name": "Other"})
    replay.run()
    explain = api_of(world.bob).get(f"/approvals/{request.pk}").json()["failure"]["explain"]
    assert deciding(explain) == ["rule"]
    assert (explain["remedy"][-1]["kind"], explain["remedy"][-1]["who"]) == ("ask_again", ["user:bob@acme.example"])
