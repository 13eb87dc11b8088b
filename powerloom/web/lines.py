"""Lines to copy: each does in a shell what the page beside it does. Words of other people are quoted, so a line never
does more than it says.
"""

from __future__ import annotations

import json
import shlex
from typing import Any  # a manifest is JSON; the user is accounts' own type

from django.http import HttpRequest


def weave(*words: str) -> str:
    """Return the call of the command line program with these words."""
    return shlex.join(["weave", *words])


def applying(kind: str, metadata: dict[str, Any], spec: dict[str, Any] | None = None) -> str:
    """Return the line that makes one thing: its manifest, applied."""
    document = {"kind": kind, "metadata": metadata, **({"spec": spec} if spec else {})}
    return f"echo {shlex.quote(json.dumps(document, ensure_ascii=False))} | {weave('apply', '-')}"


def curl(request: HttpRequest, path: str, body: str = "") -> str:
    """Return the line that does the same by the API, for what the program has no verb for; `body` is JSON."""
    sent = f" -d '{body}'" if body else ""
    return f'curl -H "Authorization: Bearer $TOKEN" {request.build_absolute_uri(f"/api{path}")}{sent}'


def place_of(request: HttpRequest) -> str:
    """Return where a new thing would be: the OU that the page is narrowed to, else the root of who asks."""
    user: Any = request.user
    organization = user.organization
    return request.GET.get("ou") or f"/{organization.name if organization else '…'}"
