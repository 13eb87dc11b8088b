"""`weave invoke`, `ask` and `chat`: give an agent something to do, and hear what comes of it."""

from __future__ import annotations

import sys
from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import kinds, stream
from powerloom.cli.transcript import Transcript
from powerloom.cli.verbs import FAILED, USAGE, Failed, Weave

META_AGENT = "powerloom-meta"
LEAVE = {"exit", "quit", "/exit", "/quit"}

Agent = Annotated[str, typer.Argument(help="By id, path or name.")]
Prompt = Annotated[str, typer.Argument(help="What to do; - reads it from standard input.")]
Title = Annotated[str | None, typer.Option(help="What lists show the session as.")]


def invoke(
    weave: Weave,
    agent: Agent,
    prompt: Prompt,
    title: Title = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return once the session is at rest.")] = False,
) -> None:
    """Start a session, and return at once."""
    mode = "sync" if wait else "fire_and_forget"
    found = _invoked(weave, agent, _text(prompt), mode=mode, title=title)
    if not weave.screen.is_for_people:
        weave.screen.data({name: value for name, value in found.items() if name not in {"ws_ticket", "ws_url"}})
        return
    weave.screen.say(f"Session {found['session_id']}: {found['status']}.")
    weave.screen.note(f"Follow it: weave session tail {found['session_id']}")


def ask(weave: Weave, agent: Agent, prompt: Prompt, title: Title = None) -> None:
    """Start a session and stream the answer. What the agent says goes to standard output, its tool calls beside it."""
    found = _invoked(weave, agent, _text(prompt), title=title)
    servers = stream.powerloom_servers(weave.api, found["session_id"])
    transcript = Transcript(weave.screen, servers=servers, besides=weave.screen.note)
    for event in stream.follow(weave.api, found["session_id"], ws_url=found["ws_url"]):
        transcript.tell(event)
    if transcript.failed:
        raise typer.Exit(FAILED)


def chat(
    weave: Weave,
    agent: Annotated[str, typer.Argument(help=f"By id, path or name; else {META_AGENT}.")] = META_AGENT,
    session: Annotated[str | None, typer.Option(help="Go on with this session.")] = None,
) -> None:
    """Talk with an agent, line by line; Ctrl-C interrupts the agent, exit or Ctrl-D ends the talk.

    Every tool call is shown with its arguments and its result. A change that is held names its request, and goes on
    once somebody approved it.
    """
    if not weave.screen.is_for_people:
        raise Failed("A conversation is for people. For programs there are ask and session tail.", USAGE)
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        weave.screen.note(f"You talk with {agent}. exit or Ctrl-D ends it.")
    seen = _last_seq(weave, session) if session else 0
    transcript = _transcript(weave, session) if session else None
    while (line := _line(is_terminal=is_terminal)) is not None:
        if not line:
            continue
        if session is None:
            found = _invoked(weave, agent, line)
            session, ws_url = str(found["session_id"]), found["ws_url"]
        else:
            weave.api.post(f"/sessions/{session}/messages", {"text": line})
            ws_url = weave.api.post(f"/sessions/{session}/tickets")["ws_url"]
        transcript = transcript or _transcript(weave, session)
        seen = _told(weave, transcript, session, ws_url, seen)
    if session is not None:
        weave.screen.note(f"Go on with it: weave chat {agent} --session {session}")


def _invoked(weave: Weave, agent: str, prompt: str, **fields: Any) -> dict[str, Any]:
    found = kinds.find(weave.api, "agent", agent)
    body = {"prompt": prompt, **{name: value for name, value in fields.items() if value is not None}}
    invoked: dict[str, Any] = weave.api.post(f"/agents/{found['id']}/invoke", body)
    return invoked


def _told(weave: Weave, transcript: Transcript, session: str, ws_url: str | None, after: int) -> int:
    """Tell what happens until the session is at rest, and return the last event's number. Ctrl-C stops the agent, and
    what it says to that is told, too.
    """
    while True:
        try:
            for event in stream.follow(weave.api, session, ws_url=ws_url, after=after):
                transcript.tell(event)
                after = max(after, event.seq)
        except KeyboardInterrupt:
            weave.api.post(f"/sessions/{session}/interrupt")
            ws_url = None
        else:
            return after


def _transcript(weave: Weave, session: str) -> Transcript:
    return Transcript(weave.screen, servers=stream.powerloom_servers(weave.api, session))


def _last_seq(weave: Weave, session: str) -> int:
    return int(weave.api.get(f"/sessions/{session}")["last_seq"])


def _text(prompt: str) -> str:
    return sys.stdin.read() if prompt == "-" else prompt


def _line(*, is_terminal: bool) -> str | None:
    """Return the next line that somebody typed, None at the end."""
    if is_terminal:
        sys.stderr.write("> ")
        sys.stderr.flush()
    line = sys.stdin.readline()
    said = line.strip()
    return None if not line or said in LEAVE else said
