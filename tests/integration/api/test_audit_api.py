"""The trail over REST: who sees what, filters, verification, head, export."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from powerloom.api.audit import AuditEntry, ChainVerdict
from powerloom.audit import log
from powerloom.audit.heads import public_key
from powerloom.audit.models import Entry
from powerloom.audit.offline import check
from powerloom.audit.signing import sign
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target
from tests.integration.audit.trails import as_owner, heads_in, raw
from tests.world import Api, World, actor_of, api_of, bind, make_group, make_role, make_token


@pytest.fixture(autouse=True)
def heads(tmp_path: Path) -> Iterator[Path]:
    with heads_in(tmp_path):
        yield tmp_path / "audit"


def make_story(world: World) -> None:
    """Three changes in three places, and one refusal."""
    for ou, name in ((world.root, "all"), (world.engineering, "eng"), (world.sales, "sales")):
        made = api_of(world.alice).post(
            "/groups", {"name": name, "display_name": name.capitalize(), "ou_id": str(ou.id)}
        )
        assert made.status_code == 201
    refused = api_of(world.eve).post("/groups", {"name": "x", "display_name": "X", "ou_id": str(world.sales.id)})
    assert refused.status_code == 403


def names(user: User, **query: str) -> list[str]:
    answer = api_of(user).get("/audit", query)
    assert answer.status_code == 200, answer.content
    return [row["resource_name"] for row in answer.json()]


class TestWhoSeesWhat:
    def test_an_auditor_at_the_root_sees_everything_newest_first(self, world: World) -> None:
        make_story(world)
        bind(world.vera, "Auditor", world.root)
        assert names(world.vera) == ["x", "sales", "eng", "all"]

    def test_an_auditor_of_an_ou_sees_what_lies_in_and_below_it(self, world: World) -> None:
        make_story(world)
        make_group(world.platform, "unrecorded")
        bind(world.vera, "Auditor", world.engineering)
        assert names(world.vera) == ["eng"]

    def test_a_deny_below_hides_what_lies_there(self, world: World) -> None:
        make_story(world)
        bind(world.vera, "Auditor", world.root)
        bind(world.vera, "Auditor", world.sales, decision="deny")
        assert names(world.vera) == ["eng", "all"]

    def test_who_may_not_audit_sees_only_the_refusals_it_met(self, world: World) -> None:
        make_story(world)
        assert names(world.eve) == ["x"]
        assert names(world.bob) == []

    def test_nothing_crosses_the_organization(self, world: World) -> None:
        make_story(world)
        assert names(world.mallory) == []

    def test_a_narrowed_token_sees_no_more_than_it_was_narrowed_to(self, world: World) -> None:
        make_story(world)
        token = make_token(world.alice, actions=["audit:read"], ou=world.engineering)
        assert [row["resource_name"] for row in Api(token).get("/audit").json()] == ["eng"]
        other = make_token(world.alice, actions=["group:create"])
        assert Api(other).get("/audit").json() == []

    def test_entries_of_no_ou_are_for_who_may_audit_the_root(self, world: World) -> None:
        nowhere = Target("audit", world.acme.id, "the trail", world.acme.id, "")
        log.record(log.Record("audit:export", "", nowhere), actor=actor_of(world.bob))
        bind(world.eve, "Auditor", world.engineering)
        assert names(world.alice) == ["the trail"]
        assert names(world.eve) == []


class TestFilters:
    def test_each_narrows(self, world: World) -> None:
        make_story(world)
        alice = world.alice
        assert names(alice, actor="user:eve@acme.example") == ["x"]
        assert names(alice, decision="denied") == ["x"]
        assert names(alice, action_verb="create") == ["x", "sales", "eng", "all"]
        assert names(alice, action="group:create") == ["x", "sales", "eng", "all"]
        assert names(alice, action_verb="creat") == []
        assert names(alice, resource_kind="group", limit="2") == ["x", "sales"]
        assert names(alice, resource_kind="agent") == []
        eng = Entry.objects.get(target_name="eng")
        assert names(alice, resource_id=str(eng.target_id)) == ["eng"]
        assert names(alice, request_id=eng.request_id) == ["eng"]
        assert names(alice, approval_request_id=str(eng.target_id)) == []

    def test_times_narrow_as_clients_write_them(self, world: World) -> None:
        make_story(world)
        ago = (timezone.now() - timedelta(hours=1)).isoformat()
        assert len(api_of(world.alice).get(f"/audit?since={quote(ago)}&limit=50").json()) == 4
        ahead = (timezone.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        assert api_of(world.alice).get(f"/audit?since={ahead}").json() == []
        assert len(api_of(world.alice).get(f"/audit?until={ahead}").json()) == 4

    @pytest.mark.parametrize(
        "query",
        [
            "since=yesterday",
            "since=2026-01-01T00:00:00",
            "since=0001-01-01T00:00:00Z",
            "since=9999-12-31T23:59:59-14:00",
            "resource_id=x",
            "approval_request_id=1",
            "decision=maybe",
            "limit=0",
            "limit=1001",
            "cursor=x",
        ],
    )
    def test_a_bad_one_is_422_and_named(self, world: World, query: str) -> None:
        refused = api_of(world.alice).get(f"/audit?{query}")
        assert refused.status_code == 422
        assert refused.json()["error"]["detail"]["field"] == query.partition("=")[0]

    def test_pages_lead_on_to_the_oldest(self, world: World) -> None:
        make_story(world)
        api, path, found = api_of(world.alice), "/audit?limit=3", []
        while path:
            answer = api.get(path)
            found += [row["seq"] for row in answer.json()]
            link = answer.headers.get("Link", "")
            path = link.partition("/api")[2].partition(">")[0]
        assert found == [4, 3, 2, 1]

    def test_fifty_are_shown_unless_asked_otherwise(self, world: World) -> None:
        actor = actor_of(world.alice)
        for _ in range(51):
            log.record(log.Record("agent:update", "", world.root.target()), actor=actor)
        assert len(api_of(world.alice).get("/audit").json()) == 50
        assert len(api_of(world.alice).get("/audit?limit=1000").json()) == 51

    def test_it_costs_the_same_number_of_queries_for_any_number_of_rows(
        self, world: World, django_assert_max_num_queries: Any
    ) -> None:
        make_story(world)
        with django_assert_max_num_queries(6):
            api_of(world.alice).get("/audit")


def test_a_row_is_what_clients_expect(world: World) -> None:
    api = api_of(world.alice)
    made = api.post("/groups", {"name": "eng", "display_name": "Eng", "ou_id": str(world.engineering.id)}).json()
    api.patch(f"/groups/{made['id']}", {"display_name": "Engineers"})
    row = api.get("/audit", {"limit": "1"}).json()[0]
    AuditEntry.model_validate(row)
    assert row["actor_principal_ref"] == "user:alice@acme.example"
    assert (row["resource_kind"], row["action_verb"], row["resource_id"]) == ("group", "update", made["id"])
    assert row["before_json"]["display_name"] == "Eng"
    assert row["after_json"]["display_name"] == "Engineers"
    assert row["approval_request_id"] is None


class TestVerification:
    def test_an_intact_chain_says_so_with_its_head(self, world: World) -> None:
        make_story(world)
        sign()
        found = api_of(world.alice).get("/audit/verify").json()
        ChainVerdict.model_validate(found)
        assert (found["intact"], found["count"], found["signed"]) == (True, 4, 4)
        assert found["last_hash"] == Entry.objects.get(seq=4).hash

    def test_a_broken_chain_names_the_first_bad_entry(self, world: World) -> None:
        make_story(world)
        as_owner("UPDATE control_plane_audit SET target_name = 'forged' WHERE seq = 3")
        found = api_of(world.alice).get("/audit/verify").json()
        assert (found["intact"], found["first_bad_seq"]) == (False, 3)
        assert "target_name" in found["reason"]

    def test_only_the_own_chain_is_verified(self, world: World) -> None:
        make_story(world)
        as_owner("UPDATE control_plane_audit SET body = 'x' WHERE chain_id = %s", raw(world.acme.id))
        assert api_of(world.mallory).get("/audit/verify").json()["intact"] is True

    @pytest.mark.parametrize("path", ["/audit/verify", "/audit/head", "/audit/export"])
    def test_it_needs_the_right_at_the_root(self, world: World, path: str) -> None:
        bind(world.bob, "Auditor", world.engineering)
        refused = api_of(world.bob).get(path)
        assert refused.status_code == 403
        assert refused.json()["error"]["detail"]["ou_path"] == "/acme"
        assert api_of(world.alice).get(path).status_code == 200

    def test_the_head_can_be_kept_elsewhere_and_checked(self, world: World) -> None:
        make_story(world)
        unsigned = api_of(world.alice).get("/audit/head").json()
        assert (unsigned["seq"], unsigned["signed"], unsigned["public_key"]) == (4, None, None)
        sign()
        found = api_of(world.alice).get("/audit/head").json()
        assert found["signed"]["seq"] == found["seq"] == 4
        assert found["public_key"] == (settings.AUDIT_HEADS / "head.pub").read_text()

    @pytest.mark.parametrize("path", ["/audit/verify", "/audit/head", "/audit/export"])
    @pytest.mark.parametrize("broken", [b"nonsense\n", b"\xff\xfe\n", b'{"kind": "heads", "heads": []}\n'])
    def test_a_broken_log_of_heads_is_said_and_proves_nothing(
        self, world: World, heads: Path, path: str, broken: bytes
    ) -> None:
        make_story(world)
        sign()
        (heads / "heads.jsonl").write_bytes(broken)
        refused = api_of(world.alice).get(path)
        assert refused.status_code == 503
        assert "log of signed heads does not hold: record 1" in refused.json()["error"]["message"]

    def test_an_organization_without_entries_has_an_empty_chain(self, world: World) -> None:
        assert api_of(world.alice).get("/audit/head").json()["seq"] == 0
        assert api_of(world.alice).get("/audit/verify").json()["count"] == 0


class TestExport:
    def test_it_verifies_offline_and_holds_nothing_of_another_tenant(self, world: World) -> None:
        make_story(world)
        theirs = {"name": "theirs", "display_name": "Theirs", "ou_id": str(world.zeta.ous.get().id)}
        assert api_of(world.mallory).post("/groups", theirs).status_code == 201
        sign()
        answer = api_of(world.alice).get("/audit/export")
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        text = answer.content.decode()
        assert str(world.zeta.id) not in text
        findings = check(text.splitlines(), public_key((settings.AUDIT_HEADS / "head.pub").read_bytes()))
        assert findings.status == 0
        assert findings.verdicts[world.acme.id].signed == 4

    def test_an_export_is_itself_an_entry(self, world: World) -> None:
        api_of(world.alice).get("/audit/export")
        assert Entry.objects.get().action == "audit:export"

    def test_reading_is_not_exporting(self, world: World) -> None:
        bind(world.vera, make_role(world.acme, "Reader", "audit:read").name, world.root)
        assert api_of(world.vera).get("/audit/verify").status_code == 200
        assert api_of(world.vera).get("/audit/export").status_code == 403


class TestRefusedReads:
    def test_a_hidden_thing_that_was_asked_for_is_in_the_chain_of_who_asked(self, world: World) -> None:
        hidden = make_group(world.zeta.ous.get(), "secret")
        assert api_of(world.alice).get(f"/groups/{hidden.id}").status_code == 404
        entry = Entry.objects.get()
        assert (entry.chain_id, entry.decision, entry.action) == (world.acme.id, "not_found", "group:read")
        assert entry.target_id == hidden.id
        assert "secret" not in entry.body

    def test_a_refused_read_is_an_entry_under_its_permission(self, world: World) -> None:
        assert api_of(world.eve).get("/audit/verify").status_code == 403
        entry = Entry.objects.get()
        assert (entry.action, entry.decision, entry.actor_ref) == ("audit:read", "denied", "user:eve@acme.example")

    def test_a_refused_write_is_recorded_once(self, world: World) -> None:
        api_of(world.eve).post("/groups", {"name": "x", "display_name": "X", "ou_id": str(world.sales.id)})
        assert Entry.objects.count() == 1

    def test_what_is_invalid_unknown_unauthenticated_or_only_tried_is_no_entry(self, world: World) -> None:
        api = api_of(world.eve)
        assert api.post("/groups", {"name": 7}).status_code == 422
        assert api.get("/no-such-route").status_code == 404
        assert Api().get("/groups").status_code == 401
        body = {"name": "x", "display_name": "X", "ou_id": str(world.sales.id)}
        assert api.post("/groups?dry_run=true", body).status_code == 403
        assert api.put("/groups", body).status_code == 405
        assert not Entry.objects.exists()

    def test_a_flood_of_guesses_ends_in_few_entries(self, world: World) -> None:
        api = api_of(world.eve)
        for _ in range(log.MOST_REFUSALS + 20):
            assert api.get(f"/groups/{new_id()}").status_code == 404
        assert Entry.objects.count() <= 2 * (log.MOST_REFUSALS + 1)  # the minute may have ended in between
        assert json.loads(Entry.objects.order_by("-seq")[0].body)["decision"]["outcome"] == "not_found"
