"""Refusals of reads, and of what an edge looks up before it submits: they enter the audit trail like those of commands.

A 404 may hide something, so it is recorded as well; the trail of who asked shows it, nobody else's. What the bus has
recorded, dry runs, and requests without an identity are left out.
"""

from __future__ import annotations

import re
from uuid import UUID

from django.http import HttpRequest

from powerloom.audit import log as audit
from powerloom.kernel.errors import Denied, NotFound, PowerloomError
from powerloom.kernel.refs import Actor

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def record_refusal(request: HttpRequest, error: PowerloomError) -> None:
    """Record the refusal of a known actor, once."""
    actor = getattr(request, "auth", None)
    if not isinstance(error, Denied | NotFound) or error.is_recorded or not isinstance(actor, Actor):
        return
    if request.GET.get("dry_run") == "true":
        return
    error.is_recorded = True
    asked = {"method": str(request.method), "path": request.path, "thing_id": _asked_id(request.path)}
    action = str(error.detail.get("permission") or f"{_noun(request.path)}:read")
    audit.refuse(actor=actor, action=action, error=error, target=None, asked=asked)


def _asked_id(path: str) -> str:
    found = _ID.search(path)
    return str(UUID(found.group())) if found else ""


def _noun(path: str) -> str:
    """Return what a path is about, as actions name it: /api/mcp-servers/… is `mcp_server`."""
    parts = [part for part in path.split("/") if part and part != "api"]
    return parts[0].removesuffix("s").replace("-", "_")[:40] if parts else "api"
