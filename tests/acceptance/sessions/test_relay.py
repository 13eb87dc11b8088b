"""Sessions against a real runtime, through a real relay."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from powerloom.commands.bus import submit
from powerloom.kernel.errors import Conflict
from sessions import revocation
from sessions.commands import CloseSession, ConfirmToolUse, DeleteSession, InterruptSession, SendMessage
from sessions.models import AgentSession, Relay, SessionEvent, SessionInput
from tests.running import Running
from tests.waiting import until
from tests.world import actor_of


def types(running: Running, session: AgentSession) -> list[str]:
    return [event.event_type for event in running.events(session)]


def payload(running: Running, session: AgentSession, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(event.payload for event in running.events(session) if event.event_type == kind)
    return found


def until_event(session: AgentSession, kind: str) -> None:
    rows = SessionEvent.objects.filter(session=session, event_type=kind)
    until(rows.exists, what=kind)


def act(running: Running, command: Any) -> None:
    submit(command, actor=actor_of(running.world.alice))


# --- The way of a session


def test_a_session_runs_to_its_end_and_every_event_is_stored_once(running: Running) -> None:
    session = running.invoke("[events=20 rate=100] count")
    assert session.status == "pending"
    with running.relay():
        running.until_status(session, "idle_end_turn")
    running.nothing_lost_or_doubled(session)
    seen = types(running, session)
    assert seen[0] == "powerloom.session_created"
    assert seen[-2:] == ["session.status_idle", "powerloom.session_ended"]
    assert (seen.count("agent.message"), seen.count("user.message")) == (20, 1)
    ended = payload(running, session, "powerloom.session_ended")
    assert ended["event_count"] == session.event_count
    assert ended["mcp_tool_use_count"] == 0
    assert ended["degradation_flagged"] is False


@pytest.mark.parametrize(
    ("directive", "status", "reason"),
    [
        ("", "idle_end_turn", "end_turn"),
        ("[refuse]", "idle_end_turn", "refusal"),
        ("[budget]", "idle_end_turn", "budget_reached"),
        ("[fail]", "failed", "retries_exhausted"),
        ("[terminate]", "failed", "terminal_error"),
        ("[reschedule]", "idle_end_turn", "end_turn"),
    ],
)
def test_each_end_of_the_runtime_has_its_state_here(running: Running, directive: str, status: str, reason: str) -> None:
    session = running.invoke(f"{directive} do it")
    with running.relay():
        running.until_status(session, "idle_end_turn", "failed", "terminated", "timeout")
    assert (session.status, session.stop_reason) == (status, reason)
    assert bool(session.last_error) == (status == "failed")
    running.nothing_lost_or_doubled(session)


def test_a_session_goes_on_with_a_message(running: Running) -> None:
    session = running.invoke("first")
    with running.relay():
        running.until_status(session, "idle_end_turn")
        act(running, SendMessage(session_id=session.id, key="one", text="second"))
        session.refresh_from_db()
        assert session.status == "running"
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("user.message") == 2
    assert types(running, session).count("powerloom.session_ended") == 2
    running.nothing_lost_or_doubled(session)


def test_messages_wait_while_it_runs_and_the_same_key_is_the_same_message(running: Running) -> None:
    session = running.invoke("[events=10 rate=20] work")
    with running.relay():
        until_event(session, "agent.message")
        for key, text in (("a", "then this"), ("b", "then that"), ("a", "then this")):
            act(running, SendMessage(session_id=session.id, key=key, text=text))
        until(lambda: types(running, session).count("user.message") == 3, what="three messages")
        running.until_status(session, "idle_end_turn")
    said = [e.payload["content"][0]["text"] for e in running.events(session) if e.event_type == "user.message"]
    assert said[1:] == ["then this", "then that"]
    assert types(running, session).count("powerloom.session_ended") == 1
    running.nothing_lost_or_doubled(session)


def test_an_interrupt_ends_the_turn_at_once(running: Running) -> None:
    session = running.invoke("[events=1000 rate=20] long")
    with running.relay():
        until_event(session, "agent.message")
        act(running, InterruptSession(session_id=session.id))
        running.until_status(session, "idle_end_turn")
    assert "user.interrupt" in types(running, session)
    running.nothing_lost_or_doubled(session)


def test_an_interrupt_that_came_too_late_does_not_stop_the_next_turn(running: Running) -> None:
    session = running.invoke("first")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    late = {"kind": "interrupt", "key": "late", "event": {"type": "user.interrupt"}, "author_ref": "user:alice"}
    SessionInput.objects.create(session=session, **late)
    with running.relay():
        act(running, SendMessage(session_id=session.id, key="next", text="[events=5 rate=50] second"))
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("agent.message") >= 5
    assert "user.interrupt" not in types(running, session)


def test_a_turn_that_takes_too_long_is_interrupted_and_times_out(running: Running) -> None:
    session = running.invoke("[events=1000 rate=20] long", max_duration=1)
    with running.relay():
        running.until_status(session, "timeout")
    assert "1 seconds" in session.last_error
    assert payload(running, session, "powerloom.session_ended")["status"] == "timeout"
    until(lambda: running.sessions_on_runtime()[0]["status"] == "idle", what="the runtime stops too")


def test_waiting_for_somebody_stops_the_clock_and_an_answer_starts_it_again(running: Running) -> None:
    session = running.invoke("[ask] go", max_duration=2)
    with running.relay():
        until(lambda: AgentSession.objects.get(pk=session.id).waiting_for == "confirmation", what="it asks")
        session.refresh_from_db()
        assert (session.status, session.deadline_at) == ("running", None)
        assert session.turn_left is not None
        asked = next(e for e in running.events(session) if e.payload.get("evaluated_permission") == "ask")
        AgentSession.objects.filter(pk=session.id).update(created_at=timezone.now())
        act(running, ConfirmToolUse(session_id=session.id, tool_use_id=asked.remote_id, result="allow"))
        running.until_status(session, "idle_end_turn")
    assert session.waiting_for == ""
    assert session.turn_left is None
    running.nothing_lost_or_doubled(session)


def test_closing_archives_it_on_the_runtime_even_in_the_middle(running: Running) -> None:
    session = running.invoke("[events=1000 rate=50] long")
    with running.relay():
        until_event(session, "agent.message")
        act(running, CloseSession(session_id=session.id))
        session.refresh_from_db()
        assert (session.status, session.stop_reason) == ("terminated", "closed")
        until(lambda: running.sessions_on_runtime()[0]["archived_at"], what="archived there")
        until(lambda: AgentSession.objects.get(pk=session.id).owed == "", what="nothing owed")
    assert types(running, session)[-1] == "powerloom.session_ended"
    with pytest.raises(Conflict):
        act(running, SendMessage(session_id=session.id, key="late", text="hello?"))


def test_deleting_removes_it_here_and_on_the_runtime(running: Running) -> None:
    session = running.invoke("[events=1000 rate=50] long")
    with running.relay():
        until_event(session, "agent.message")
        act(running, DeleteSession(session_id=session.id))
        until(lambda: running.sessions_on_runtime() == [], what="gone there")
        until(lambda: AgentSession.objects.get(pk=session.id).owed == "", what="nothing owed")
    assert not SessionEvent.objects.filter(session=session).exists()
    assert not SessionInput.objects.filter(session=session).exists()
    assert AgentSession.objects.get(pk=session.id).prompt == ""


def test_lost_rights_interrupt_what_runs(running: Running) -> None:
    session = running.invoke("[events=1000 rate=20] long")
    with running.relay():
        until_event(session, "agent.message")
        with transaction.atomic():
            assert revocation.interrupt_running(Q(agent=running.agent), because="system:revocation") == 1
        running.until_status(session, "idle_end_turn")
    assert SessionInput.objects.get(session=session, kind="interrupt").author_ref == "system:revocation"


# --- A failing runtime


def test_a_runtime_that_is_down_leaves_the_session_pending_with_words_until_it_is_back(running: Running) -> None:
    running.runtime.kill()
    session = running.invoke("hello")
    with running.relay():
        until(lambda: AgentSession.objects.get(pk=session.id).last_error, what="words")
        session.refresh_from_db()
        assert session.status == "pending"
        assert "Trying again" in session.last_error
        running.runtime.start()
        running.until_status(session, "idle_end_turn")
    assert session.last_error == ""
    running.nothing_lost_or_doubled(session)


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_runtime_that_has_no_room_is_asked_again(running: Running, status: int) -> None:
    running.runtime.faults.add("* /v1/sessions*", status=status, times=3)
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert running.runtime.faults.left() == []
    running.nothing_lost_or_doubled(session)


def test_a_create_whose_answer_was_lost_is_adopted_and_makes_no_twin(running: Running) -> None:
    running.runtime.faults.add("POST /v1/sessions", cut="after_commit")
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert [found["id"] for found in running.sessions_on_runtime()] == [session.cma_session_id]
    running.nothing_lost_or_doubled(session)


def test_a_message_whose_answer_was_lost_is_not_sent_twice(running: Running) -> None:
    running.runtime.faults.add("POST /v1/sessions/{id}/events", cut="after_commit")
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "idle_end_turn")
        until(lambda: SessionInput.objects.get(session=session).sent_at, what="settled")
    assert types(running, session).count("user.message") == 1
    running.nothing_lost_or_doubled(session)


def test_a_message_that_never_arrived_is_sent_again(running: Running) -> None:
    running.runtime.faults.add("POST /v1/sessions/{id}/events", cut="before")
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("user.message") == 1
    running.nothing_lost_or_doubled(session)


def test_a_permanent_refusal_fails_the_session_with_its_words(running: Running) -> None:
    running.runtime.faults.add("POST /v1/sessions", status=400)
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "failed")
    assert "A fault that a test asked for" in session.last_error
    assert running.sessions_on_runtime() == []


def test_a_vault_that_went_between_invoking_and_creating_is_done_without(running: Running) -> None:
    session = running.invoke("hello")
    AgentSession.objects.filter(pk=session.pk).update(cma_vault_id="vlt_gone")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert session.cma_vault_id == ""
    running.nothing_lost_or_doubled(session)


def test_cut_streams_lose_and_double_nothing(running: Running) -> None:
    running.runtime.faults.add("GET /v1/sessions/{id}/events/stream", cut="after_events", events=4, times=5)
    session = running.invoke("[events=60 rate=40] count")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("agent.message") == 60
    running.nothing_lost_or_doubled(session)


def test_a_runtime_that_restarts_in_the_middle_loses_nothing(running: Running) -> None:
    session = running.invoke("[events=60 rate=40] count")
    with running.relay():
        until(lambda: types(running, session).count("agent.message") > 10, what="some events")
        running.runtime.kill()
        running.runtime.start()
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("agent.message") == 60
    running.nothing_lost_or_doubled(session)


# --- Relays come and go


def test_another_relay_takes_over_in_the_middle(running: Running) -> None:
    session = running.invoke("[events=80 rate=40] count")
    with running.relay():
        until(lambda: types(running, session).count("agent.message") > 10, what="some events")
    session.refresh_from_db()
    assert (session.status, session.relay_id) == ("running", None)
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert types(running, session).count("agent.message") == 80
    running.nothing_lost_or_doubled(session)


def test_a_relay_that_was_declared_dead_writes_nothing_more_and_the_other_goes_on(running: Running) -> None:
    session = running.invoke("[events=80 rate=40] count")
    with running.relay():
        until(lambda: types(running, session).count("agent.message") > 10, what="some events")
        # Nobody told the first relay: it still follows, and its heart still beats.
        Relay.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
        AgentSession.objects.update(relay_id=None)
        with running.relay():
            running.until_status(session, "idle_end_turn")
    assert types(running, session).count("agent.message") == 80
    running.nothing_lost_or_doubled(session)


def test_two_relays_share_the_work(running: Running) -> None:
    with running.relay(), running.relay():
        sessions = [running.invoke(f"[events=10 rate=50] {number}") for number in range(6)]
        for session in sessions:
            running.until_status(session, "idle_end_turn")
    for session in sessions:
        running.nothing_lost_or_doubled(session)
    assert len(running.sessions_on_runtime()) == 6
