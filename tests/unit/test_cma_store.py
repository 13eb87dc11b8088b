from collections.abc import Iterator
from pathlib import Path

import pytest

from powerloom.cma.local.store import KeyTaken, Query, Store
from powerloom.cma.types import JSON


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def document(id: str, **fields: object) -> JSON:
    return {"id": id, "created_at": "2026-01-01T00:00:00.000000Z", "archived_at": None, **fields}


def event(id: str, at: str | None) -> JSON:
    return {"id": id, "type": "user.message", "processed_at": at}


def found(store: Store, query: Query) -> list[str]:
    return [text.split('"')[3] for _, text in store.find(query)]


def test_what_was_committed_is_there_when_it_is_opened_again(store: Store, tmp_path: Path) -> None:
    store.insert("agent", document("a", name="é\u2028"))
    again = Store(tmp_path)
    assert again.get("agent", "a") == document("a", name="é\u2028")
    assert again.get("vault", "a") is None
    again.close()


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyTaken):
        add_two_of_the_same_key(store)
    assert store.get("credential", "one") is None


def add_two_of_the_same_key(store: Store) -> None:
    with store.transaction():
        store.insert("credential", document("one"), parent="v", key="server")
        store.insert("credential", document("two"), parent="v", key="server")


def test_a_key_is_free_again_once_its_holder_is_archived_or_deleted(store: Store) -> None:
    store.insert("credential", document("one"), parent="v", key="server")
    store.insert("credential", document("elsewhere"), parent="w", key="server")
    store.replace("credential", document("one", archived_at="2026-01-02T00:00:00.000000Z"))
    store.insert("credential", document("two"), parent="v", key="server")
    store.delete("credential", "two")
    store.insert("credential", document("three"), parent="v", key="server")


def test_lists_go_on_from_a_number_in_either_direction(store: Store) -> None:
    for name in "abcde":
        store.insert("agent", document(name))
    (third, _) = store.find(Query("agent", 10))[2]
    assert found(store, Query("agent", 10)) == list("edcba")
    assert found(store, Query("agent", 10, after=third)) == list("ba")
    assert found(store, Query("agent", 10, after=third, ascending=True)) == list("de")
    assert len(store.find(Query("agent", 2))) == 3  # one more than the page, to say that there is more


def test_lists_leave_out_what_they_are_told_to(store: Store) -> None:
    store.insert("agent", document("gone", archived_at="2026-01-02T00:00:00.000000Z"))
    store.insert("agent", document("here"))
    store.insert("version", document("child"), parent="here")
    assert found(store, Query("agent", 10, include_archived=False)) == ["here"]
    assert found(store, Query("version", 10, parent="gone")) == []
    assert found(store, Query("agent", 10, where=[("id <> ?", ("here",))])) == ["gone"]


def test_pages_are_read_by_index_whatever_the_number_of_rows(store: Store) -> None:
    for query in (
        Query("agent", 100, include_archived=False, after=9),
        Query("agent", 100, after=9),
        Query("version", 100, parent="a", after=9),
    ):
        plan = store.explain(query)
        assert "USING INDEX" in plan
        assert "TEMP B-TREE" not in plan


def test_a_queued_input_moves_to_the_end_when_it_is_taken_up(store: Store) -> None:
    store.add_event("s", event("queued", None))
    store.add_event("s", event("later", "2026-01-01T00:00:00.000000Z"))
    assert store.next_queued("s") == "user.message"
    taken = store.take_queued("s")
    assert taken == event("queued", None)
    assert store.next_queued("s") is None
    store.add_event("s", event("queued", "2026-01-01T00:00:01.000000Z"))
    rows = store.events("s", limit=10, after=None, ascending=True)
    assert [text.split('"')[3] for _, text in rows] == ["later", "queued"]


def test_numbers_of_events_are_never_given_twice(store: Store) -> None:
    store.add_event("s", event("one", None))
    store.take_queued("s")
    store.add_event("s", event("one", "2026-01-01T00:00:00.000000Z"))
    ((number, _),) = store.events("s", limit=10, after=None, ascending=True)
    assert number == 2


def test_a_deleted_session_takes_its_events_and_turn_along(store: Store) -> None:
    store.insert("session", document("s", status="running"))
    store.add_event("s", event("one", None))
    store.start_turn("s", {"steps": []}, {"at": 0})
    assert store.sessions_to_resume() == ["s"]
    store.delete_session("s")
    assert store.turn("s") is None
    assert store.events("s", limit=10, after=None, ascending=True) == []
    assert store.sessions_to_resume() == []


def test_secrets_are_kept_apart_and_purged(store: Store) -> None:
    store.insert("credential", document("c"), secret={"token": "t"})
    assert store.secret("c") == {"token": "t"}
    assert "token" not in (store.get_text("credential", "c") or "")
    store.set_secret("c", None)
    assert store.secret("c") is None
