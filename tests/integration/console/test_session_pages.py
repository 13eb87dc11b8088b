"""The sessions' rooms: what a page shows after a reload is what it showed live, and every act goes through the bus."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.kinds import SyncKind
from agents.models import Agent, MCPCall
from powerloom.audit.models import Entry
from sessions import replay
from sessions.models import AgentSession, InputKind, SessionInput, Status
from tests.connected import attach_server, make_managed_server, make_server
from tests.declared import make_live
from tests.integration.console.conftest import make_session, queries, tell, text
from tests.waiting_calls import built_in, of_server, waiting
from tests.world import World, actor_of, console_of, make_user

HTMX = {"HX-Request": "true"}


def events_of(page: str) -> list[int]:
    """Return the numbers of the events that the page draws, in order."""
    return [int(seq) for seq in re.findall(r'id="e-(\d+)"', page)]


def test_a_reload_draws_what_came_live(alice: Client, session: AgentSession) -> None:
    whole = alice.get(f"/sessions/{session.id}").content.decode()
    assert 'data-seq="5"' in whole
    assert events_of(whole) == [1, 2, 3, 5]
    assert "one line" in whole
    pieces: set[int] = set()
    for after in range(5):
        pieces |= set(events_of(alice.get(f"/sessions/{session.id}/news?after_seq={after}").content.decode()))
    assert sorted(pieces) == [1, 2, 3, 5]


def test_news_bring_only_what_came_after(alice: Client, session: AgentSession) -> None:
    news = alice.get(f"/sessions/{session.id}/news?after_seq=4").content.decode()
    assert events_of(news) == [5]
    assert 'data-seq="5"' in news


def test_a_late_result_brings_its_call_again(alice: Client, session: AgentSession) -> None:
    news = alice.get(f"/sessions/{session.id}/news?after_seq=3").content.decode()
    assert events_of(news) == [3, 5]
    assert "one line" in news


def test_nothing_new_is_an_empty_transcript_at_the_same_place(alice: Client, session: AgentSession) -> None:
    news = alice.get(f"/sessions/{session.id}/news?after_seq=5").content.decode()
    assert (events_of(news), 'data-seq="5"' in news) == ([], True)


def test_a_long_session_comes_in_stretches_without_gap_or_double(world: World, session: AgentSession) -> None:
    tell(session, *[("agent.message", text(f"line {number}")) for number in range(40)])
    seen: list[int] = []
    after, more = 0, True
    while more:
        piece = replay.stretch(session, actor=actor_of(world.bob), after_seq=after, most=7)
        seen += [item.seq for turn in piece.turns for item in turn.items]
        after, more = piece.last_seq, piece.has_more
    assert after == 45
    assert sorted(set(seen)) == [seq for seq in range(1, 46) if seq != 4]
    assert [seq for seq in seen if seen.count(seq) > 1] == []


@pytest.mark.parametrize("after", ["-1", "x", "", "1.5", "٣", "9" * 5000])
def test_a_place_that_is_no_number_is_refused(alice: Client, session: AgentSession, after: str) -> None:
    assert alice.get(f"/sessions/{session.id}/news", {"after_seq": after}).status_code == 422


def test_an_event_is_shown_as_the_runtime_sent_it(alice: Client, session: AgentSession) -> None:
    page = alice.get(f"/sessions/{session.id}?event=3").content.decode()
    assert "git diff" in page[page.index('id="inspector"') :]
    assert alice.get(f"/sessions/{session.id}/events/99").status_code == 404
    assert alice.get(f"/sessions/{session.id}?event={'9' * 5000}").status_code == 200


def test_the_raw_view_names_every_event(alice: Client, session: AgentSession) -> None:
    page = alice.get(f"/sessions/{session.id}?view=events").content.decode()
    assert events_of(page) == [1, 2, 3, 4, 5]
    assert "agent.tool_result" in page


def test_more_events_cost_no_more_queries(world: World, alice: Client, session: AgentSession) -> None:
    few = queries(alice, f"/sessions/{session.id}")
    tell(session, *[("agent.message", text("more")) for _ in range(100)])
    assert queries(alice, f"/sessions/{session.id}") == few


def test_more_sessions_cost_no_more_queries(world: World, alice: Client, agent: Agent) -> None:
    for _ in range(5):
        make_session(agent, world.bob)
    few = queries(alice, "/sessions")
    for _ in range(45):
        make_session(agent, world.bob)
    assert queries(alice, "/sessions") == few


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("?status=failed", 1),
        ("?q=lint", 1),
        ("?flagged=yes", 1),
        ("?agent=nonsense", 0),
        ("?ou=/acme/sales", 0),
    ],
)
def test_filters_are_in_the_address(world: World, alice: Client, agent: Agent, query: str, count: int) -> None:
    make_session(agent, world.bob, status=Status.FAILED)
    make_session(agent, world.bob, title="Lint it", degradation_flagged=True)
    assert alice.get(f"/sessions{query}").content.decode().count("<tr data-row") == count


def test_somebody_elses_session_is_seen_by_right_only(world: World, session: AgentSession) -> None:
    assert console_of(world.eve).get(f"/sessions/{session.id}").status_code == 200
    stranger = make_user("otto@acme.example", home=world.sales)
    assert console_of(stranger).get(f"/sessions/{session.id}").status_code == 404


def invoked(browser: Client, agent: Agent, **form: Any) -> Any:
    return browser.post(f"/agents/{agent.id}/invoke", {"prompt": "Review it.", **form}, headers=HTMX)


def test_invoking_leads_to_the_session(world: World, agent: Agent) -> None:
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    answer = invoked(console_of(world.bob), agent, title="A look")
    session = AgentSession.objects.get()
    assert answer.headers["HX-Redirect"] == f"/sessions/{session.id}"
    assert (session.prompt, session.title, session.invoked_by_ref) == ("Review it.", "A look", world.bob.ref)
    assert Entry.objects.filter(action="agent:invoke", decision="allowed").count() == 1


def test_invoking_what_is_not_live_says_what_is_missing(world: World, agent: Agent) -> None:
    answer = invoked(console_of(world.bob), agent)
    assert (answer.status_code, AgentSession.objects.count()) == (409, 0)
    assert "not live yet" in answer.content.decode()


def test_an_empty_prompt_comes_back_with_the_form(world: World, agent: Agent) -> None:
    answer = invoked(console_of(world.bob), agent, prompt="", title="kept")
    assert answer.status_code == 422
    assert 'value="kept"' in answer.content.decode()


def test_who_may_not_invoke_is_refused(world: World, agent: Agent) -> None:
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    assert invoked(console_of(world.eve), agent).status_code == 403
    assert AgentSession.objects.count() == 0


def test_a_message_waits_for_the_relay(world: World, session: AgentSession) -> None:
    answer = console_of(world.bob).post(f"/sessions/{session.id}/message", {"text": "Go on.", "key": "k"}, headers=HTMX)
    assert answer.status_code == 200
    sent = SessionInput.objects.get(kind=InputKind.MESSAGE)
    assert sent.event["content"] == [{"type": "text", "text": "Go on."}]
    assert "Go on." not in answer.content.decode()


def test_a_form_that_is_sent_twice_is_one_message(world: World, session: AgentSession) -> None:
    bob = console_of(world.bob)
    page = bob.get(f"/sessions/{session.id}").content.decode()
    [key] = re.findall(r'name="key" value="([0-9a-f-]{36})"', page)
    for _ in range(2):
        answer = bob.post(f"/sessions/{session.id}/message", {"text": "Go on.", "key": key}, headers=HTMX)
    assert SessionInput.objects.filter(kind=InputKind.MESSAGE).count() == 1
    assert key not in answer.content.decode()


def test_an_empty_message_is_not_sent(world: World, session: AgentSession) -> None:
    answer = console_of(world.bob).post(f"/sessions/{session.id}/message", {"text": " ", "key": "k"}, headers=HTMX)
    assert (answer.status_code, SessionInput.objects.count()) == (422, 0)


def test_renaming_changes_the_title(world: World, session: AgentSession) -> None:
    answer = console_of(world.bob).post(f"/sessions/{session.id}/rename", {"title": "New"}, headers=HTMX)
    session.refresh_from_db()
    assert (answer.headers["HX-Redirect"], session.title) == (f"/sessions/{session.id}", "New")


def test_closing_ends_the_session_and_keeps_its_events(world: World, session: AgentSession) -> None:
    assert console_of(world.bob).post(f"/sessions/{session.id}/close", headers=HTMX).status_code == 200
    session.refresh_from_db()
    assert session.status == Status.TERMINATED
    assert session.events.count() >= 5
    page = console_of(world.bob).get(f"/sessions/{session.id}").content.decode()
    assert "This session is closed already." in page


def test_deleting_removes_it_and_leads_to_the_list(world: World, session: AgentSession) -> None:
    bob = console_of(world.bob)
    answer = bob.post(f"/sessions/{session.id}/delete", {"word": "delete"}, headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/sessions"
    assert bob.get(f"/sessions/{session.id}").status_code == 404
    assert Entry.objects.filter(action="session:delete").count() == 1


def test_a_call_that_asks_is_answered(world: World, session: AgentSession) -> None:
    tell(session, ("agent.tool_use", {"name": "bash", "input": {}, "evaluated_permission": "ask"}))
    AgentSession.objects.filter(pk=session.pk).update(
        status=Status.RUNNING, waiting_for="confirmation", changed_at=timezone.now()
    )
    bob = console_of(world.bob)
    assert "Waiting for approval" in bob.get(f"/sessions/{session.id}").content.decode()
    form = {"tool_use_id": "sevt_6", "result": "allow"}
    assert bob.post(f"/sessions/{session.id}/confirm", form, headers=HTMX).status_code == 200
    assert SessionInput.objects.get(kind=InputKind.CONFIRMATION).event["result"] == "allow"


def test_who_cannot_answer_a_call_sees_why_instead_of_a_form(world: World, agent: Agent) -> None:
    server = make_server(world.engineering)
    credential = attach_server(world.alice, agent, server, permission="always_ask", four_eyes=True)
    make_live(agent.id, credential.id, kinds={SyncKind.ENVIRONMENT})
    agent.refresh_from_db()
    by_server, plain = of_server(), built_in()
    session = waiting(agent, world.bob, by_server, plain)
    pages = {
        user.email: console_of(user).get(f"/sessions/{session.id}").content.decode()
        for user in (world.bob, world.alice)
    }
    assert pages[world.bob.email].count('name="tool_use_id"') == 1
    assert f'value="{plain["id"]}"' in pages[world.bob.email]
    assert "somebody else than who invoked the agent answers" in pages[world.bob.email]
    assert pages[world.alice.email].count('name="tool_use_id"') == 2
    AgentSession.objects.filter(pk=session.pk).update(status=Status.TERMINATED, waiting_for="")
    over = console_of(world.alice).get(f"/sessions/{session.id}").content.decode()
    assert ("does not wait for an answer now" in over, 'name="tool_use_id"' in over) == (True, False)


@pytest.mark.parametrize("act", ["message", "interrupt", "close", "delete", "rename"])
def test_who_only_reads_changes_nothing(world: World, session: AgentSession, act: str) -> None:
    form = {"text": "x", "key": "k", "title": "x", "word": "delete"}
    assert console_of(world.eve).post(f"/sessions/{session.id}/{act}", form, headers=HTMX).status_code == 403
    session.refresh_from_db()
    assert (session.status, session.title, session.deleted_at) == (Status.IDLE_END_TURN, None, None)


def test_the_inspector_tells_tools_diagnosis_and_trail(world: World, alice: Client, session: AgentSession) -> None:
    there = f"/sessions/{session.id}"
    assert alice.post(f"{there}/rename", {"title": "PR #42"}).status_code == 302
    shown = alice.get(f"{there}/inspect/tools").content.decode()
    assert "bash" in shown
    assert 'data-goto="3"' in shown
    assert "Sync of the agent" in alice.get(f"{there}/inspect/diagnosis").content.decode()
    assert "session:rename" in alice.get(f"{there}?pane=audit").content.decode()
    assert "session:rename" not in console_of(world.bob).get(f"{there}/inspect/audit").content.decode()
    assert alice.get(f"{there}/inspect/nothing").status_code == 404


def test_the_diagnosis_names_what_keeps_the_agent_from_a_server(world: World, alice: Client, agent: Agent) -> None:
    attach_server(world.bob, agent, make_server(world.engineering))
    agent.refresh_from_db()
    shown = alice.get(f"/sessions/{make_session(agent, world.bob).id}/inspect/diagnosis").content.decode()
    assert "In the way" in shown


def test_a_session_is_downloaded_whole(alice: Client, session: AgentSession) -> None:
    tell(session, *[("agent.message", text(f"line {number}")) for number in range(1200)])
    answer: Any = alice.get(f"/sessions/{session.id}/download")  # the test client's answer knows no streaming
    assert f'filename="session-{session.id}.json"' in answer.headers["Content-Disposition"]
    told = json.loads(b"".join(answer.streaming_content))
    assert told["session"]["id"] == str(session.id)
    assert [event["seq"] for event in told["events"]] == list(range(1, 1206))


def test_the_lanes_show_what_asked_what_was_said_and_what_a_policy_denied(
    world: World, alice: Client, agent: Agent
) -> None:
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL})
    session = waiting(agent, world.bob, built_in())
    facts = {"session_id": session.id, "tool": "write_file", "outcome": "denied", "milliseconds": 1}
    deployment = make_managed_server(world.engineering).deployment
    assert deployment
    MCPCall.objects.create(organization=world.acme, deployment=deployment, created_at=timezone.now(), **facts)
    shown = alice.get(f"/sessions/{session.id}").content.decode()
    for lane in ("Talk", "Tools", "Approvals", "Denied by policy"):
        assert f'aria-label="{lane}: ' in shown


def test_the_list_is_filtered_by_what_waits_when_it_began_and_silent_degradation(
    world: World, alice: Client, agent: Agent
) -> None:
    made: dict[str, dict[str, Any]] = {
        "waits": {"status": Status.RUNNING, "waiting_for": "confirmation"},
        "flagged": {"degradation_flagged": True},
        "old": {"created_at": timezone.now() - timedelta(days=2)},
    }
    for title, columns in made.items():
        make_session(agent, world.bob, title=title, **columns)
    for query, titles in {
        "status=waiting_for_approval": {"waits"},
        "flagged=yes": {"flagged"},
        "since=day": {"waits", "flagged"},
        "since=week": {"waits", "flagged", "old"},
    }.items():
        shown = alice.get(f"/sessions?{query}", headers=HTMX).content.decode()
        assert {title for title in ("waits", "flagged", "old") if f">{title}<" in shown} == titles, query
