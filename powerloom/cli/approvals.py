"""`weave approval`: the inbox of what policies hold; look, say yes or no, wait."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import waiting
from powerloom.cli.render import moment
from powerloom.cli.text import spelled_out
from powerloom.cli.verbs import Failed, Weave, noun, verb
from powerloom.cli.waiting import Look

app = noun("approval", "Approvals: what waits for somebody's yes.")
REFUSED = {"rejected", "cancelled", "expired", "failed"}

RequestId = Annotated[str, typer.Argument(help="The request's id.")]
Comment = Annotated[str, typer.Option("--comment", "-c", help="Why; the requester reads it.")]


class Tab(StrEnum):
    TO_APPROVE = "to_approve"
    MINE = "mine"
    RECENT = "recent"


COLUMNS = (
    ("status", lambda row: row["outcome"] or row["status"]),
    ("action", "full_action"),
    ("what", lambda row: row["target"]["name"]),
    ("by", "requester_email"),
    ("policy", "policy_name"),
    moment("created_at"),
    ("id", "id"),
)
FIRST = ("status", "outcome", "full_action", "target", "requester_email", "justification", "changes")


@verb(app, "list")
def list_requests(
    weave: Weave,
    tab: Annotated[
        Tab, typer.Option(help="What you may decide, what you asked for, or the last ones.")
    ] = Tab.TO_APPROVE,
    limit: Annotated[int, typer.Option(min=1)] = 50,
) -> None:
    """List requests: those that you may decide, unless you ask for others."""
    weave.screen.rows(weave.api.rows("/approvals", most=limit, tab=tab.value), COLUMNS, none="Nothing waits here.")


@verb(app)
def show(weave: Weave, request: RequestId) -> None:
    """Show a request with all that is needed to decide it."""
    found = weave.api.get(f"/approvals/{request}")
    weave.screen.record(spelled_out(found) if weave.screen.is_for_people else found, first=FIRST)


@verb(app)
def approve(weave: Weave, request: RequestId, comment: Comment = "") -> None:
    """Say yes. The change is applied as whoever asked for it, once every policy has its quorum."""
    _decided(weave, weave.api.post(f"/approvals/{request}/approve", {"comment": comment}))


@verb(app)
def reject(weave: Weave, request: RequestId, comment: Comment = "") -> None:
    """Say no."""
    _decided(weave, weave.api.post(f"/approvals/{request}/reject", {"comment": comment}))


@verb(app)
def cancel(weave: Weave, request: RequestId, comment: Comment = "") -> None:
    """Take your own request back."""
    _decided(weave, weave.api.post(f"/approvals/{request}/cancel", {"comment": comment}))


@verb(app)
def wait(
    weave: Weave,
    request: RequestId,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = waiting.PATIENCE,
) -> None:
    """Return once a request is approved and applied; fails when it is refused or out of time."""
    waiting.until(weave.screen, "The request", lambda: _look(weave, request), within=timeout)
    found = weave.api.get(f"/approvals/{request}")
    weave.screen.say("It is approved and applied.", "green")
    if not weave.screen.is_for_people:
        weave.screen.data(found)


def _look(weave: Weave, request: str) -> Look:
    found = weave.api.get(f"/approvals/{request}")
    status = found["status"]
    if status in REFUSED:
        raise Failed(f"The request is {status}. {_why(found)}".rstrip())
    if status == "pending":
        return Look(False, f"pending; {' or '.join(found['approvers']) or 'nobody'} can decide it")
    return Look(found["outcome"] == "applied", "approved; it is about to be applied")


def _why(found: dict[str, Any]) -> str:
    if found["failure"]:
        return str(found["failure"].get("message", ""))
    return next((said["comment"] for said in reversed(found["decisions"]) if said["comment"]), "")


def _decided(weave: Weave, found: dict[str, Any]) -> None:
    missing = f"; {len(found['decisions'])} decided so far" if found["status"] == "pending" else ""
    weave.screen.say(f"The request is {found['status']}{missing}.")
    if not weave.screen.is_for_people:
        weave.screen.data(found)
