"""What the pages of the organization's room share: their tabs."""

from __future__ import annotations

from typing import Any  # template context

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
