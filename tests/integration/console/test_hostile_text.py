"""Text from people and models is drawn as text: in names, prompts, titles, events and the trail."""

from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from sessions.models import AgentSession
from tests.declared import make_agent
from tests.integration.console.conftest import make_session, tell, text
from tests.world import World

pytestmark = pytest.mark.once

CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    '" autofocus onfocus=alert(1) x="',
    "<svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7|add:7 }}{% csrf_token %}",
    "<a href=javascript:alert(1)>x</a>",
    '<div hx-get="/sign-out" hx-trigger="load">',
    "<!--<script>",
]

LEADING = {"href", "src", "action", "formaction", "data-url", "data-refresh", "data-socket"}


class Tags(HTMLParser):
    """Collects what in a page could act."""

    def __init__(self) -> None:
        super().__init__()
        self.acting: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.acting.append(f"script {given}")
        if given.get("src") == "x" or (given.get("hx-trigger") == "load" and given.get("hx-get") == "/sign-out"):
            self.acting.append(f"{tag} {given}")
        self.acting += [f"{tag} {name}" for name in given if name.startswith("on")]
        leading = [value for name, value in given.items() if name in LEADING or name.startswith("hx-")]
        self.acting += [f"{tag} {value}" for value in leading if value.strip().lower().startswith("javascript:")]


def acting(page: str) -> list[str]:
    tags = Tags()
    tags.feed(page)
    return tags.acting


def test_hostile_words_do_nothing_anywhere(world: World, alice: Client) -> None:
    pages = ["/agents", "/sessions", "/audit"]
    for number, words in enumerate(CORPUS):
        said = {"display_name": words[:250], "description": words, "system_prompt": words, "model": words}
        agent = make_agent(world.bob, world.engineering, f"agent-{number}", **said)
        session = make_session(agent, world.bob, title=words, prompt=words, last_error=words)
        say(session, words)
        of_agent = reverse("agents:detail", args=[agent.id])
        of_session = reverse("sessions:detail", args=[session.id])
        pages += [of_agent, f"{of_agent}?tab=prompt", f"{of_agent}?tab=versions", of_session]
        pages += [f"{of_session}?view=events&event=3", f"{of_session}/events/6", f"{of_session}/news?after_seq=0"]
        assert acting(alice.get("/").content.decode()) == [], "the newest stand on the overview"
    for path in pages:
        answer = alice.get(path)
        assert answer.status_code == 200, path
        assert acting(answer.content.decode()) == [], path


def say(session: AgentSession, words: str) -> None:
    """Say these words in every kind of event."""
    tell(
        session,
        ("user.message", text(words)),
        ("agent.message", text(words)),
        ("agent.tool_use", {"name": words, "input": {words: [words, {words: words}]}, "evaluated_permission": "ask"}),
        ("agent.tool_result", {"tool_use_id": "sevt_3", **text(words)}),
        ("session.error", {"error": {"type": words, "message": words, "mcp_server_name": words}}),
        (words[:80], {words: words}),
    )


@pytest.mark.parametrize("words", CORPUS)
@pytest.mark.parametrize("path", ["/agents", "/sessions", "/audit"])
def test_hostile_filters_do_nothing(alice: Client, path: str, words: str) -> None:
    answer = alice.get(path, {"q": words, "ou": words, "status": words, "sync": words, "target": words, "agent": words})
    assert answer.status_code == 200
    assert acting(answer.content.decode()) == []


def test_a_character_that_hides_is_written_out(session: AgentSession, alice: Client) -> None:
    tell(session, ("agent.message", text("invoice\u202efdp.exe")))
    page = alice.get(f"/sessions/{session.id}").content.decode()
    assert "\u202e" not in page
    assert "invoice⟦U+202E⟧fdp.exe" in page


def test_a_search_that_no_database_takes_is_refused_in_words(alice: Client) -> None:
    assert alice.get("/agents?q=a%00b").status_code == 400
