"""`weave audit`: the trail, whether it holds, and all of it as a file that proves itself."""

from __future__ import annotations

import codecs
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from powerloom.cli import files
from powerloom.cli.render import moment
from powerloom.cli.text import escaped
from powerloom.cli.verbs import FAILED, Weave, noun, verb

app = noun("audit", "Audit: what was done, by whom, provably.")

COLUMNS = (
    ("seq", "seq"),
    moment("created_at"),
    ("actor", "actor_principal_ref"),
    ("action", "action"),
    ("decision", "decision"),
    ("what", "resource_name"),
    ("ou", "ou_path"),
)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str) -> datetime:
    """Return the moment that is meant: `90m`, `24h` or `7d` ago, or a date."""
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter("a date as in 2026-11-28, or a time ago as in 24h or 7d") from error
    return given if given.tzinfo else given.astimezone()


Moment = Annotated[datetime | None, typer.Option(parser=moment_of, metavar="WHEN")]


@verb(app, "list")
def entries(
    weave: Weave,
    since: Moment = None,
    until: Moment = None,
    actor: Annotated[str | None, typer.Option(help="Who did it: user:a@b.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done: agent:create.")] = None,
    decision: Annotated[str | None, typer.Option(help="allowed, denied, not_found or recorded.")] = None,
    resource: Annotated[str | None, typer.Option(help="The id of what it is about.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List entries, the newest first."""
    found = weave.api.rows(
        "/audit",
        most=limit,
        since=since.isoformat() if since else None,
        until=until.isoformat() if until else None,
        actor=actor,
        action=action,
        decision=decision,
        resource_id=resource,
    )
    weave.screen.rows(found, COLUMNS, none="There is no such entry that you can see.")


@verb(app)
def verify(weave: Weave) -> None:
    """Verify your organization's whole chain against the signed heads. Fails when it does not hold."""
    found = weave.api.get("/audit/verify")
    if found["intact"]:
        weave.screen.say(f"Intact: {found['count']} entries, signed up to {found['signed']}.", "green")
    else:
        weave.screen.say(f"BROKEN at entry {found['first_bad_seq']}: {found['reason']}", "red")
    if not weave.screen.is_for_people:
        weave.screen.data(found)
    if not found["intact"]:
        raise typer.Exit(FAILED)


@verb(app)
def export(
    weave: Weave,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write it there instead of showing it.")] = None,
) -> None:
    """Export the whole chain as JSON lines, for `python -m powerloom.audit.offline`."""
    pieces = weave.api.lines("/audit/export")
    if file is not None:
        files.write(file, pieces)
        weave.screen.note(f"Wrote {file}.")
    elif sys.stdout.isatty():
        # Names in it are other people's words. A file and a pipe get every byte as it is, because hashes are of bytes.
        for text in codecs.iterdecode(pieces, "utf-8", errors="backslashreplace"):
            sys.stdout.write(escaped(text))
        sys.stdout.flush()
    else:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
