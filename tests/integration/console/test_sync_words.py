"""One word for where a row stands: the loaded row and the filtered list never disagree, and the sentence says what to
do.
"""

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from accounts.models import Organization
from agents.readiness import Readiness
from agents.standing import standing
from powerloom.kernel.ids import new_id
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.status import SyncStatus
from tests.world import make_organization

LIVE = Readiness(live=True, why="", agent_version=1, cma_agent_id="agent_01", cma_version="1")
NOT_LIVE = Readiness(live=False, why="the environment is parked", agent_version=1, cma_agent_id="", cma_version="")


@pytest.fixture
def organization(db: None) -> Organization:
    return make_organization("acme")


def test_the_word_of_a_row_is_the_word_it_is_filtered_by(organization: Organization) -> None:
    now = timezone.now()
    choices = product(
        [None, now], ["", "the environment"], [None, now - timedelta(hours=1), now + timedelta(hours=1)],
        [None, {}, {"model": 1}], ["", "a" * 64], ["", "a" * 64],
    )  # fmt: skip
    SyncState.objects.bulk_create(
        SyncState(
            kind="agent",
            object_id=new_id(),
            organization_id=organization.id,
            parked_at=parked_at,
            waits_for=waits_for,
            lease_until=lease_until,
            drift=drift,
            desired_hash=desired,
            actual_hash=actual,
        )
        for parked_at, waits_for, lease_until, drift, desired, actual in choices
    )
    for row in SyncState.objects.all():
        found = [word for word in SyncStatus if SyncState.objects.filter(status.where(word), pk=row.pk).exists()]
        assert found == [status.of(row)], vars(row)


def row(**columns: object) -> SyncState:
    given = {"desired_hash": "a", "actual_hash": "a", "remote_id": "agent_01", "updated_at": timezone.now(), **columns}
    return SyncState(kind="agent", **given)


@pytest.mark.parametrize(
    ("state", "ready", "sentence", "health"),
    [
        (row(), LIVE, "", "ready"),
        (row(), NOT_LIVE, "The agent itself is synced, but the environment is parked.", "degraded"),
        (
            row(parked_at=timezone.now(), attempts=10, last_error="refused."),
            NOT_LIVE,
            "Parked after 10 failures: refused. Change what it names, then Reset.",
            "degraded",
        ),
        (row(waits_for="python-lint", remote_id=""), NOT_LIVE, "Waiting for python-lint. It is looked at again", ""),
        (row(drift={"a": 1}), NOT_LIVE, "changed by another hand", "degraded"),
        (row(desired_hash="", last_error="429."), NOT_LIVE, "429. It is tried again by itself.", "degraded"),
        (None, NOT_LIVE, "does not know this agent yet", ""),
    ],
)
def test_the_sentence_says_what_happened_and_what_to_do(
    state: SyncState | None, ready: Readiness, sentence: str, health: str
) -> None:
    shown = standing(state, ready)
    assert sentence in shown.sentence
    assert (shown.sentence == "") == (sentence == "")
    assert shown.health == health
