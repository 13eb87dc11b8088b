"""One's own settings: the password, tokens shown once, and webhooks with their log."""

import re
from typing import Any

import pytest
from django.test import Client
from standardwebhooks import Webhook as Verifier

from accounts.models import AccessToken, Sealed
from approvals.models import Webhook
from powerloom.audit.models import Entry
from tests.hooks import Hook, hook, register
from tests.integration.console.conftest import queries
from tests.world import PASSWORD, Api, World, console_of, make_token

__all__ = ["hook"]

pytestmark = pytest.mark.once

FRESH = "an entirely other passphrase"


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def sent(client: Client, path: str, **form: Any) -> Any:
    return client.post(path, form, headers={"HX-Request": "true"})


def revealed(answer: Any) -> str:
    """Return the secret of a dialog that shows one this once."""
    assert (answer.status_code, answer.headers["HX-Retarget"], answer.headers["Cache-Control"]) == (
        200,
        "#once",
        "no-store",
    )
    [value] = re.findall(r"<code[^>]*>([^<]+)</code>", answer.content.decode())
    return str(value)


def test_a_password_is_changed_with_the_current_one_and_ends_other_sign_ins(world: World, alice: Client) -> None:
    other = console_of(world.alice)
    form = {"current_password": "nonsense", "new_password": FRESH, "again": FRESH}
    answer = sent(alice, "/settings/password", **form)
    assert (answer.status_code, "This is not the current password." in words(answer.content)) == (422, True)
    assert FRESH not in answer.content.decode()
    form["current_password"] = PASSWORD
    assert "not the same password" in words(sent(alice, "/settings/password", **form | {"again": "x"}).content)
    assert sent(alice, "/settings/password", **form | {"new_password": "short", "again": "short"}).status_code == 422
    assert sent(alice, "/settings/password", **form).status_code == 204
    world.alice.refresh_from_db()
    assert world.alice.check_password(FRESH)
    assert (alice.get("/settings").status_code, other.get("/settings").status_code) == (200, 302)


def test_a_token_is_shown_once_and_reaches_no_further_than_it_was_narrowed(world: World, alice: Client) -> None:
    answer = sent(alice, "/settings/tokens/new", name="CI", days="30", ou_id="/acme/sales", actions=["agent:read"])
    token = revealed(answer)
    api = Api(token)
    assert api.get("/me").json()["email"] == "alice@acme.example"
    assert api.post("/groups", {"name": "x", "display_name": "X", "ou_id": str(world.sales.id)}).status_code == 403
    page = alice.get("/settings/tokens")
    assert re.search(r"CI Live plm_\S+ agent:read /acme/sales", words(page.content))
    assert token not in page.content.decode()
    made = AccessToken.objects.get()
    assert sent(alice, f"/settings/tokens/{made.id}/revoke").status_code == 204
    assert api.get("/me").status_code == 401
    assert "Revoked" in words(alice.get("/settings/tokens").content)


def test_a_token_that_cannot_be_made_says_why_beside_its_field(alice: Client) -> None:
    answer = sent(alice, "/settings/tokens/new", name="", days="30", ou_id="/nowhere")
    assert answer.status_code == 422
    assert "There is no OU at this path." in words(answer.content)


def test_a_webhook_is_made_changed_turned_and_ended(world: World, alice: Client) -> None:
    form = {"name": "ops", "url": "https://hooks.example/x", "events": ["asked"], "is_on": "on"}
    answer = sent(alice, "/settings/webhooks/new", **form)
    secret = revealed(answer)
    assert secret.startswith("whsec_")
    hook = Webhook.objects.get()
    page = f"/settings/webhooks/{hook.id}"
    assert secret not in alice.get(page).content.decode()
    assert sent(alice, "/settings/webhooks/new", **form).status_code == 409
    assert sent(alice, "/settings/webhooks/new", **form | {"name": "b", "url": "ftp://x"}).status_code == 422
    assert sent(alice, f"{page}/edit", url="https://hooks.example/y").status_code == 204
    hook.refresh_from_db()
    assert (hook.url, hook.events, hook.is_on) == ("https://hooks.example/y", [], False)
    assert revealed(sent(alice, f"{page}/rotate")) != secret
    assert Sealed.objects.filter(kind="webhook", expires_at=None).count() == 1
    assert sent(alice, f"{page}/archive", word="ops").status_code == 204
    assert not Entry.objects.filter(body__contains=secret).exists()


def test_a_test_is_sent_signed_and_said_and_counts_as_no_failure(
    world: World, alice: Client, hook: Hook, settings: Any
) -> None:
    settings.DEV_MODE = True
    secret = register(world, hook.url)["signing_secret"]
    page = f"/settings/webhooks/{Webhook.objects.get().id}/test"
    assert words(sent(alice, page).content) == "It took the test. Status 204."
    hook.status = 500
    assert words(sent(alice, page).content) == "Not taken: it answered 500. Status 500."
    headers, body = hook.got[0]
    assert Verifier(secret).verify(body, headers)["type"] == "webhook.test"
    assert Webhook.objects.get().failures == 0
    assert Entry.objects.filter(action="webhook:test").count() == 2


def test_who_may_not_see_webhooks_is_told_of_none(world: World, alice: Client) -> None:
    bob = console_of(world.bob)
    sent(alice, "/settings/webhooks/new", name="pager", url="https://hooks.example/x")
    assert "pager" in words(alice.get("/settings/webhooks").content)
    assert "pager" not in words(bob.get("/settings/webhooks").content)
    assert 'aria-disabled="true"' in bob.get("/settings/webhooks").content.decode()


@pytest.mark.parametrize("path", ["/settings/tokens", "/settings/webhooks"])
def test_more_of_them_cost_no_more_queries(world: World, alice: Client, path: str) -> None:
    for number in range(6):
        if number == 2:
            few = queries(alice, path)
        make_token(world.alice)
        Webhook.objects.create(organization=world.acme, name=f"h{number}", url="https://hooks.example/x")
    assert queries(alice, path) == few
