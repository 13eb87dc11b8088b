import json
from collections.abc import Iterator
from datetime import timedelta
from unittest import mock
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from powerloom.audit import log
from powerloom.audit.chain import INSTALLATION_CHAIN
from powerloom.audit.models import ChainHead, DenialWindow, Entry
from powerloom.audit.tasks import sweep_denials
from powerloom.audit.verification import verify_chain
from powerloom.kernel.errors import Denied, NotFound
from powerloom.kernel.refs import Actor, Target
from tests.database import Committed, Race, Rival
from tests.integration.audit.trails import ACME, GLOBEX, actor, append, target
from tests.refusals import one_minute


@pytest.fixture(autouse=True)
def within_one_minute() -> Iterator[None]:
    with one_minute():
        yield


def refuse(number: int = 1, *, who: Actor | None = None, asked: dict[str, object] | None = None) -> None:
    log.refuse(
        actor=who or actor(),
        action="agent:update",
        error=Denied("insufficient permissions", permission="agent:update"),
        target=target(number=number),
        asked=asked or {"agent_id": str(UUID(int=number)), "model": "m"},
    )


def body(entry: Entry) -> dict[str, object]:
    found: dict[str, object] = json.loads(entry.body)
    return found


def test_entries_of_a_set_follow_each_other_in_one_append(db: None) -> None:
    records = [log.Record("agent:update", "UpdateAgent", target(number=number)) for number in (1, 2, 3)]
    with transaction.atomic():
        log.append(records, actor=actor(), set_id=UUID(int=77))
    entries = list(Entry.objects.order_by("seq"))
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert {entry.set_id for entry in entries} == {UUID(int=77)}
    assert [entry.prev_hash for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]


def test_each_organization_has_a_chain_of_its_own(db: None) -> None:
    append(2, ACME)
    append(1, GLOBEX)
    assert {head.chain_id: head.seq for head in ChainHead.objects.all()} == {ACME: 2, GLOBEX: 1}


def test_what_the_system_does_lands_with_the_tenant_it_touches(db: None) -> None:
    log.record(log.Record("organization:create", "", target(ACME)), actor=Actor.system("setup"))
    assert Entry.objects.get().chain_id == ACME


def test_what_concerns_no_tenant_lands_in_the_installations_chain(db: None) -> None:
    nobody = Target("installation", UUID(int=1), "", None, "")
    log.record(log.Record("installation:rotate_keys", "", nobody), actor=Actor.system("rotate"))
    assert Entry.objects.get().chain_id == INSTALLATION_CHAIN


def test_a_refusal_says_what_was_asked_and_changes_nothing(db: None) -> None:
    refuse()
    entry = Entry.objects.get()
    said = body(entry)
    assert entry.decision == "denied"
    assert said["before"] is said["after"] is None
    assert said["asked"] == {"agent_id": str(UUID(int=1)), "model": "m"}


def test_a_hidden_thing_is_recorded_in_the_chain_of_who_asked(db: None) -> None:
    hidden = uuid4()
    asked = {"agent_id": str(hidden)}
    log.refuse(actor=actor(ACME), action="agent:read", error=NotFound(), target=None, asked=asked)
    entry = Entry.objects.get()
    assert (entry.chain_id, entry.decision, entry.target_id) == (ACME, "not_found", hidden)


def test_equal_refusals_within_a_minute_make_one_entry(db: None) -> None:
    for _ in range(5):
        refuse()
    assert Entry.objects.count() == 1
    assert DenialWindow.objects.get(count=5)


def test_a_minted_id_does_not_make_a_refusal_another_one(db: None) -> None:
    for _ in range(3):
        refuse(asked={"id": str(uuid4()), "ou_id": str(UUID(int=5)), "name": "x"})
    assert Entry.objects.count() == 1


def test_the_next_minute_makes_another_entry(db: None) -> None:
    refuse()
    later = timezone.now() + timedelta(minutes=1)
    with mock.patch.object(timezone, "now", return_value=later):
        refuse()
    assert Entry.objects.count() == 2


def test_a_repeated_refusal_takes_one_statement_and_no_lock_on_the_chain(db: None) -> None:
    refuse()
    with CaptureQueriesContext(connection) as queries:
        refuse()
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 1
    assert "denialwindow" in statements[0]


def test_a_flood_of_different_refusals_ends_in_one_entry_that_says_so(db: None) -> None:
    for number in range(1, log.MOST_REFUSALS + 30):
        refuse(number)
    assert Entry.objects.count() == log.MOST_REFUSALS + 1
    last = Entry.objects.order_by("-seq")[0]
    assert last.action == "access:flood"
    assert verify_chain(ACME).is_intact


def test_a_flood_of_one_actor_does_not_silence_another(db: None) -> None:
    for number in range(1, log.MOST_REFUSALS + 5):
        refuse(number)
    refuse(1, who=actor(ref="user:eve@acme.com"))
    assert Entry.objects.filter(actor_ref="user:eve@acme.com").count() == 1


def test_a_flood_does_not_wait_for_a_writer_that_holds_the_head(committed_db: Committed, rival: Rival) -> None:
    """On SQLite every write waits for every other, so only the number of statements can be promised there."""
    for number in range(1, log.MOST_REFUSALS + 5):
        refuse(number)
    if connection.vendor == "sqlite":
        return
    with transaction.atomic(durable=True):
        log.append([log.Record("agent:update", "", target())], actor=actor())
        rival.start(lambda: refuse(1)).result(timeout=30)
        rival.start(lambda: refuse(9999)).result(timeout=30)


def test_two_writers_on_one_chain_take_turns(committed_db: Committed, race: Race) -> None:
    outcomes = race(*[lambda: append(10)] * 4)
    assert outcomes == [None] * 4
    verdict = verify_chain(ACME)
    assert verdict.is_intact
    assert verdict.count == 40


def test_a_writer_waits_for_the_one_that_holds_the_head(committed_db: Committed, rival: Rival) -> None:
    append(1)
    with transaction.atomic(durable=True):
        log.append([log.Record("agent:update", "", target())], actor=actor())
        theirs = rival.start(lambda: append(1))
        assert not theirs.done()
    theirs.result(timeout=30)
    assert list(Entry.objects.order_by("seq").values_list("seq", flat=True)) == [1, 2, 3]


def test_a_change_that_is_rolled_back_leaves_no_entry_and_no_gap(db: None) -> None:
    append(1)
    with transaction.atomic():
        log.append([log.Record("agent:update", "", target())], actor=actor())
        transaction.set_rollback(True)
    append(1)
    assert verify_chain(ACME).count == 2


def test_old_counts_are_swept_and_their_entries_stay(db: None) -> None:
    refuse()
    DenialWindow.objects.update(minute=timezone.now() - timedelta(days=2))
    sweep_denials()
    assert DenialWindow.objects.count() == 0
    assert Entry.objects.count() == 1


def test_the_clock_may_go_backwards(db: None) -> None:
    append(1)
    earlier = timezone.now() - timedelta(hours=1)
    with mock.patch.object(timezone, "now", return_value=earlier):
        append(1)
    assert verify_chain(ACME).is_intact
