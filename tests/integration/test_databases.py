"""The test databases keep their promises: real commits, no leftovers, real rivals."""

import threading

import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, transaction

from tests.database import Committed, Race, Rival

LABEL = "left_behind"


def leave_a_row() -> None:
    ContentType.objects.create(app_label=LABEL, model="row")


def rows() -> int:
    return ContentType.objects.filter(app_label=LABEL).count()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_commit_is_seen_by_others_and_gone_in_the_next_test(committed_db: Committed, rival: Rival, turn: int) -> None:
    assert rows() == 0
    leave_a_row()
    assert rival.does(rows) == 1


@pytest.mark.parametrize("turn", [1, 2])
async def test_async_code_sees_what_was_committed(committed_db: Committed, turn: int) -> None:
    await sync_to_async(leave_a_row)()
    assert await sync_to_async(rows)() == 1


def test_an_ordinary_test_starts_from_the_migrated_database(db: None) -> None:
    assert rows() == 0
    leave_a_row()
    assert rows() == 1


def test_a_rival_waits_for_our_lock(committed_db: Committed, rival: Rival) -> None:
    leave_a_row()
    with transaction.atomic(durable=True):
        ContentType.objects.filter(app_label=LABEL).update(model="ours")
        theirs = rival.start(lambda: ContentType.objects.filter(app_label=LABEL).update(model="theirs"))
        assert not theirs.done()
    assert theirs.result(10) == 1
    assert ContentType.objects.get(app_label=LABEL).model == "theirs"


def test_a_race_answers_values_and_exceptions_in_order(committed_db: Committed, race: Race) -> None:
    leave_a_row()
    meet = threading.Barrier(2, timeout=10)

    def refuse() -> None:
        meet.wait()
        raise ValueError("lost")

    def win() -> int:
        meet.wait()
        return rows()

    won, lost = race(win, refuse)
    assert won == 1
    assert str(lost) == "lost"


def test_the_clone_is_a_database_of_its_own(committed_db: Committed) -> None:
    name = str(connection.settings_dict["NAME"])
    assert connections.settings["default"]["NAME"] == name
    assert name == str(committed_db.folder / "powerloom.sqlite3") or name.endswith("_clone")
