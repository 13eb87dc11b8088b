"""Credentials over REST: made once, rotated, shown a single time, destroyed; and every refusal in its place."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import TypeAdapter

from accounts.models import Sealed
from agents import bearers
from agents.api.shapes import CredentialDetailOut, CredentialOut, RevealedOut
from agents.kinds import SyncKind
from agents.models import Agent, Credential, MCPServer
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.audit.models import Entry
from powerloom.reconcile.models import SyncState, Urgency
from tests.declared import is_stale, make_agent, make_live
from tests.held import decide, make_policy
from tests.standing import standing
from tests.wired import make_credential, make_foreign, make_managed, value_of
from tests.world import Api, World, api_of, bind, make_role, make_token

ABSENT = "01920000-0000-7000-8000-000000000000"


@standing
def agent(world: World) -> Agent:
    return make_agent(world.alice, world.engineering)


@standing
def parrot(world: World) -> MCPServer:
    return make_managed(world.engineering)


@standing
def tracker(world: World) -> MCPServer:
    return make_foreign(world.engineering)


def body(agent: Agent, server: MCPServer, **fields: Any) -> dict[str, Any]:
    return {"agent_id": str(agent.id), "mcp_server_registration_id": str(server.id), **fields}


def reveal(api: Api, credential: Credential, **headers: str) -> Any:
    return api.post(f"/credentials/{credential.id}/reveal", **headers)


# --- Create and read


def test_a_post_makes_one_and_the_same_post_again_answers_with_it(
    world: World, agent: Agent, parrot: MCPServer
) -> None:
    first = api_of(world.bob).post("/credentials", body(agent, parrot))
    assert first.status_code == 201
    CredentialDetailOut.model_validate(first.json())
    again = api_of(world.bob).post("/credentials", body(agent, parrot))
    assert again.status_code in {200, 201}
    assert again.json()["id"] == first.json()["id"]
    assert Credential.objects.count() == 1


def test_the_list_is_a_bare_array_of_one_agents_credentials_without_values(
    world: World, agent: Agent, parrot: MCPServer, tracker: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, parrot)
    given = make_credential(world.alice, agent, tracker, token="theirs")
    make_credential(world.alice, make_agent(world.alice, world.engineering, "other"), parrot)
    make_live(credential.id)
    rows = api_of(world.bob).get("/credentials", {"agent_id": agent.id}).json()
    TypeAdapter(list[CredentialOut]).validate_python(rows)
    assert {row["id"]: row["mcp_server_registration_id"] for row in rows} == {
        str(credential.id): str(parrot.id),
        str(given.id): str(tracker.id),
    }
    assert {row["source"]: row["sync_status"] for row in rows} == {"minted": "synced", "given": "pending"}
    [row] = api_of(world.bob).get("/credentials", body(agent, tracker)).json()
    assert row["id"] == str(given.id)
    assert not {"token", "sealed", "bearer_hash"} & row.keys()


def test_the_list_costs_as_many_queries_for_many_as_for_one(world: World, agent: Agent) -> None:
    counts = []
    for number in range(6):
        make_credential(world.alice, agent, make_managed(world.engineering, f"parrot-{number}"))
        if number in {0, 5}:
            api_of(world.bob).get("/credentials")
            with CaptureQueriesContext(connection) as captured:
                api_of(world.bob).get("/credentials", {"agent_id": agent.id})
            counts.append(len(captured))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"token": ""}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "line\r\nbreak"}, "token"),
        ({"token": "x" * 8193}, "token"),
        ({"token": 7}, "token"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2090-01-01T00:00:00"}, "expires_at"),
        ({"mcp_server_registration_id": "tracker"}, "mcp_server_registration_id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_field(
    fields: dict[str, Any], field: str, world: World, agent: Agent, tracker: MCPServer
) -> None:
    answer = api_of(world.bob).post("/credentials", body(agent, tracker) | fields)
    assert (answer.status_code, answer.json()["error"]["detail"]["field"]) == (422, field)
    assert not Credential.objects.exists()


@pytest.mark.parametrize("name", ["agent_id", "mcp_server_registration_id"])
def test_an_agent_or_server_that_is_absent_or_unseen_is_not_found(
    name: str, world: World, agent: Agent, tracker: MCPServer
) -> None:
    unseen = {
        "agent_id": make_agent(world.alice, world.sales, "seller").id,
        "mcp_server_registration_id": make_managed(world.sales, "far").id,
    }
    for id_ in (unseen[name], ABSENT):
        answer = api_of(world.bob).post("/credentials", body(agent, tracker, token="theirs") | {name: str(id_)})
        assert answer.status_code == 404
    assert not Credential.objects.exists()


# --- Rotate


def test_a_rotation_changes_the_value_and_is_pushed(world: World, agent: Agent, parrot: MCPServer) -> None:
    credential = make_credential(world.alice, agent, parrot)
    make_live(credential.id)
    old, sealed = value_of(credential), credential.sealed
    assert sealed
    answer = api_of(world.bob).post(f"/credentials/{credential.id}/rotate")
    assert (answer.status_code, answer.json()["number"], answer.json()["sync_status"]) == (200, 2, "pending")
    credential.refresh_from_db()
    assert credential.bearer_hash == bearers.hash_of(value_of(credential)) != bearers.hash_of(old)
    assert credential.earlier_hash == bearers.hash_of(old)
    assert not Sealed.objects.filter(pk=sealed.pk).exists()
    api_of(world.bob).post(f"/credentials/{credential.id}/rotate")
    credential.refresh_from_db()
    assert credential.earlier_hash == bearers.hash_of(old), "the vault still has that one"


def test_a_given_token_is_rotated_by_the_next_one_and_a_voided_one_is_good_again(
    world: World, agent: Agent, tracker: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, tracker, token="theirs")
    bob = api_of(world.bob)
    refused = bob.post(f"/credentials/{credential.id}/rotate")
    assert (refused.status_code, refused.json()["error"]["detail"]["field"]) == (422, "token")
    MCPServer.objects.filter(pk=tracker.pk).update(url="https://elsewhere.example.com/mcp")
    assert bob.get(f"/credentials/{credential.id}").json()["usable"] is False
    answer = bob.post(f"/credentials/{credential.id}/rotate", {"token": "next"})
    assert (answer.status_code, answer.json()["usable"]) == (200, True)
    credential.refresh_from_db()
    assert (value_of(credential), credential.origin) == ("next", "https://elsewhere.example.com:443")


def test_what_had_expired_does_not_become_good_again_beside_the_new_value(
    world: World, agent: Agent, parrot: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, parrot)
    made = credential.created_at
    Credential.objects.update(created_at=made.replace(year=2020), expires_at=made.replace(year=2021))
    answer = api_of(world.bob).post(f"/credentials/{credential.id}/rotate")
    credential.refresh_from_db()
    assert credential.earlier_hash == ""
    assert credential.expires_at
    assert 360 < (credential.expires_at - timezone.now()).days <= 366, "it lives as long as the one before"
    assert answer.json()["usable"] is True


# --- Reveal


def test_a_minted_bearer_for_a_foreign_server_is_shown_once(world: World, agent: Agent, tracker: MCPServer) -> None:
    credential = make_credential(world.alice, agent, tracker)
    alice = api_of(world.alice)
    shown = reveal(alice, credential, HTTP_IDEMPOTENCY_KEY="one")
    assert shown.status_code == 200
    RevealedOut.model_validate(shown.json())
    assert shown.json()["token"] == value_of(credential)
    again = reveal(alice, credential, HTTP_IDEMPOTENCY_KEY="one").json()
    assert (again["token"], again["secret_already_shown"]) == (None, True)
    assert reveal(alice, credential).status_code == 409
    [entry] = Entry.objects.filter(action="credential:reveal", decision="allowed")
    assert value_of(credential) not in entry.body
    alice.post(f"/credentials/{credential.id}/rotate")
    assert reveal(alice, credential).json()["token"] == value_of(credential)


def test_no_other_value_is_ever_shown(world: World, agent: Agent, parrot: MCPServer, tracker: MCPServer) -> None:
    managed = make_credential(world.alice, agent, parrot)
    given = make_credential(world.alice, agent, tracker, token="theirs")
    for credential in (managed, given):
        assert reveal(api_of(world.alice), credential).status_code == 409
    assert not Credential.objects.filter(revealed_at__isnull=False).exists()


def test_a_dry_run_shows_nothing(world: World, agent: Agent, tracker: MCPServer) -> None:
    credential = make_credential(world.alice, agent, tracker)
    answer = api_of(world.alice).post(f"/credentials/{credential.id}/reveal?dry_run=true")
    assert answer.status_code == 200
    assert value_of(credential) not in answer.content.decode()
    credential.refresh_from_db()
    assert credential.revealed_at is None


def test_revealing_is_kept_for_the_root_and_in_a_token_only_when_named(
    world: World, agent: Agent, tracker: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, tracker)
    assert reveal(api_of(world.bob), credential).status_code == 403, "an OUAdmin has all of credential but this"
    assert reveal(Api(make_token(world.alice)), credential).status_code == 403
    others = ["credential:read", "credential:create", "mcp_server:read", "mcp_server:use"]
    assert reveal(Api(make_token(world.alice, actions=others)), credential).status_code == 403
    named = Api(make_token(world.alice, actions=[*others, "credential:reveal"]))
    assert reveal(named, credential).json()["token"] == value_of(credential)


# --- Delete and reset


def test_deleting_destroys_the_value_revokes_first_and_keeps_the_row(
    world: World, agent: Agent, parrot: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, parrot)
    make_live(credential.id, agent.id)
    bob = api_of(world.bob)
    assert bob.delete(f"/credentials/{credential.id}").status_code == 204
    credential.refresh_from_db()
    assert (credential.sealed_id, credential.bearer_hash, credential.earlier_hash) == (None, "", "")
    assert not Sealed.objects.exists()
    assert SyncState.objects.get(kind=SyncKind.CREDENTIAL).urgency == Urgency.REVOKE
    assert is_stale(SyncKind.VAULT, agent.id)
    for answer in (bob.delete(f"/credentials/{credential.id}"), bob.get(f"/credentials/{credential.id}")):
        assert answer.status_code == 404
    assert bob.post("/credentials", body(agent, parrot)).json()["id"] != str(credential.id)


def test_whoever_may_revoke_need_not_be_able_to_use_or_see_the_server(world: World, agent: Agent) -> None:
    credential = make_credential(world.alice, agent, make_managed(world.sales, "far"))
    assert api_of(world.bob).post(f"/credentials/{credential.id}/rotate").status_code == 404
    assert api_of(world.bob).delete(f"/credentials/{credential.id}").status_code == 204


def test_rotating_takes_the_right_to_use_the_server(world: World, agent: Agent) -> None:
    credential = make_credential(world.alice, agent, make_managed(world.sales, "far"))
    make_role(world.acme, "Looker", "mcp_server:read")
    bind(world.bob, "Looker", world.sales)
    answer = api_of(world.bob).post(f"/credentials/{credential.id}/rotate")
    assert (answer.status_code, answer.json()["error"]["detail"]["permission"]) == (403, "mcp_server:use")


def test_an_archived_agents_credentials_are_destroyed_with_it(world: World, agent: Agent, parrot: MCPServer) -> None:
    credential = make_credential(world.alice, agent, parrot)
    assert api_of(world.bob).delete(f"/agents/{agent.id}").status_code == 204
    credential.refresh_from_db()
    assert (credential.sealed_id, credential.archived_at is not None) == (None, True)
    assert api_of(world.bob).delete(f"/credentials/{credential.id}").status_code == 404


def test_a_parked_credential_is_tried_again_and_its_vault_too(world: World, agent: Agent, parrot: MCPServer) -> None:
    credential = make_credential(world.alice, agent, parrot)
    SyncState.objects.update(parked_at=timezone.now(), last_error="CMA refuses this")
    shown = api_of(world.bob).get(f"/credentials/{credential.id}").json()
    assert (shown["sync_status"], "CMA refuses this" in shown["sync"]["why"]) == ("parked", True)
    answer = api_of(world.bob).post(f"/credentials/{credential.id}/sync/reset")
    assert (answer.status_code, answer.json()["sync_status"]) == (200, "pending")
    assert not SyncState.objects.filter(kind=SyncKind.VAULT, parked_at__isnull=False).exists()


def test_a_read_asks_for_the_right_at_the_agent(world: World, agent: Agent, parrot: MCPServer) -> None:
    credential = make_credential(world.alice, agent, parrot)
    for user in (world.eve, world.mallory):
        assert api_of(user).get("/credentials").json() == []
        assert api_of(user).get(f"/credentials/{credential.id}").status_code == 404
        assert api_of(user).delete(f"/credentials/{credential.id}").status_code == 404
    assert api_of(world.vera).get(f"/credentials/{credential.id}").status_code == 200
    assert api_of(world.vera).delete(f"/credentials/{credential.id}").status_code == 403


# --- Held


def test_a_held_rotation_is_one_request_however_often_it_is_asked_and_is_applied_when_approved(
    world: World, agent: Agent, parrot: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, parrot)
    before = value_of(credential)
    make_policy(world.alice, world.engineering, "credential:*")
    bob = api_of(world.bob)
    asked = [bob.post(f"/credentials/{credential.id}/rotate") for _ in range(2)]
    assert [answer.status_code for answer in asked] == [202, 202]
    assert asked[0].json()["id"] == asked[1].json()["id"]
    request = ApprovalRequest.objects.get()
    assert decide(world.vera, request).status_code == 200
    replay.run()
    assert value_of(credential) != before
    assert bob.delete(f"/credentials/{credential.id}").status_code == 204, "what only revokes is never held"


def test_a_server_that_is_archived_takes_its_credentials_with_it(
    world: World, agent: Agent, tracker: MCPServer
) -> None:
    credential = make_credential(world.alice, agent, tracker)
    assert api_of(world.bob).delete(f"/mcp-servers/{tracker.id}").status_code == 204
    credential.refresh_from_db()
    assert (credential.sealed_id, credential.archived_at is not None) == (None, True)
