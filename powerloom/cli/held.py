"""What is said when an approval policy holds a change: which request waits, who can decide, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # JSON

from powerloom.cli.render import Screen


def told(screen: Screen, request: Mapping[str, Any]) -> None:
    """Say it beside the results."""
    request_id = request.get("approval_request_id") or request.get("id")
    screen.note(str(request.get("message") or "Held for approval: nothing was changed."), "magenta")
    screen.note(f"An approver lets it pass: weave approval approve {request_id}", "magenta")
    screen.note(f"Wait for it: weave approval wait {request_id}", "magenta")
