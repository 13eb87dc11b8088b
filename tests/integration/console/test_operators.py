"""The operators' admin: every table to read and search, none to write, and the tenant knows who looked."""

from io import StringIO

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts import devices
from accounts.commands.operators import SetOperator
from accounts.models import DeviceLogin
from agents.models import Agent
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.errors import NotFound
from sessions.models import AgentSession
from tests.world import World, actor_of, api_of, console_of

pytestmark = pytest.mark.usefixtures("session")

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
IDS = [model._meta.label for model in MODELS]


@pytest.fixture
def operator(world: World) -> Client:
    """A platform operator who belongs to Zeta and looks at everybody."""
    world.mallory.is_staff = True
    world.mallory.save(update_fields=["is_staff"])
    return console_of(world.mallory)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_every_table_can_be_listed_searched_and_nothing_else(
    operator: Client, session: AgentSession, model: type
) -> None:
    place = f"admin:{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]  # a model
    assert operator.get(reverse(f"{place}_changelist"), {"q": "acme"}).status_code == 200
    for url in (reverse(f"{place}_add"), reverse(f"{place}_changelist")):
        assert operator.post(url, {"action": "delete_selected"}).status_code == 403


def test_no_table_of_ours_is_missing_there() -> None:
    ours = {app.label for app in apps.get_app_configs() if not app.name.startswith(("django.", "channels"))}
    missing = {model._meta.label for model in apps.get_models() if model._meta.app_label in ours} - set(IDS)
    assert missing == set(), "register them in their app's admin.py, with powerloom.web.operators.read_only"


def test_a_row_can_be_read_but_not_changed_or_deleted(operator: Client, agent: Agent) -> None:
    change = reverse("admin:agents_agent_change", args=[agent.id])
    assert operator.get(change).status_code == 200
    assert operator.post(change, {"name": "stolen"}).status_code == 403
    assert operator.post(reverse("admin:agents_agent_delete", args=[agent.id]), {"post": "yes"}).status_code == 403
    agent.refresh_from_db()
    assert agent.name == "code-reviewer"


def test_reading_a_tenant_stands_in_that_tenants_trail(world: World, operator: Client, agent: Agent) -> None:
    operator.get(reverse("admin:agents_agent_change", args=[agent.id]))
    entry = Entry.objects.filter(action="operator:read").latest("seq")
    assert (entry.chain_id, entry.actor_ref, entry.target_name) == (
        world.acme.id,
        "operator:mallory@zeta.example",
        str(agent.id),
    )


def test_a_list_of_many_tenants_tells_each(world: World, operator: Client) -> None:
    operator.get(reverse("admin:accounts_user_changelist"))
    chains = Entry.objects.filter(action="operator:read").values_list("chain_id", flat=True)
    assert set(chains) == {world.acme.id, world.zeta.id}


@pytest.mark.parametrize("path", ["", "accounts/user/", "audit/entry/"])
def test_who_is_no_operator_finds_nothing_there(alice: Client, path: str) -> None:
    assert alice.get(f"/admin/{path}").status_code in {302, 404}
    assert alice.get(f"/admin/{path}", follow=True).status_code == 404


def test_hashes_and_sealed_values_are_never_shown(world: World, operator: Client) -> None:
    page = operator.get(reverse("admin:accounts_user_change", args=[world.alice.id])).content.decode()
    assert "argon2" not in page
    devices.begin("weave", [], "127.0.0.1")
    login = DeviceLogin.objects.get()
    page = operator.get(reverse("admin:accounts_devicelogin_changelist")).content.decode()
    page += operator.get(reverse("admin:accounts_devicelogin_change", args=[login.pk])).content.decode()
    assert "weave" in page
    assert not [mark for mark in (login.device_hmac, login.user_hmac) if mark in page]


def test_a_password_is_not_changed_here(operator: Client) -> None:
    assert operator.post("/admin/password_change/", {}).status_code == 404


def test_an_operator_is_made_and_unmade_on_the_server(world: World) -> None:
    bob = console_of(world.bob)
    call_command("set_operator", "bob@acme.example", stdout=StringIO())
    assert bob.get("/admin/").status_code == 200
    call_command("set_operator", "bob@acme.example", "--off", stdout=StringIO())
    assert bob.get("/admin/", follow=True).status_code == 404
    entries = Entry.objects.filter(chain_id=world.acme.id, action="user:set_operator")
    assert [entry.actor_ref for entry in entries] == ["system:set_operator"] * 2


def test_an_unknown_person_is_made_nothing(world: World) -> None:
    with pytest.raises(CommandError, match="No organization has a user"):
        call_command("set_operator", "nobody@acme.example")


def test_no_role_of_a_tenant_makes_an_operator(world: World) -> None:
    with pytest.raises(NotFound):
        submit(SetOperator(user_id=world.bob.id, is_operator=True), actor=actor_of(world.alice))
    world.bob.refresh_from_db()
    assert not world.bob.is_staff


def test_an_org_admin_cannot_take_over_an_operator_by_a_password(world: World) -> None:
    call_command("set_operator", "bob@acme.example", stdout=StringIO())
    assert api_of(world.alice).post(f"/users/{world.bob.id}/password").status_code == 403
    assert api_of(world.alice).post(f"/users/{world.eve.id}/password").status_code == 200
