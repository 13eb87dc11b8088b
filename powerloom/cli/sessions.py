"""`weave session`: follow one, read its events, interrupt it, close it."""

from __future__ import annotations

from typing import Annotated

import typer

from powerloom.cli import stream
from powerloom.cli.transcript import Transcript
from powerloom.cli.verbs import FAILED, Weave, noun, verb

app = noun("session", "Sessions: what is running, and what ran.")

SessionId = Annotated[str, typer.Argument(help="The session's id.")]
After = Annotated[int, typer.Option(min=0, help="Only events after this number.")]


@verb(app)
def tail(weave: Weave, session: SessionId, after: After = 0) -> None:
    """Follow a session until it is at rest, from its first event on. Any number of people may."""
    transcript = Transcript(weave.screen, servers=stream.powerloom_servers(weave.api, session))
    for event in stream.follow(weave.api, session, after=after):
        transcript.tell(event, with_messages=True)
    if transcript.failed:
        raise typer.Exit(FAILED)


@verb(app)
def events(
    weave: Weave, session: SessionId, after: After = 0, limit: Annotated[int, typer.Option(min=1, max=500)] = 100
) -> None:
    """Show a session's events that are there already."""
    found = stream.stored(weave.api, session, after, limit)
    if weave.screen.is_for_people:
        transcript = Transcript(weave.screen, servers=stream.powerloom_servers(weave.api, session))
        for event in found:
            transcript.tell(event, with_messages=True)
    else:
        weave.screen.data([event.as_json() for event in found])


@verb(app)
def interrupt(weave: Weave, session: SessionId) -> None:
    """Stop what the agent does now; the session can go on with another message."""
    _changed(weave, session, "interrupt", "The session is told to stop.")


@verb(app)
def close(weave: Weave, session: SessionId) -> None:
    """End a session for good and keep its events."""
    _changed(weave, session, "close", "The session is closed.")


def _changed(weave: Weave, session: str, how: str, words: str) -> None:
    found = weave.api.post(f"/sessions/{session}/{how}")
    weave.screen.say(words)
    if not weave.screen.is_for_people:
        weave.screen.data(found)
