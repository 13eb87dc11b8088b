"""Secrets never ride along: canaries go in by every route that takes one, every way; then everything is searched."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.tokens import sign_in_token
from approvals import mails, replay, telling, webhooks
from approvals.models import ApprovalRequest, Webhook
from powerloom.reconcile import engine
from powerloom.reconcile.models import SyncState
from powerloom.web.logs import JsonFormatter
from tests.converging import runtime
from tests.declared import make_agent
from tests.held import make_policy
from tests.hooks import Hook, hook, register
from tests.wired import make_credential, make_foreign, make_managed, wire
from tests.world import World, api_of, make_user

__all__ = ["hook"]

CANARY = "CANARY-b1f0c2"


def everything_kept() -> Iterator[tuple[str, str]]:
    """Return every row of every table as text, with its table."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  our own tables
            for row in cursor.fetchall():
                yield table, repr([bytes(value) if isinstance(value, memoryview) else value for value in row])


def where_found(canary: str) -> set[str]:
    return {table for table, row in everything_kept() if canary in row}


class Lines(logging.Handler):
    """Keeps what the product's own formatter writes."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_secret_put_in_by_every_route_is_nowhere_afterwards(world: World, lines: list[str]) -> None:
    alice, eve = api_of(world.alice), api_of(world.eve)
    answers = []
    good: dict[str, Any] = {"name": "dsn", "ou_id": str(world.root.id), "value": CANARY}
    for number, caller in enumerate((alice, eve)):
        for suffix in ("", "?dry_run=true"):
            for body in (good, good | {"name": "NOT GOOD"}, good | {"colour": CANARY}, good | {"ou_id": CANARY}):
                for _ in range(2):
                    key = {"HTTP_IDEMPOTENCY_KEY": f"key-{number}-{suffix}"}
                    answers.append(caller.post(f"/secrets{suffix}", body, **key))
    secret = alice.get("/secrets").json()[0]
    for caller in (alice, eve):
        answers.append(caller.post(f"/secrets/{secret['id']}/rotate", {"value": CANARY}))
        answers.append(caller.post(f"/secrets/{secret['id']}/rotate", {"value": {"x": CANARY}}))
    answers += [alice.get(f"/secrets/{secret['id']}"), alice.delete(f"/secrets/{secret['id']}"), alice.get("/audit")]
    answers.append(alice.post("/secrets", CANARY))
    assert {answer.status_code for answer in answers} >= {200, 201, 204, 403, 422}
    assert where_found(CANARY) == set()
    assert not [answer for answer in answers if CANARY in answer.content.decode()]
    assert not [line for line in lines if CANARY in line]


def test_a_password_is_nowhere_afterwards(world: World, lines: list[str]) -> None:
    user = make_user("zoe@acme.example", home=world.root, password=f"{CANARY} long enough")
    answers = [
        Client().post("/api/auth/token", json.dumps({"email": user.email, "password": password}), "application/json")
        for password in (f"{CANARY} long enough", f"{CANARY} wrong", {"x": CANARY})
    ]
    change = {"current_password": f"{CANARY} long enough", "new_password": f"{CANARY} even longer"}
    bodies = (change | {"new_password": CANARY[:3]}, change | {"x": CANARY}, change)
    answers += [api_of(user).post("/me/password", body, HTTP_IDEMPOTENCY_KEY="one") for body in bodies]
    assert {answer.status_code for answer in answers} == {200, 204, 401, 422}
    assert where_found(CANARY) == set()
    assert not [answer for answer in answers if CANARY in answer.content.decode()]
    assert not [line for line in lines if CANARY in line]


def test_a_token_is_shown_once_and_kept_nowhere(world: World, lines: list[str]) -> None:
    api = api_of(world.alice)
    made = api.post("/users/me/personal-access-tokens", {"name": "ci"}, HTTP_IDEMPOTENCY_KEY="one")
    token = made.json()["raw_token"]
    again = api.post("/users/me/personal-access-tokens", {"name": "ci"}, HTTP_IDEMPOTENCY_KEY="one")
    Client(headers={"authorization": f"Bearer {token}"}).get("/api/me")
    Client(headers={"authorization": f"Bearer {token}"}).get("/api/nothing")
    jwt = sign_in_token(world.alice)
    Client(headers={"authorization": f"Bearer {jwt}"}).get("/api/me")
    for secret in (token, jwt):
        assert where_found(secret) == set()
        assert not [line for line in lines if secret in line]
    assert token not in again.content.decode()


def test_the_search_finds_what_is_there(world: World, lines: list[str]) -> None:
    world.eve.name = CANARY
    world.eve.save()
    logging.getLogger("accounts").info("A line with %s", CANARY)
    assert where_found(CANARY) == {"accounts_user"}
    assert [line for line in lines if CANARY in line]


def test_a_credentials_value_is_nowhere_afterwards_but_where_it_is_revealed(world: World, lines: list[str]) -> None:
    alice, eve = api_of(world.alice), api_of(world.eve)
    agent, tracker = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    body = {"agent_id": str(agent.id), "mcp_server_registration_id": str(tracker.id)}
    managed = body | {"mcp_server_registration_id": str(make_managed(world.engineering).id)}
    answers: list[Any] = []
    bad: tuple[dict[str, Any], ...] = (
        {"colour": CANARY},
        {"token": f"{CANARY} two words"},
        {"token": {"x": CANARY}},
        {"token": CANARY * 1000},
    )
    for caller in (eve, alice):
        for sent in (managed, body, *(body | other for other in bad)):
            for suffix in ("?dry_run=true", ""):
                for _ in range(2):
                    key = {"HTTP_IDEMPOTENCY_KEY": f"key-{len(answers)}"}
                    answers.append(caller.post(f"/credentials{suffix}", {"token": CANARY, **sent}, **key))
    answers.append(alice.post("/credentials", body | {"token": f"{CANARY}-other"}))
    [row] = alice.get("/credentials", {"agent_id": str(agent.id)}).json()
    at = f"/credentials/{row['id']}"
    for caller in (eve, alice):
        for sent in ({"token": CANARY}, *bad):
            answers.append(caller.post(f"{at}/rotate", sent, HTTP_IDEMPOTENCY_KEY=f"key-{len(answers)}"))
            answers.append(caller.post(f"{at}/rotate?dry_run=true", sent))
        answers += [caller.post(f"{at}/reveal", {"token": CANARY}), caller.post(f"{at}/sync/reset")]
    answers += [alice.get(at), alice.get("/credentials"), alice.delete(at), alice.get("/audit")]
    assert {answer.status_code for answer in answers} >= {200, 201, 204, 404, 409, 422}
    assert where_found(CANARY) == set()
    assert not [answer for answer in answers if CANARY in answer.content.decode()]
    assert not [line for line in lines if CANARY in line]


def test_a_minted_value_is_only_in_the_one_answer_that_reveals_it(world: World, lines: list[str]) -> None:
    alice = api_of(world.alice)
    agent, tracker = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    body = {"agent_id": str(agent.id), "mcp_server_registration_id": str(tracker.id)}
    answers = [alice.post("/credentials", body, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2)]
    at = f"/credentials/{answers[0].json()['id']}"
    shown = alice.post(f"{at}/reveal", HTTP_IDEMPOTENCY_KEY="two")
    token = shown.json()["token"]
    answers += [alice.post(f"{at}/reveal", HTTP_IDEMPOTENCY_KEY="two"), alice.post(f"{at}/reveal"), alice.get(at)]
    answers += [alice.get("/credentials"), alice.get("/audit"), alice.post(f"{at}/rotate"), alice.delete(at)]
    assert where_found(token) == set()
    assert not [answer for answer in answers if token in answer.content.decode()]
    assert not [line for line in lines if token in line]


def test_a_value_on_its_way_to_the_vault_is_nowhere_but_there(
    world: World, lines: list[str], tmp_path: Path, settings: Any
) -> None:
    agent, tracker = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    wire(agent, tracker)
    make_credential(world.alice, agent, tracker, token=CANARY)
    with runtime(tmp_path, settings) as cma:
        cma.faults.add("POST /v1/vaults/{id}/credentials", status=400, message=f"Is {CANARY} a token?")
        engine.tick()
        assert where_found(CANARY) == set()
        SyncState.objects.update(due_at=timezone.now())
        engine.tick()
        [vault] = cma.vaults()
        [there] = cma.credentials(vault["id"])
        assert cma.token(there["id"]) == CANARY
    assert where_found(CANARY) == set()
    assert not [line for line in lines if CANARY in line]


def test_a_secret_in_what_is_held_is_in_no_request_record_mail_or_webhook(
    world: World, lines: list[str], hook: Hook, settings: Any
) -> None:
    settings.DEV_MODE = True  # the receiver is on loopback
    alice, vera = api_of(world.alice), api_of(world.vera)
    register(world, hook.url)
    agent, tracker = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    make_credential(world.alice, agent, make_foreign(world.engineering, "other", "https://other.example.com/mcp"))
    kept = alice.post("/secrets", {"name": "kept", "ou_id": str(world.root.id), "kind": "x", "value": "x"}).json()
    [credential] = alice.get("/credentials").json()
    make_policy(world.alice, world.root, "*")
    token = {"agent_id": str(agent.id), "mcp_server_registration_id": str(tracker.id), "token": CANARY}
    asks: list[tuple[str, dict[str, Any]]] = [
        ("/secrets", {"name": "new", "ou_id": str(world.root.id), "kind": "x", "value": CANARY}),
        (f"/secrets/{kept['id']}/rotate", {"value": CANARY}),
        ("/credentials", token),
        (f"/credentials/{credential['id']}/rotate", {"token": CANARY}),
    ]
    held = [alice.post(path, body) for path, body in asks for _ in range(2)]
    assert {answer.status_code for answer in held} == {202}
    answers = [*held]
    for number, answer in enumerate(held):
        at = f"/approvals/{answer.json()['id']}"
        answers += [vera.get(at), vera.post(f"{at}/{'reject' if number % 4 == 3 else 'approve'}", {"comment": "ok"})]
    replay.run()
    telling.spread()
    mails.send()
    webhooks.send()
    answers += [vera.get("/approvals", {"tab": "recent"}), alice.get("/audit")]
    answers.append(alice.get(f"/webhooks/{Webhook.objects.get().pk}/deliveries"))
    assert ApprovalRequest.objects.filter(outcome="applied").count() > 1
    assert mail.outbox
    assert {json.loads(body)["type"] for _, body in hook.got} >= {"approval.asked", "approval.applied"}
    assert where_found(CANARY) == set()
    assert not [answer for answer in answers if CANARY in answer.content.decode()]
    assert not [one for one in mail.outbox if CANARY in one.message().as_string()]
    assert not [sent for sent in hook.got if CANARY in repr(sent)]
    assert not [line for line in lines if CANARY in line]
