"""The organization's room: what its pages show, what its forms do through the bus, and with how many queries."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import OU, Binding, Group, Membership, Role, User
from powerloom.audit.models import Entry
from tests.declared import make_agent
from tests.held import make_policy
from tests.integration.console.conftest import queries
from tests.world import World, bind, console_of, make_group, make_role, make_user

pytestmark = pytest.mark.once


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def sent(client: Client, path: str, **form: Any) -> tuple[int, str]:
    """Post as htmx does; return the status and where it leads, or what it says."""
    answer = client.post(path, form, headers={"HX-Request": "true"})
    return answer.status_code, answer.headers.get("HX-Redirect") or words(answer.content)


def test_the_tree_counts_what_one_may_see(world: World, alice: Client) -> None:
    make_agent(world.bob, world.engineering)
    make_group(world.engineering, "leads")
    row = r"Engineering /acme/engineering 2 1 {agents} · ·"
    assert re.search(row.format(agents=1), words(alice.get("/organization").content))
    vera, mallory = (words(console_of(user).get("/organization").content) for user in (world.vera, world.mallory))
    assert re.search(row.format(agents=1), vera)
    assert "engineering" not in mallory
    assert "Sales" not in words(alice.get("/organization?q=platform").content)


def test_an_ou_is_made_renamed_and_archived_when_it_is_empty(world: World, alice: Client) -> None:
    made = {"parent_id": "/acme/sales", "name": "emea", "display_name": "EMEA"}
    status, where = sent(alice, "/organization/ous/new", **made)
    ou = OU.objects.get(path="/acme/sales/emea/")
    assert (status, where) == (204, f"/organization/ous/{ou.id}")
    status, said = sent(alice, "/organization/ous/new", **made)
    assert status == 409
    assert "There is an OU emea in this OU already." in said
    assert sent(alice, f"{where}/edit", display_name="Europe")[0] == 204
    assert sent(alice, f"{where}/archive", word="nonsense")[0] == 422
    assert sent(alice, f"{where}/archive", word="emea") == (204, "/organization")
    status, said = sent(alice, f"/organization/ous/{world.engineering.id}/archive", word="engineering")
    assert status == 409
    assert "still has" in said


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"email": "new@acme.example", "home_ou_id": "/zeta"}, "There is no OU at this path."),
        ({"email": "not an address", "home_ou_id": "/acme"}, "this is not an e-mail address"),
    ],
)
def test_a_wrong_field_says_so_beside_itself_and_keeps_what_was_typed(
    world: World, alice: Client, form: dict[str, str], said: str
) -> None:
    answer = alice.post("/organization/users/new", form, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert f'value="{form["email"]}"' in page
    assert f'value="{form["home_ou_id"]}"' in page


def test_a_person_is_made_given_a_password_once_moved_and_disabled(world: World, alice: Client) -> None:
    status, where = sent(alice, "/organization/users/new", email="new@acme.example", home_ou_id="/acme/sales")
    person = User.objects.get(email="new@acme.example")
    assert (status, where) == (204, f"/organization/users/{person.id}")
    answer = alice.post(f"{where}/password", headers={"HX-Request": "true"})
    [password] = re.findall(r"<code[^>]*>([^<]+)</code>", answer.content.decode())
    assert answer.headers["HX-Retarget"] == "#once"
    person.refresh_from_db()
    assert person.check_password(password)
    assert not Entry.objects.filter(body__contains=password).exists()
    assert sent(alice, f"{where}/move", home_ou_id="/acme/engineering")[0] == 204
    assert sent(alice, f"{where}/disable")[0] == 204
    assert "Disabled" in words(alice.get(where).content)
    assert "new@acme.example" not in words(alice.get("/organization/users?state=active").content)


def test_a_group_holds_users_and_groups_and_never_a_circle(world: World, alice: Client) -> None:
    sent(alice, "/organization/groups/new", ou_id="/acme/engineering", name="leads", display_name="Leads")
    leads, inner = Group.objects.get(name="leads"), make_group(world.engineering, "inner", world.eve)
    page = f"/organization/groups/{leads.id}"
    assert sent(alice, f"{page}/members", member_id="bob@acme.example")[0] == 204
    assert sent(alice, f"{page}/members", member_id="group:/acme/engineering/inner")[0] == 204
    assert re.search(r"group:/acme/engineering/inner Group", words(alice.get(page).content))
    assert "/acme/engineering/leads" in words(alice.get(f"/organization/groups/{inner.id}").content)
    status, said = sent(alice, f"/organization/groups/{inner.id}/members", member_id="group:/acme/engineering/leads")
    assert status == 409
    assert "groups do not go in circles" in said
    assert sent(alice, f"{page}/members/{world.bob.id}/remove")[0] == 204
    assert Membership.objects.filter(group=leads).count() == 1


def test_a_custom_role_is_made_changed_and_ended(world: World, alice: Client) -> None:
    status, where = sent(alice, "/organization/roles/new", name="Deployer", actions=["agent:read", "agent:invoke"])
    assert status == 204
    assert "invoke, read" in words(alice.get(where).content)
    assert 'value="agent:invoke" checked' in alice.get(f"{where}/edit").content.decode()
    assert sent(alice, f"{where}/edit", description="", actions=["agent:read"])[0] == 204
    assert sent(alice, f"{where}/archive", word="Deployer")[0] == 204
    built_in = Role.objects.get(name="Auditor")
    assert "It is built in" in words(alice.get(f"/organization/roles/{built_in.pk}").content)


def test_a_deny_is_bound_until_a_moment_and_ended(world: World, alice: Client) -> None:
    form = {"principal_id": "eve@acme.example", "role_id": "AgentOperator", "scope_ou_id": "/acme/engineering"}
    late = {"decision_type": "deny", "expires_at": "2020-01-01T00:00"}
    status, said = sent(alice, "/organization/bindings/new", **form, **late)
    assert status == 422
    assert "A binding expires in the future." in said
    status, where = sent(alice, "/organization/bindings/new", **form, **late | {"expires_at": "2099-01-01T00:00"})
    assert status == 204
    assert "Deny" in words(alice.get(where).content)
    assert "2099-01-01 00:00" in words(alice.get("/organization/bindings?decision=deny").content)
    assert sent(alice, f"{where}/end") == (204, "/organization/bindings")
    assert Binding.objects.get(decision_type="deny").ended_at is not None


def test_what_one_may_not_do_is_switched_off_and_refused_in_place(world: World) -> None:
    eve = console_of(world.eve)
    page = eve.get(f"/organization/users/{world.bob.id}").content.decode()
    assert page.count('aria-disabled="true"') == 4
    status, said = sent(eve, "/organization/users/new", email="x@acme.example", home_ou_id="/acme")
    assert status == 403
    assert "user:create" in said


def test_a_held_change_leads_to_its_request(world: World, alice: Client) -> None:
    make_policy(world.alice, world.engineering, "role_binding:*")
    form = {"principal_id": "eve@acme.example", "role_id": "AgentOperator", "scope_ou_id": "/acme/engineering"}
    answer = console_of(world.bob).post(
        "/organization/bindings/new", form | {"decision_type": "allow"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (202, "#toasts")
    assert re.search(r'href="/approvals/[0-9a-f-]{36}">See the request', answer.content.decode())


def test_the_matrix_names_the_rule_that_decides_and_hides_what_one_may_not_read(world: World, alice: Client) -> None:
    leads = make_group(world.engineering, "leads", world.bob)
    bind(leads, "AgentOperator", world.root, decision="deny")
    bind(make_agent(world.alice, world.engineering, "deployer", agent_kind="service").id, "AgentViewer", world.root)
    url = f"/organization/ous/{world.engineering.id}/access"
    page = alice.get(url).content.decode()
    assert 'title="deny of AgentOperator to group:/acme/engineering/leads on /acme"' in page
    assert "bob@acme.example" in page
    assert "/acme/engineering/deployer" in page
    bind(world.eve, make_role(world.acme, "Asker", "access:explain").name, world.engineering)
    seen = console_of(world.eve).get(url).content.decode()
    assert 'title="a rule you cannot see"' in seen
    assert "leads" not in seen
    assert "deployer" not in seen
    assert "bob@acme.example" not in console_of(world.vera).get(url).content.decode()


@pytest.mark.parametrize("part", ["", "/users", "/groups", "/roles", "/bindings", "/ous/{ou}/access", "/users/{user}"])
def test_more_of_everything_costs_no_more_queries(world: World, alice: Client, part: str) -> None:
    path = "/organization" + part.format(ou=world.engineering.id, user=world.bob.id)
    for number in range(12):
        if number == 2:
            few = queries(alice, path)
        person = make_user(f"u{number}@acme.example", home=world.engineering)
        group = make_group(world.engineering, f"g{number}", person, world.bob)
        bind(group, make_role(world.acme, f"r{number}", "agent:read").name, world.engineering)
    assert queries(alice, path) == few
