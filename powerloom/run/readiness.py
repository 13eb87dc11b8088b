"""`/healthz` says the process answers; `/readyz` is 200 once everything it needs serves, and else names what does
not.
"""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

EMBEDDED_PARTS = frozenset({"relay", "worker", "beat", "fleet"})


class Parts:
    """Which parts of the embedded process run; in the distributed mode each process answers for itself alone."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def started(self, *names: str) -> None:
        self._running.update(names)

    def stopped(self) -> None:
        self._running.clear()

    def missing(self) -> list[str]:
        """Return the parts that should run here and do not."""
        return sorted(EMBEDDED_PARTS - self._running) if settings.EMBEDDED else []


parts = Parts()


def healthz(_request: HttpRequest) -> JsonResponse:
    """Always answers while the process lives."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when database, schema and parts are there, 503 with the list of what is missing otherwise."""
    missing = [*_database(), *parts.missing()]
    return JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)


def _database() -> list[str]:
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ["database"]
    return ["migrations"] if behind else []
