"""What the pages of the organization's room share: their tabs, and lines that do the same by the API."""

from __future__ import annotations

from typing import Any  # template context

from django.http import HttpRequest
from django.urls import reverse

TABS = {
    "tree": "OUs",
    "users": "Users",
    "groups": "Groups",
    "roles": "Roles",
    "bindings": "Bindings",
    "explain": "Explain",
}


def tabs(current: str) -> dict[str, Any]:
    """Return the tabs of the room, as context."""
    links = [
        {"name": word, "url": reverse(f"organization:{key}"), "current": key == current} for key, word in TABS.items()
    ]
    return {"tabs": links}


def curl(request: HttpRequest, path: str, body: str = "") -> str:
    """Return the line that does the same by the API; `body` is JSON."""
    sent = f" -d '{body}'" if body else ""
    return f'curl -H "Authorization: Bearer $TOKEN" {request.build_absolute_uri(f"/api{path}")}{sent}'
