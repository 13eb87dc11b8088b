"""What every route reaches: the store, the listeners and the engine of turns."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from powerloom.cma.local.errors import not_found
from powerloom.cma.local.loop import Engine
from powerloom.cma.local.sse import Hub
from powerloom.cma.local.store import Store
from powerloom.cma.types import JSON


@dataclass(frozen=True)
class Runtime:
    """One running server."""

    store: Store
    hub: Hub
    engine: Engine

    def load(self, kind: str, id: str, parent: str | None = None) -> JSON:
        """A document. Raises 404."""
        doc = self.store.get(kind, id, parent)
        if doc is None:
            raise missing(kind, id)
        return doc


def runtime(request: Request) -> Runtime:
    """The server that a request came to."""
    found: Any = request.app.state.runtime  # Starlette's state is untyped
    assert isinstance(found, Runtime)
    return found


def missing(kind: str, id: str) -> Exception:
    """The 404 for a kind and id."""
    code = "environment_not_found" if kind == "environment" else None
    return not_found(f"{kind.replace('_', ' ').capitalize()} {id[:128]} was not found", code=code)
