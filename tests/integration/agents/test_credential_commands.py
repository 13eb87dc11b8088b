"""Credentials as commands make, rotate and destroy them: the rows, and what they mean for the reconciler."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import sealing
from accounts.models import Sealed
from agents import bearers
from agents.kinds import SyncKind
from agents.models import Credential, CredentialSource
from powerloom.kernel.errors import Conflict, Denied, Invalid, NotFound
from tests.declared import is_stale, make_agent
from tests.wired import make_credential, make_foreign, make_managed
from tests.world import World, bind, make_role


def test_a_minted_bearer_is_sealed_and_known_by_its_hash(world: World) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_managed(world.engineering)
    credential = make_credential(world.alice, agent, server)
    assert credential.sealed
    bearer = sealing.unseal(credential.sealed)
    assert len(bearer.removeprefix(bearers.PREFIX)) >= 43  # 256 bits in base64
    assert credential.bearer_hash == bearers.hash_of(bearer)
    assert (credential.source, credential.number, credential.origin) == (CredentialSource.MINTED, 1, "")
    assert is_stale(SyncKind.CREDENTIAL, credential.id)
    assert is_stale(SyncKind.VAULT, agent.id)


def test_a_given_token_belongs_to_the_origin_of_its_server_and_opens_nothing_at_the_fleet(world: World) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    credential = make_credential(world.alice, agent, server, token="theirs")
    assert (credential.source, credential.origin) == (CredentialSource.GIVEN, "https://mcp.example.com:443")
    assert credential.bearer_hash != bearers.hash_of("theirs")


def test_a_second_one_for_the_same_server_is_the_first_one(world: World) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    first = make_credential(world.alice, agent, server, token="theirs")
    assert make_credential(world.alice, agent, server, token="theirs") == first
    assert make_credential(world.alice, agent, server) == first
    assert Sealed.objects.filter(expires_at__isnull=True).count() == 1
    with pytest.raises(Conflict, match="Rotate"):
        make_credential(world.alice, agent, server, token="another")


def test_what_the_vault_would_refuse_is_refused_here(world: World) -> None:
    agent, far = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    make_credential(world.alice, agent, far)
    twin = make_foreign(world.engineering, "twin")
    with pytest.raises(Conflict, match="same URL"):
        make_credential(world.alice, agent, twin)
    for number in range(19):
        make_credential(world.alice, agent, make_managed(world.engineering, f"parrot-{number}"))
    with pytest.raises(Conflict, match="at most 20"):
        make_credential(world.alice, agent, make_managed(world.engineering, "one-more"))


def test_a_token_for_a_managed_server_and_one_that_has_expired_are_refused(world: World) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_managed(world.engineering)
    with pytest.raises(Invalid, match="minted here"):
        make_credential(world.alice, agent, server, token="mine")
    with pytest.raises(Invalid, match="expired"):
        make_credential(world.alice, agent, server, expires_at=timezone.now() - timedelta(seconds=1))
    assert not Credential.objects.exists()


def test_it_takes_the_right_to_use_the_server_and_to_see_it(world: World) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_managed(world.sales)
    with pytest.raises(NotFound):
        make_credential(world.bob, agent, server)
    make_role(world.acme, "Looker", "mcp_server:read")
    bind(world.bob, "Looker", world.sales)
    with pytest.raises(Denied, match="mcp_server:use"):
        make_credential(world.bob, agent, server)
    with pytest.raises(Denied, match="credential:create"):
        make_credential(world.eve, agent, make_managed(world.engineering, "near"))
    with pytest.raises(NotFound):
        make_credential(world.mallory, agent, server)
