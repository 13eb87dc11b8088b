"""What an operator does on the server: found an organization, give a first password."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.commands.ous import UpdateOU
from accounts.models import OU, AccessEpoch, Binding, Organization, User
from accounts.tokens import authenticate, sign_in_token
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.errors import Denied
from powerloom.kernel.refs import Actor
from tests.world import World, api_of


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.usefixtures("db")
class TestFounding:
    def test_it_makes_the_root_and_its_first_admin(self) -> None:
        run("create_organization", "acme", admin_email="Alice@acme.example")
        organization = Organization.objects.get(name="acme")
        assert OU.objects.get(organization=organization).path == "/acme/"
        assert AccessEpoch.objects.filter(organization=organization).exists()
        alice = User.objects.get(email="alice@acme.example")
        assert not alice.has_usable_password()
        check = api_of(alice).get("/access/check", {"action": "ou:create", "ou_id": str(alice.home_ou_id)})
        assert check.json()["because"]["role"] == "OrgAdmin"
        entry = Entry.objects.get(action="organization:create")
        assert (entry.chain_id, entry.actor_ref) == (organization.id, "system:create_organization")

    def test_the_first_admin_gets_a_password_and_signs_in(self) -> None:
        run("create_organization", "acme", admin_email="alice@acme.example")
        told = run("set_password", "alice@acme.example")
        found = re.search(r"only now: (\S+)", told)
        assert found
        body = {"email": "alice@acme.example", "password": found[1]}
        assert Client().post("/api/auth/token", body, content_type="application/json").status_code == 200

    def test_it_is_founded_once(self) -> None:
        run("create_organization", "acme", admin_email="alice@acme.example")
        with pytest.raises(CommandError, match="acme already"):
            run("create_organization", "acme", admin_email="other@acme.example")
        assert run("create_organization", "acme", admin_email="other@acme.example", if_missing=True) == ""
        assert Organization.objects.count() == 1
        assert Binding.objects.count() == 1

    @pytest.mark.parametrize(("name", "email"), [("Acme", "a@b.example"), ("-", "a@b.example"), ("acme", "nobody")])
    def test_name_and_address_must_be_good(self, name: str, email: str) -> None:
        with pytest.raises(CommandError):
            run("create_organization", name, admin_email=email)
        assert not Organization.objects.exists()

    def test_an_address_belongs_to_one_organization(self) -> None:
        run("create_organization", "acme", admin_email="alice@acme.example")
        with pytest.raises(CommandError, match="already"):
            run("create_organization", "zeta", admin_email="alice@acme.example")


def test_a_password_for_nobody_is_refused(world: World) -> None:
    with pytest.raises(CommandError, match="No organization"):
        run("set_password", "nobody@acme.example")


def test_a_new_password_from_the_server_ends_the_sign_ins(world: World) -> None:
    token = sign_in_token(world.eve)
    run("set_password", "eve@acme.example")
    assert authenticate(token, request_id="", address="") is None
    assert Entry.objects.get(action="user:set_password").actor_ref == "system:set_password"


def test_the_system_does_only_what_it_is_for(world: World) -> None:
    with pytest.raises(Denied):
        submit(
            UpdateOU(ou_id=world.platform.id, display_name="X"),
            actor=Actor.system("task", organization_id=world.acme.id),
        )
