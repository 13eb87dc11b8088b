"""The API's edge: one error shape whoever refuses, versions, hosts, identities, and nothing half-written."""

import json
import logging
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client, override_settings

from accounts.models import Group
from accounts.tokens import sign_in_token
from powerloom.audit.models import Entry
from tests.world import PASSWORD, Api, World, api_of, console_of, make_group

ABSENT = "01920000-0000-7000-8000-000000000000"


def error(response: Any, status: int) -> dict[str, Any]:
    """The error of an answer, after checking that it has the one shape."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    (name,) = response.json()
    assert name == "error"
    found: dict[str, Any] = response.json()["error"]
    assert set(found) == {"code", "message", "detail", "request_id"}
    assert found["request_id"] == response.headers["X-Request-Id"]
    assert found["message"].endswith((".", "!")) or ":" in found["message"]
    return found


def group(world: World) -> dict[str, str]:
    return {"name": "leads", "display_name": "Leads", "ou_id": str(world.root.id)}


class TestOneShape:
    def test_an_unknown_path(self, world: World) -> None:
        for path in ("/nothing", "/agents/", "/groups/not-a-uuid", "", "/"):
            assert error(api_of(world.alice).get(path), 404)["code"] == "not_found"

    def test_a_wrong_method(self, world: World) -> None:
        refused = api_of(world.alice).put("/groups", {})
        assert error(refused, 405)["code"] == "method_not_allowed"
        assert set(refused.headers["Allow"].split(", ")) >= {"GET", "POST"}

    def test_no_identity(self, db: None) -> None:
        refused = Api().get("/groups")
        assert error(refused, 401)["code"] == "unauthenticated"
        assert refused.headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("bearer", ["x", "plm_x", "a.b.c", "é", "x" * 10_000])
    def test_a_bearer_that_is_none(self, db: None, bearer: str) -> None:
        assert error(Api(bearer).get("/groups"), 401)["code"] == "unauthenticated"

    def test_a_right_that_is_missing(self, world: World) -> None:
        refused = error(api_of(world.eve).post("/groups", group(world)), 403)
        assert refused["code"] == "permission_denied"
        assert refused["detail"]["permission"] == "group:create"
        assert refused["detail"]["ou_path"] == "/acme"

    def test_a_thing_that_is_absent_or_foreign_answers_the_same_bytes(self, world: World) -> None:
        foreign = make_group(world.zeta.ous.get(), "secret").id
        answers = []
        for group_id in (foreign, ABSENT):
            found = error(api_of(world.alice).get(f"/groups/{group_id}"), 404)
            answers.append({name: value for name, value in found.items() if name != "request_id"})
        assert answers[0] == answers[1]

    def test_a_field_that_is_wrong(self, world: World) -> None:
        refused = error(api_of(world.alice).post("/groups", group(world) | {"name": 7}), 422)
        assert refused["code"] == "invalid"
        assert refused["detail"]["field"] == "name"

    def test_a_field_that_is_unknown(self, world: World) -> None:
        refused = error(api_of(world.alice).post("/groups", group(world) | {"colour": "red"}), 422)
        assert refused["detail"]["field"] == "colour"

    def test_an_unknown_field_with_an_endless_name_is_not_repeated_whole(self, world: World) -> None:
        refused = error(api_of(world.alice).post("/groups", group(world) | {"x" * 100_000: 1}), 422)
        assert len(json.dumps(refused)) < 2000

    def test_a_wrong_value_is_never_repeated(self, world: World) -> None:
        body = group(world) | {"name": {"canary": "CANARY"}, "ou_id": "CANARY"}
        assert "CANARY" not in json.dumps(error(api_of(world.alice).post("/groups", body), 422))

    def test_a_host_that_is_not_ours(self, db: None) -> None:
        assert error(Client(headers={"host": "evil.example"}).get("/api/groups"), 400)["code"] == "invalid"

    def test_the_database_does_not_answer(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        with override_settings(AUTHENTICATE="tests.integration.web.test_edge.no_database"):
            found = error(api_of(world.alice).get("/groups"), 503)
        assert found["code"] == "unavailable"
        assert "secret" not in json.dumps(found)
        assert caplog.records[-1].levelno == logging.ERROR


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"nonsense",
            b"name=leads",
            b"[]",
            b'"x"',
            b"null",
            b"[" * 100_000,
            b'{"name": NaN}',
            b'{"name": "a", "name": "b"}',
            b'{"name": "\\u0000"}',
            b'{"name": "\\ud800"}',
            b'{"name": 1e999}',
            b"\xff",
        ],
        ids=lambda body: body[:20].decode(errors="replace"),
    )
    def test_a_body_that_is_not_good_is_422_and_leaves_nothing(self, world: World, body: bytes) -> None:
        client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
        refused = client.generic("POST", "/api/groups", body, content_type="application/json")
        assert error(refused, 422)["code"] == "invalid"
        assert not Group.objects.exists()
        assert not Entry.objects.exists()

    def test_a_body_over_one_mebibyte_is_413(self, world: World) -> None:
        client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
        body = b'{"name": "' + b"x" * 1024 * 1024 + b'"}'
        refused = client.generic("POST", "/api/groups", body, content_type="application/json")
        assert error(refused, 413)["detail"]["limit"] == 1024 * 1024

    def test_a_body_over_what_django_reads_is_413(self, world: World) -> None:
        client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
        with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000):
            refused = client.generic("POST", "/api/groups", b"x" * 2000, content_type="application/json")
        assert error(refused, 413)["code"] == "too_large"

    def test_curl_may_call_json_a_form(self, world: World) -> None:
        client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
        made = client.generic(
            "POST", "/api/groups", json.dumps(group(world)), content_type="application/x-www-form-urlencoded"
        )
        assert made.status_code == 201

    @pytest.mark.parametrize("query", ["?ou_id=%00", "?%00=x", "?limit=1&x=a%00b"])
    def test_a_nul_character_in_a_query_is_422(self, world: World, query: str) -> None:
        assert error(api_of(world.alice).get(f"/groups{query}"), 422)["code"] == "invalid"

    def test_a_nul_character_in_the_address_of_a_page_is_400(self, world: World) -> None:
        assert console_of(world.alice).get("/agents?q=%00").status_code == 400
        assert console_of(world.alice).get("/age%00nts").status_code == 400

    @pytest.mark.parametrize("value", ["1", "yes", "TRUE", ""])
    def test_a_dry_run_is_never_guessed(self, world: World, value: str) -> None:
        refused = api_of(world.alice).post(f"/groups?dry_run={value}", group(world))
        assert error(refused, 422)["detail"]["field"] == "dry_run"
        assert not Group.objects.exists()


class TestVersions:
    @pytest.mark.parametrize("sent", [None, "1", "1.4", "2", "2.0.2-draft.1", "2.9"])
    def test_versions_that_we_speak_pass(self, db: None, sent: str | None) -> None:
        headers = {"x-powerloom-schema-version": sent} if sent else {}
        assert Client(headers=headers).get("/api/capabilities").status_code == 200

    @pytest.mark.parametrize("sent", ["3", "0.9", "10.0", "x", "", "v2"])
    def test_others_are_refused_with_what_we_speak(self, db: None, sent: str) -> None:
        refused = Client(headers={"x-powerloom-schema-version": sent}).get("/api/capabilities")
        assert error(refused, 426)["detail"] == {"supported_versions": ["1", "2"], "client_sent": sent}


class TestIdentity:
    def test_a_cookie_never_authenticates_the_api(self, world: World) -> None:
        browser = console_of(world.alice)
        assert browser.get("/").status_code == 200
        assert error(browser.get("/api/groups"), 401)
        assert error(browser.post("/api/groups", group(world), content_type="application/json"), 401)
        assert not Group.objects.exists()

    def test_a_bearer_never_opens_the_console(self, world: World) -> None:
        client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
        assert client.get("/").status_code == 302

    @pytest.mark.parametrize("scheme", ["Basic", "bearer ", "Token", ""])
    def test_no_other_scheme_counts(self, world: World, scheme: str) -> None:
        client = Client(headers={"authorization": f"{scheme} {PASSWORD}"})
        assert error(client.get("/api/groups"), 401)

    def test_a_disabled_user_is_nobody_at_once(self, world: World) -> None:
        api = api_of(world.eve)
        assert api.get("/me").status_code == 200
        world.eve.is_active = False
        world.eve.save()
        assert error(api.get("/me"), 401)


class TestHosts:
    @pytest.fixture(autouse=True)
    def _api_host(self) -> Any:
        with override_settings(API_HOSTS=["api.acme.example"], ALLOWED_HOSTS=["api.acme.example", "localhost"]):
            yield

    def api(self, world: World) -> Client:
        return Client(headers={"host": "api.acme.example", "authorization": f"Bearer {sign_in_token(world.alice)}"})

    def test_the_api_is_at_the_root_of_its_own_host(self, world: World) -> None:
        assert self.api(world).get("/me").json()["email"] == world.alice.email
        made = self.api(world).post("/groups", group(world), content_type="application/json")
        assert made.status_code == 201

    def test_links_of_pages_stay_on_that_host(self, world: World) -> None:
        for name in ("one", "two"):
            make_group(world.root, name)
        link = self.api(world).get("/groups?limit=1").headers["Link"]
        assert link.startswith("<http://api.acme.example/groups?")

    def test_nothing_but_the_api_is_there(self, world: World) -> None:
        for path in ("/", "/sign-in", "/admin/", "/agents/"):
            assert error(self.api(world).get(path), 404)

    def test_its_contract_names_its_own_paths(self, world: World) -> None:
        assert "/groups" in self.api(world).get("/schema").json()["paths"]
        assert "/api/groups" in Client(headers={"host": "localhost"}).get("/api/schema").json()["paths"]


class TestRequestIds:
    def test_a_good_one_is_kept_through_answer_and_trail(self, world: World) -> None:
        made = api_of(world.alice).post("/groups", group(world), HTTP_X_REQUEST_ID="trace-0123456789")
        assert made.headers["X-Request-Id"] == "trace-0123456789"
        assert Entry.objects.get().request_id == "trace-0123456789"

    @pytest.mark.parametrize("sent", ["short", "x" * 65, "has space in it", 'quote"quote', "line\\nbreak<script>"])
    def test_a_bad_one_is_replaced(self, world: World, sent: str) -> None:
        given = api_of(world.alice).get("/me", HTTP_X_REQUEST_ID=sent).headers["X-Request-Id"]
        assert given.startswith("req_")


class TestFaults:
    def test_an_error_of_ours_tells_nothing_but_its_request_id(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        with override_settings(AUTHENTICATE="tests.integration.web.test_edge.exploding"):
            client = Client(raise_request_exception=False, headers={"authorization": "Bearer CANARY-token"})
            found = error(client.get("/api/groups"), 500)
        assert "exploded" not in json.dumps(found)
        record = next(record for record in caplog.records if record.name == "django.request")
        assert record.levelno == logging.ERROR
        assert record.exc_info


def no_database(token: str, *, request_id: str, address: str) -> None:
    """Stand in for an identity check while the database is away."""
    raise OperationalError("connection to postgres://app:secret@db failed")


def exploding(token: str, *, request_id: str, address: str) -> None:
    """Stand in for an identity check with a bug: `settings.AUTHENTICATE` names it."""
    raise RuntimeError("exploded")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary="]
)
def test_a_multipart_body_where_json_belongs_is_refused(world: World, kind: str) -> None:
    client = Client(raise_request_exception=False, headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})
    for key in ({}, {"idempotency-key": "one"}):
        refused = client.generic("POST", "/api/groups", b"--x\r\nnonsense", content_type=kind, headers=key)
        assert refused.status_code in {400, 422}
        error(refused, refused.status_code)
        sent = client.generic("POST", "/api/groups", json.dumps(group(world)), content_type=kind, headers=key)
        assert sent.status_code in {201, 400, 409, 422}
