"""Routes about the API itself, open to everyone."""

from __future__ import annotations

from ninja import NinjaAPI, Schema
from pydantic import Field

from powerloom import __version__

CONTRACT_VERSION = "2.0.2"
RECOMMENDED_CLIENT = "0.7.26"
ACTOR_KINDS = ["user", "agent"]


class Route(Schema):
    """One route, under a name that stays when its path does not."""

    key: str
    method: str
    path: str


class Capabilities(Schema):
    """What this server can do, so that a client may adapt before it signs in."""

    server_version: str
    api_contract_version: str
    min_loomcli_version: str | None
    recommended_loomcli_version: str | None
    actor_kinds: list[str] = Field(description="Who can act through this API.")
    routes: list[Route]


def register(api: NinjaAPI) -> None:
    """Add the routes to the API that they describe."""

    @api.get("/capabilities", response={200: Capabilities}, auth=None, tags=["meta"])
    def read_capabilities(request: object) -> Capabilities:
        """Read what this server can do."""
        return Capabilities(
            server_version=__version__,
            api_contract_version=CONTRACT_VERSION,
            min_loomcli_version=None,
            recommended_loomcli_version=RECOMMENDED_CLIENT,
            actor_kinds=ACTOR_KINDS,
            routes=routes_of(api),
        )


def routes_of(api: NinjaAPI) -> list[Route]:
    """Return every documented route of the API, sorted by its name."""
    paths = api.get_openapi_schema(path_prefix="")["paths"]
    found = [
        Route(key=operation["operationId"], method=method.upper(), path=path)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    return sorted(found, key=lambda route: route.key)
