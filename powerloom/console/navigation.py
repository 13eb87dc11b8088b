"""The rail and the rest of the shell, for every template: rooms, scope, theme, who is here.

A room is listed once it exists; the console grows by one line here and one `urls.py` in the room's app.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any  # template context
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from powerloom.web.requests import request_id

THEMES = ("light", "dark")
SHEETS = ("css/tokens.css", "css/base.css", "css/shell.css", "css/parts.css", "css/forms.css", "css/reading.css")

# Nothing is evaluated, no script tag of a fragment runs, nothing leaves the origin, nothing stays in localStorage;
# answers of refusal are swapped like others, because they are fragments for people too.
HTMX = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "includeIndicatorStyles": False,
        "inlineScriptNonce": "",
        "inlineStyleNonce": "",
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "[45]..", "swap": True, "error": True},
        ],
    }
)


@dataclass(frozen=True)
class Room:
    """One line of the rail. `key` follows `g` on the keyboard; `scoped` rooms understand `?ou=`; `counts` is the view
    of a number that keeps itself fresh. `covers` are how the names of its views begin: the longest that fits says in
    which room a page is.
    """

    name: str
    view: str
    icon: str
    key: str
    scoped: bool = False
    counts: str = ""
    covers: tuple[str, ...] = ()


ROOMS = (
    Room("Overview", "console:home", "layout-dashboard", "o"),
    Room("Agents", "agents:list", "bot", "a", scoped=True, covers=("agents:",)),
    Room("Skills", "agents:skills", "package", "k", scoped=True, covers=("agents:skill",)),
    Room(
        "MCP servers",
        "agents:servers",
        "server",
        "m",
        scoped=True,
        covers=("agents:server", "agents:deploy"),
    ),
    Room(
        "Credentials",
        "agents:credentials",
        "key-round",
        "r",
        scoped=True,
        covers=("agents:credential", "accounts:secret"),
    ),
    Room("Chat", "chat:start", "message-square", "c", covers=("chat:",)),
    Room("Sessions", "sessions:list", "square-terminal", "s", scoped=True, covers=("sessions:",)),
    Room("Approvals", "approvals:list", "inbox", "i", counts="approvals:count", covers=("approvals:",)),
    Room("Organization", "organization:tree", "building-2", "u", covers=("organization:", "console:ask_access")),
    Room("Audit", "console:audit", "scroll-text", "l", scoped=True, covers=("console:audit",)),
    Room("Settings", "settings:profile", "settings", "e", covers=("settings:", "console:webhook")),
)
OPERATOR_ROOM = Room("Platform admin", "admin:index", "shield-check", "p")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `shell`, what the frame of every page shows."""
    user: Any = getattr(request, "user", None)  # accounts.User or nobody
    known = user is not None and user.is_authenticated
    return {"shell": frame(request) | (_of_user(request, user) if known else {})}


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return what the frame needs without knowing who asks, so without the database."""
    theme = request.COOKIES.get("theme", "")
    return {
        "theme": theme if theme in THEMES else "",
        "sheets": SHEETS,
        "htmx": HTMX,
        "request_id": request_id(request),
    }


def _of_user(request: HttpRequest, user: Any) -> dict[str, Any]:
    listed = (*ROOMS, OPERATOR_ROOM) if user.is_staff else ROOMS
    organization = user.organization
    current = _current(request)
    return {
        "who": user.email,
        "organization": organization,
        "rooms": [_line(request, room, current) for room in listed],
        "scope": request.GET.get("ou") or (f"/{organization.name}" if organization else ""),
        "scoped_room": reverse((current if current and current.scoped else ROOMS[1]).view),
    }


def _current(request: HttpRequest) -> Room | None:
    if request.resolver_match is None:
        return None
    view = request.resolver_match.view_name
    fitting = [(len(prefix), room) for room in ROOMS for prefix in (room.view, *room.covers) if view.startswith(prefix)]
    return max(fitting, key=lambda found: found[0], default=(0, None))[1]


def _line(request: HttpRequest, room: Room, current: Room | None) -> dict[str, Any]:
    scope = request.GET.get("ou")
    query = f"?{urlencode({'ou': scope})}" if scope and room.scoped else ""
    return {
        "name": room.name,
        "icon": room.icon,
        "key": room.key,
        "url": reverse(room.view) + query,
        "current": room is current,
        "counts": reverse(room.counts) if room.counts else "",
    }
