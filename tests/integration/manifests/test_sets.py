"""Sets of manifests: what was applied under a name and left the manifest is pruned on request, never by default."""

from datetime import timedelta

from django.utils.timezone import now

from accounts.models import Binding
from agents.models import Skill
from powerloom.audit.models import Entry
from powerloom.manifests.models import SetMember
from tests.declared import make_agent, make_skill
from tests.integration.manifests.sending import UNGATED, send
from tests.refusals import code
from tests.world import World, api_of, bind, make_user

PLACE = "/acme/engineering"


def skill(name: str, place: str = PLACE) -> str:
    return f"kind: Skill\nmetadata: {{name: {name}, ou_path: {place}}}\n"


def both(*names: str) -> str:
    return "---\n".join(skill(name) for name in names)


def alive() -> set[str]:
    return set(Skill.objects.filter(archived_at__isnull=True).values_list("name", flat=True))


def test_what_left_the_manifest_is_pruned_on_request_alone(world: World) -> None:
    api = api_of(world.bob)
    send(api, "apply", both("one", "two"), "?set=tools")
    send(api, "apply", skill("other"))
    assert send(api, "plan", skill("one"), "?set=tools").json()["summary"] == {"noop": 1}

    planned = send(api, "plan", skill("one"), "?set=tools&prune=true").json()
    assert {row["address"]: row["verb"] for row in planned["resources"]} == {
        f"{PLACE}/one": "noop",
        f"{PLACE}/two": "delete",
    }
    answer = send(api, "apply", skill("one"), "?set=tools&prune=true")
    assert answer.status_code == 200, answer.content
    assert alive() == {"one", "other"}
    assert set(SetMember.objects.values_list("metadata__name", flat=True)) == {"one"}
    before = Entry.objects.count()
    assert set(send(api, "apply", skill("one"), "?set=tools&prune=true").json()["resources"][0]["verb"]) == set("noop")
    assert Entry.objects.count() == before


def test_a_whole_set_is_recorded_in_its_own_transaction_and_pruned_whole(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", UNGATED, "?set=pilots")
    entries = Entry.objects.filter(set_id=Entry.objects.get(action="agent:create").set_id)
    assert "manifest_set:record" in set(entries.values_list("action", flat=True))
    planned = send(api, "plan", skill("one"), "?set=pilots&prune=true").json()
    assert planned["summary"] == {"create": 1, "delete": 8}, planned
    answer = send(api, "apply", skill("one"), "?set=pilots&prune=true")
    assert answer.status_code == 200, answer.content
    assert alive() == {"one"}
    assert SetMember.objects.count() == 1


def test_what_another_set_names_too_only_leaves(world: World) -> None:
    api = api_of(world.bob)
    send(api, "apply", skill("one"), "?set=a")
    send(api, "apply", both("one", "two"), "?set=b")
    (kept, row) = send(api, "apply", skill("two"), "?set=b&prune=true").json()["resources"]
    assert (kept["status"], row["status"], row["address"]) == ("noop", "noop", f"{PLACE}/one")
    assert "Another set" in row["why"]
    assert alive() == {"one", "two"}
    assert set(SetMember.objects.values_list("set_name", "metadata__name")) == {("a", "one"), ("b", "two")}


def test_one_of_the_same_name_made_since_is_not_the_sets(world: World) -> None:
    api = api_of(world.bob)
    send(api, "apply", both("one", "two"), "?set=tools")
    send(api, "destroy", skill("two"))
    send(api, "apply", skill("two"))
    assert send(api, "plan", skill("one"), "?set=tools&prune=true").json()["summary"] == {"noop": 1}


def test_a_set_takes_a_right_where_the_thing_is(world: World) -> None:
    maker = make_user("maker@acme.example", home=world.platform)
    bind(maker, "SkillOwner", world.engineering)
    refused = send(api_of(maker), "apply", skill("one"), "?set=tools")
    assert (refused.status_code, code(refused)) == (403, "permission_denied")
    assert refused.json()["error"]["detail"]["permission"] == "manifest_set:record"
    assert alive() == set()


def test_what_one_cannot_see_of_a_set_is_neither_pruned_nor_told(world: World) -> None:
    send(api_of(world.alice), "apply", skill("secret", "/acme/sales"), "?set=tools")
    planned = send(api_of(world.bob), "plan", skill("one"), "?set=tools&prune=true")
    assert [row["address"] for row in planned.json()["resources"]] == [f"{PLACE}/one"]
    assert b"secret" not in planned.content
    assert SetMember.objects.count() == 1


def test_pruning_needs_the_name_of_a_set(world: World) -> None:
    for query in ("?prune=true", "?set=No%20name"):
        assert send(api_of(world.bob), "plan", skill("one"), query).status_code == 422


def test_best_effort_records_what_it_applied(world: World) -> None:
    text = skill("one") + "---\n" + skill("two", "/acme/sales")
    send(api_of(world.bob), "apply", text, "?set=tools&best_effort=true")
    assert set(SetMember.objects.values_list("metadata__name", flat=True)) == {"one"}


def test_a_tie_made_since_by_somebody_else_is_not_the_sets(world: World) -> None:
    agent, lint = make_agent(world.alice, world.engineering), make_skill(world.alice, world.engineering)
    ties = f"""
kind: GroupMembership
metadata: {{group_path: {PLACE}/leads, member_ref: "user:eve@acme.example"}}
---
kind: RoleBinding
metadata: {{principal_ref: "user:eve@acme.example", role: AgentViewer, scope_ou_path: {PLACE}}}
---
kind: AgentSkill
metadata: {{agent_path: {PLACE}/{agent.name}, skill_path: {PLACE}/{lint.name}}}
---
kind: SkillAccessGrant
metadata: {{skill_path: {PLACE}/{lint.name}, principal_ref: "user:vera@acme.example"}}
"""
    api, rest = api_of(world.alice), f"kind: Group\nmetadata: {{name: leads, ou_path: {PLACE}}}\n"
    assert send(api, "apply", f"{rest}---{ties}", "?set=tools").status_code == 200
    pruned = "?set=tools&prune=true"
    assert send(api, "plan", rest, pruned).json()["summary"] == {"noop": 1, "delete": 4}
    send(api, "destroy", ties)
    send(api, "apply", ties)
    assert send(api, "plan", rest, pruned).json()["summary"] == {"noop": 1}

    # Named again for the set they are its own, each once; but for one that ends by itself.
    send(api, "apply", f"{rest}---{ties}", "?set=tools")
    given = Binding.objects.filter(principal_id=world.eve.id, ended_at=None, role__name="AgentViewer")
    given.update(expires_at=now() + timedelta(hours=1))
    assert send(api, "plan", ties).json()["summary"] == {"noop": 4}
    assert send(api, "destroy", ties, "?dry_run=true").json()["summary"] == {"delete": 3, "noop": 1}
    done = send(api, "apply", rest, pruned).json()["resources"]
    assert [row["status"] for row in done] == ["noop", *["applied"] * 3]
    assert given.exists()
