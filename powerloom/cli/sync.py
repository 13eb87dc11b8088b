"""`weave sync`: where something stands with the reconciler, what differs on the runtime, and trying again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import kinds
from powerloom.cli.verbs import CHANGES, Weave, noun, verb

app = noun("sync", "Sync: whether the runtime has what is wanted.")
FIRST = ("status", "live", "why", "waits_for", "last_error", "next_try_at")


class Synced(StrEnum):
    AGENT = "agent"
    SKILL = "skill"
    CREDENTIAL = "credential"


KindWord = Annotated[Synced, typer.Argument(help="agent, skill or credential.")]
Name = Annotated[str, typer.Argument(help="By id, path or name.")]


@verb(app)
def status(weave: Weave, kind: KindWord, name: Name) -> None:
    """Say where it stands, and what keeps it."""
    weave.screen.record(_found(weave, kind, name)["sync"], first=FIRST)


@verb(app)
def reset(weave: Weave, kind: KindWord, name: Name) -> None:
    """Try again from the start, once the cause is gone."""
    found = _found(weave, kind, name)
    again = weave.api.post(f"/{kind.value}s/{found['id']}/sync/reset")
    weave.screen.say("It is tried again.")
    if not weave.screen.is_for_people:
        weave.screen.data(again["sync"])


@verb(app)
def diff(weave: Weave, kind: KindWord, name: Name) -> None:
    """Show what the runtime has otherwise than it should. Ends with 2 when there is a difference."""
    sync = _found(weave, kind, name)["sync"]
    drift = sync["drift"]
    if not weave.screen.is_for_people:
        weave.screen.data(drift)
    elif drift:
        weave.screen.record(drift if isinstance(drift, dict) else {"differs": drift})
    else:
        weave.screen.say(_same(sync))
    if drift:
        raise typer.Exit(CHANGES)


def _found(weave: Weave, kind: Synced, name: str) -> dict[str, Any]:
    return kinds.find(weave.api, kind.value, name)


def _same(sync: dict[str, Any]) -> str:
    if sync["status"] == "synced":
        return "The runtime has what is wanted."
    return f"No difference is known; it is {sync['status']}: {sync['why'] or sync['last_error']}"
