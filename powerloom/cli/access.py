"""`weave access`: may I, or may somebody, do this there; and why."""

from __future__ import annotations

from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import kinds
from powerloom.cli.verbs import FAILED, USAGE, Failed, Weave, noun, verb

app = noun("access", "Access: who may do what, and why.")

Action = Annotated[str, typer.Argument(help="What: agent:create, session:read …")]
Where = Annotated[str, typer.Argument(help="The OU, by its path.")]
Who = Annotated[str | None, typer.Option("--as", help="Somebody else: user:a@b, an e-mail, or group:/path/name.")]


@verb(app)
def can(weave: Weave, action: Action, ou: Where, who: Who = None) -> None:
    """Say yes or no. Ends with 1 when the answer is no."""
    found = _asked(weave, "check", action, ou, who)
    weave.screen.say(
        f"{'Yes' if found['allowed'] else 'No'}: {found['reason']}", "green" if found["allowed"] else "red"
    )
    if not weave.screen.is_for_people:
        weave.screen.data(found)
    if not found["allowed"]:
        raise typer.Exit(FAILED)


@verb(app)
def explain(weave: Weave, action: Action, ou: Where, who: Who = None) -> None:
    """Say why, what decided it, and what would change it."""
    found = _asked(weave, "explain", action, ou, who)
    if not weave.screen.is_for_people:
        weave.screen.data(found)
        return
    weave.screen.say(
        f"{'Yes' if found['allowed'] else 'No'}: {found['reason']}", "green" if found["allowed"] else "red"
    )
    for fact in found["facts"]:
        weave.screen.say(f"{'→' if fact['decides'] else ' '} {fact['text']}", "bold" if fact["decides"] else "")
    for remedy in found["remedy"]:
        weave.screen.say(f"What would help: {remedy['text']}", "yellow")


def _asked(weave: Weave, how: str, action: str, ou: str, who: str | None) -> dict[str, Any]:
    query = {"action": action, "ou_id": kinds.ou_of(weave.api, ou)["id"]}
    if who is not None:
        query["principal_id"] = _principal(weave, who)
    found: dict[str, Any] = weave.api.get(f"/access/{how}", **query)
    return found


def _principal(weave: Weave, who: str) -> str:
    kind, _, name = who.rpartition(":") if ":" in who else ("user", "", who)
    if kind not in {"user", "group", "agent", "ou"}:
        raise Failed("Name somebody as user:a@b, group:/path/name, agent:/path/name or ou:/path.", USAGE)
    found = kinds.find(weave.api, kind, name)
    return str(found.get("principal_id") or found["id"])
