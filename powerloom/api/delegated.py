"""Which tools' tokens a route takes: a table, so that what is not named in it takes none."""

from __future__ import annotations

import re
from functools import cache

from django.http import HttpRequest

from agents.mcp.powerloom_meta import ROUTES

CONVERTER = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")


def tools_of(request: HttpRequest) -> frozenset[str]:
    """Return the tools of `powerloom_meta` that may call this route."""
    match = request.resolver_match
    if match is None:
        return frozenset()
    path = CONVERTER.sub(r"{\1}", match.route).removeprefix("api/")
    return _tools().get(f"{request.method} /{path}", frozenset())


@cache
def _tools() -> dict[str, frozenset[str]]:
    routes = {route for named in ROUTES.values() for route in named}
    return {route: frozenset(tool for tool, named in ROUTES.items() if route in named) for route in routes}
