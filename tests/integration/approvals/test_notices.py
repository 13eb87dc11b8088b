"""Who is told what: approvers by mail, whoever asked too, webhooks signed; capped, tried again, and nothing twice."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from approvals import mails, replay, telling, webhooks
from approvals.models import ApprovalRequest, Delivery, Mail, Notice, Webhook
from powerloom import settings as product
from tests.held import decide, held_agent, make_policy
from tests.hooks import Hook, hook, register
from tests.refusals import code
from tests.standing import standing
from tests.world import World, api_of, bind, make_user

__all__ = ["hook"]


@standing
def request_(world: World) -> ApprovalRequest:
    make_policy(world.alice, world.engineering)
    return held_agent(world.bob, world.engineering)


def tell() -> None:
    telling.spread()
    mails.send()
    webhooks.send()


def again(pk: Any) -> Delivery:
    return Delivery.objects.get(pk=pk)


def test_who_can_decide_is_told_and_nobody_else(world: World, request_: ApprovalRequest) -> None:
    tell()
    tell()
    assert [message.to for message in mail.outbox] == [["vera@acme.example"]]
    body = mail.outbox[0].body
    assert f"/approvals/{request_.pk}" in body
    assert "user:bob@acme.example" in body
    assert "Review Python code." not in body


def test_who_asked_is_told_what_became_of_it(world: World, request_: ApprovalRequest) -> None:
    tell()
    decide(world.vera, request_)
    replay.run()
    mail.outbox.clear()
    tell()
    assert [(message.to, message.subject.partition(":")[0]) for message in mail.outbox] == [
        (["bob@acme.example"], "Approved"),
        (["bob@acme.example"], "Applied"),
    ]


def test_one_person_gets_so_many_mails_an_hour_and_the_last_says_so(world: World, settings: Any) -> None:
    settings.MAX_MAILS_PER_HOUR = 2
    make_policy(world.alice, world.engineering)
    for name in ("one", "two", "three"):
        held_agent(world.bob, world.engineering, name)
    tell()
    assert len(mail.outbox) == 2
    assert "last mail" in mail.outbox[-1].body
    assert Mail.objects.filter(sent_at__isnull=True, due_at__isnull=True).get().outcome.startswith("over the hour")


def test_a_mail_server_that_is_down_is_asked_again(world: World, request_: ApprovalRequest, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    tell()
    waiting = Mail.objects.get()
    assert (waiting.attempts, waiting.sent_at) == (1, None)
    assert waiting.due_at
    assert waiting.due_at > timezone.now()


def test_without_a_mail_server_mails_are_files(
    world: World, request_: ApprovalRequest, settings: Any, tmp_path: Path
) -> None:
    assert product.EMAIL_FILE_PATH.parent == product.HOME
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = product.EMAIL_BACKEND, tmp_path
    tell()
    (written,) = tmp_path.iterdir()
    assert f"/approvals/{request_.pk}" in written.read_text()


def test_hidden_characters_in_a_name_are_shown_in_the_mail(world: World) -> None:
    make_policy(world.alice, world.engineering, "secret:create")
    body = {"name": "dsn", "ou_id": str(world.engineering.id), "value": "canary-of-a-mail", "description": "a\u202eb"}
    assert api_of(world.bob).post("/secrets", body).status_code == 202
    tell()
    assert "canary-of-a-mail" not in mail.outbox[0].body
    assert "\u202e" not in f"{mail.outbox[0].body}{mail.outbox[0].subject}"


def test_a_webhook_is_signed_and_carries_ids_verb_and_link_alone(world: World, hook: Hook, settings: Any) -> None:
    settings.DEV_MODE = True
    secret = register(world, hook.url)["signing_secret"]
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    tell()
    ((headers, body),) = hook.got
    assert Verifier(secret).verify(body, headers)
    told = json.loads(body)
    assert told["type"] == "approval.asked"
    assert told["data"]["approval_request_id"] == str(request.pk)
    assert set(told["data"]) == {
        "approval_request_id",
        "organization_id",
        "action",
        "target_kind",
        "target_id",
        "status",
        "url",
    }
    (sent,) = api_of(world.alice).get(f"/webhooks/{Webhook.objects.get().pk}/deliveries").json()
    assert (sent["status_code"], sent["outcome"], sent["event"]) == (204, "taken", "asked")
    tell()
    assert len(hook.got) == 1


def test_a_failing_webhook_is_tried_again_under_the_same_id_and_then_left_alone(
    world: World, hook: Hook, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEV_MODE = True
    monkeypatch.setattr(webhooks, "MOST_FAILURES", 2)
    hook.status = 500
    register(world, hook.url)
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    tell()
    delivery = Delivery.objects.get()
    assert (delivery.attempts, delivery.status_code) == (1, 500)
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    tell()
    assert {headers["webhook-id"] for headers, _ in hook.got} == {f"msg_{delivery.pk.hex}"}
    row = api_of(world.alice).get(f"/webhooks/{delivery.webhook_id}").json()
    assert "2 failures in a row" in row["off_reason"]
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    tell()
    assert len(hook.got) == 2
    assert again(delivery.pk).due_at is None
    mended = api_of(world.alice).patch(f"/webhooks/{delivery.webhook_id}", {"url": hook.url}).json()
    assert (mended["off_reason"], mended["failures"]) == ("", 0)


def test_an_address_that_may_not_be_reached_is_not(world: World, hook: Hook) -> None:
    register(world, hook.url)
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    tell()
    assert hook.got == []
    assert Delivery.objects.get().outcome == "the address may not be reached"


def test_a_webhook_is_told_only_the_events_it_names(world: World, hook: Hook, settings: Any) -> None:
    settings.DEV_MODE = True
    register(world, hook.url, events=["rejected"])
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    tell()
    decide(world.vera, request, "reject")
    tell()
    assert [json.loads(body)["type"] for _, body in hook.got] == ["approval.rejected"]


def test_a_new_secret_signs_what_comes_after_it(world: World, hook: Hook, settings: Any) -> None:
    settings.DEV_MODE = True
    made = register(world, hook.url)
    rotated = api_of(world.alice).post(f"/webhooks/{made['id']}/rotate").json()
    assert rotated["signing_secret"] != made["signing_secret"]
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    tell()
    ((headers, body),) = hook.got
    assert Verifier(rotated["signing_secret"]).verify(body, headers)
    assert "signing_secret" not in api_of(world.alice).get(f"/webhooks/{made['id']}").json()


def test_an_ended_webhook_is_sent_nothing(world: World, hook: Hook, settings: Any) -> None:
    settings.DEV_MODE = True
    made = register(world, hook.url)
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    telling.spread()
    assert api_of(world.alice).delete(f"/webhooks/{made['id']}").status_code == 204
    webhooks.send()
    assert hook.got == []
    assert Delivery.objects.get().due_at is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://hooks.example/"}, "url"),
        ({"url": "https://user:secret@hooks.example/"}, "url"),
        ({"url": "no address"}, "url"),
        ({"events": ["everything"]}, "events"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_what_is_no_webhook_is_refused_naming_the_field(world: World, fields: dict[str, Any], field: str) -> None:
    answer = api_of(world.alice).post("/webhooks", {"name": "ops", "url": "https://hooks.example/in", **fields})
    assert (answer.status_code, code(answer)) == (422, "invalid")
    assert field in answer.json()["error"]["detail"]["field"]
    assert "user:secret" not in answer.content.decode()


def test_only_who_may_at_the_root_sees_or_makes_webhooks(world: World) -> None:
    made = register(world, "https://hooks.example/in")
    assert api_of(world.bob).get(f"/webhooks/{made['id']}").status_code == 404
    assert api_of(world.mallory).get(f"/webhooks/{made['id']}").status_code == 404
    assert api_of(world.bob).post("/webhooks", {"name": "mine", "url": "https://hooks.example/in"}).status_code == 403
    auditor = make_user("audrey@acme.example", home=world.root)
    bind(auditor, "Auditor", world.root)
    assert [row["name"] for row in api_of(auditor).get("/webhooks").json()] == ["ops"]
    assert api_of(auditor).delete(f"/webhooks/{made['id']}").status_code == 403


def test_an_event_is_spread_once_however_often_it_is_asked_for(world: World, request_: ApprovalRequest) -> None:
    telling.spread()
    Notice.objects.update(due_at=timezone.now())
    telling.spread()
    assert Mail.objects.count() == 1
