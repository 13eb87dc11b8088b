"""Where things stand, in words."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id
from powerloom.reconcile import intents, queries
from powerloom.reconcile.models import Lane, SyncState
from powerloom.reconcile.queries import SyncReport

NOW = timezone.now()
SAME = {"desired_hash": "a" * 64, "actual_hash": "a" * 64, "synced_at": NOW}


def report(**columns: Any) -> SyncReport:
    row = SyncState.objects.create(kind="agent", object_id=new_id(), organization_id=new_id(), **columns)
    return queries.status_of("agent", [row.object_id])[row.object_id]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "title", "sentence"),
    [
        (SAME, "Synced", "CMA has what is wanted."),
        ({}, "Pending", "It will be pushed with the next tick."),
        ({"last_error": "CMA is down", "attempts": 2}, "Pending", "CMA is down. It is tried again by itself."),
        ({"lease_until": NOW + timedelta(hours=1)}, "Syncing", "A worker is at it now."),
        ({"waits_for": "skill python-lint"}, "Waiting", "Waiting for skill python-lint."),
        (
            {"drift": [{"path": "system", "desired": "a", "actual": "b"}]},
            "Drifted",
            "Another hand changed it on CMA (system); it is being put right.",
        ),
        (
            {"parked_at": NOW, "attempts": 10, "last_error": "CMA is down."},
            "Parked",
            "Parked after 10 tries: CMA is down. It is not tried again before it changes or is reset.",
        ),
    ],
)
def test_each_state_has_its_word_and_its_sentence(columns: dict[str, Any], title: str, sentence: str) -> None:
    found = report(**columns)
    assert (found.title, found.sentence) == (title, sentence)


@pytest.mark.django_db
def test_age_tries_next_try_and_diff_are_told() -> None:
    due_at, difference = NOW + timedelta(seconds=8), {"path": "system", "desired": "a", "actual": "b"}
    found = report(attempts=2, due_at=due_at, last_error="CMA is down", drift=[difference])
    assert (found.attempts, found.next_try_at, found.last_error) == (2, due_at, "CMA is down")
    assert found.differences == [difference]
    assert 0 <= found.age_seconds < 60


@pytest.mark.django_db
def test_what_is_synced_or_parked_has_no_next_try() -> None:
    assert report(**SAME).next_try_at is None
    assert report(parked_at=NOW).next_try_at is None


@pytest.mark.django_db
def test_a_paused_organization_waits_for_its_account() -> None:
    row = SyncState.objects.create(kind="agent", object_id=new_id(), organization_id=new_id())
    paused_until = NOW + timedelta(hours=1)
    Lane.objects.create(
        organization_id=row.organization_id, sentence="CMA refuses the key (401)", since=NOW, paused_until=paused_until
    )
    found = queries.status_of("agent", [row.object_id])[row.object_id]
    assert (found.title, found.waits_for, found.next_try_at) == ("Waiting", "the CMA account", paused_until)
    assert "401" in found.sentence


@pytest.mark.django_db
def test_any_number_of_objects_is_one_query() -> None:
    ids = [new_id() for _ in range(50)]
    SyncState.objects.bulk_create(SyncState(kind="agent", object_id=id_, organization_id=new_id()) for id_ in ids)
    with CaptureQueriesContext(connection) as captured:
        assert set(queries.status_of("agent", ids)) == set(ids)
    assert len(captured) == 1


@pytest.mark.django_db
def test_what_the_reconciler_does_not_know_cannot_be_reset() -> None:
    with pytest.raises(NotFound):
        intents.reset("agent", new_id())
