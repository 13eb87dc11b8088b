"""Deploying: rows that are due, brought to `running`, to `failed` with a reason and a way on, or to `destroyed`.

    claim (compare-and-set) → read → asyncio.run(attempt) (network, no transaction) → record (one transaction)

    validate   config and policy fit the template
    secrets    the secrets that the config names are there
    check      what the template needs answers: a database, a folder, a token
    handshake  the fleet serves the deployment at its own address
    tools      what it answered is recorded and pinned

A claim is a lease: its end, written by compare-and-set, is also the mark by which its holder is known. Whoever dies
holding one loses nothing; the row is due all the time, and the next worker begins when the lease is over. Whoever lost
one records nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any  # config and policy types differ by template
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from agents import probing
from agents.backends.base import Backend, Served, Unfit
from agents.backends.catalog import backends
from agents.endpoints import fleet_endpoint
from agents.fleet.probing import probe_token
from agents.handshakes import Handshake, HandshakeFailed, shake
from agents.models import DeploymentStatus, MCPDeployment
from agents.serving import served
from powerloom.kernel.states import transition
from powerloom.web import egress

log = logging.getLogger(__name__)

BATCH = 20
TICK_LIMIT = 20.0  # a worker's thread is free again after this; the next tick goes on
STEP_SECONDS = 20.0
LEASE = timedelta(seconds=90)  # more than the steps of an attempt can take
LONGEST_WAIT = timedelta(seconds=300)
SKEW = timedelta(seconds=60)  # by how much the clocks of two workers may differ

PATIENCE = {"check": 3, "handshake": 6}
"""How many attempts a step has; what fails elsewhere does not mend itself."""

UNDER_WAY = (DeploymentStatus.PENDING, DeploymentStatus.DEPLOYING, DeploymentStatus.RUNNING)

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Trouble:
    """Why an attempt got no further than this step."""

    step: str
    words: str


@dataclass
class Attempt:
    """One try to deploy: the steps it took, what was found, and what stopped it."""

    deployment: MCPDeployment
    steps: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    found: Handshake | None = None
    refusal: HandshakeFailed | None = None
    trouble: Trouble | None = None

    def passed(self, step: str, words: str) -> None:
        self.steps.append({"step": step, "ok": True, "words": words})

    def failed(self, step: str, words: str) -> None:
        self.steps.append({"step": step, "ok": False, "words": words})
        self.trouble = Trouble(step, words)


def tick(*, clock: Clock = timezone.now) -> int:
    """Work off what is due, until nothing is or `TICK_LIMIT` is over. Returns how many rows had their turn."""
    ends_at = time.monotonic() + TICK_LIMIT
    turns = 0
    while time.monotonic() < ends_at and (claimed := claim(clock())):
        turns += len(claimed)
        for attempt in _attempts(claimed):
            record(attempt, clock())
    return turns


def claim(now: datetime, *, most: int = BATCH) -> list[MCPDeployment]:
    """Lease rows that are due; each goes to one worker."""
    is_time = Q(due_at__lte=now) | Q(due_at__gt=now + LONGEST_WAIT + SKEW)  # the latter: by a clock that went back
    due = MCPDeployment.objects.filter(is_time & _is_free(now)).select_related("ou", "registration")
    return [row for row in due.order_by("due_at")[:most] if _lease(row, now)]


def release_all() -> int:
    """Free every lease. For the embedded mode when it starts: this is its one process, so who held them is dead."""
    return MCPDeployment.objects.filter(leased_until__isnull=False).update(leased_until=None)


def record(attempt: Attempt, now: datetime) -> bool:
    """Write down what came of an attempt. Returns False when the lease was lost meanwhile; then nothing is written."""
    claimed = attempt.deployment
    with transaction.atomic(durable=True):
        mine = MCPDeployment.objects.select_for_update().filter(pk=claimed.pk, leased_until=claimed.leased_until)
        if not mine.exists():
            return False
        if claimed.status == DeploymentStatus.DESTROYING:
            transition(claimed, DeploymentStatus.DESTROYED, **_settled())
        elif attempt.trouble is None:
            _record_success(attempt, now)
        else:
            _record_trouble(attempt, attempt.trouble, now)
    return True


def _is_free(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lte=now) | Q(leased_until__gt=now + LEASE + SKEW)


def _lease(row: MCPDeployment, now: datetime) -> bool:
    begins = row.status == DeploymentStatus.PENDING
    status = DeploymentStatus.DEPLOYING if begins else row.status
    unmoved = MCPDeployment.objects.filter(_is_free(now), pk=row.pk, status=row.status, generation=row.generation)
    if unmoved.update(status=status, leased_until=now + LEASE) != 1:
        return False
    row.status, row.leased_until = status, now + LEASE
    return True


# An attempt.


def _attempts(rows: Sequence[MCPDeployment]) -> list[Attempt]:
    attempts = [Attempt(row) for row in rows]
    ready = [
        (attempt, found)
        for attempt in attempts
        if attempt.deployment.status in UNDER_WAY and (found := _read(attempt)) is not None
    ]
    if ready:
        asyncio.run(_try_all(ready))
    return attempts


def _read(attempt: Attempt) -> Served[Any, Any] | None:
    """Read what the deployment is made of: the steps that need the database and no network."""
    try:
        found = served(attempt.deployment)
    except Unfit as unfit:
        if unfit.step == "secrets":
            attempt.passed("validate", _VALID)
        attempt.failed("secrets" if unfit.step == "secrets" else "validate", unfit.words)
        return None
    attempt.passed("validate", _VALID)
    named = ", ".join(sorted(found.secrets)) or "none is named"
    attempt.passed("secrets", f"The secrets that the config names are there: {named}.")
    return found


_VALID = "Config and policy fit the template."


async def _try_all(ready: Sequence[tuple[Attempt, Served[Any, Any]]]) -> None:
    running = backends()
    try:
        await asyncio.gather(*(_try(attempt, found, running) for attempt, found in ready))
    finally:
        for backend in running.values():
            await backend.close()


async def _try(attempt: Attempt, found: Served[Any, Any], running: Mapping[str, Backend[Any, Any]]) -> None:
    deployment = attempt.deployment
    try:
        async with asyncio.timeout(STEP_SECONDS):
            attempt.warnings = await running[deployment.template_kind].check(found)
    except Unfit as unfit:
        attempt.failed("check", unfit.words)
        return
    except TimeoutError:
        attempt.failed("check", f"What the deployment needs did not answer within {STEP_SECONDS:g} seconds.")
        return
    except Exception as error:  # noqa: BLE001  one backend's fault must not stop the others
        # It held secrets, so only its kind is told.
        why = type(error).__name__
        log.warning("A check failed", extra={"deployment": str(deployment.pk), "error_class": why})
        attempt.failed("check", f"The check itself failed ({why}).")
        return
    attempt.passed("check", "What the deployment needs is there.")
    await _shake(attempt)


async def _shake(attempt: Attempt) -> None:
    deployment = attempt.deployment
    url = fleet_endpoint(deployment.pk)
    # The address is the operator's own, so it may be this machine or a private one.
    way = egress.Way(private_hosts=(urlsplit(url).hostname or "",), loopback=True)
    headers = {"Authorization": f"Bearer {probe_token(deployment.pk)}"}
    try:
        async with egress.client(way, headers=headers) as client:
            attempt.found = await shake(url, client=client)
    except HandshakeFailed as failed:
        attempt.refusal = failed
        attempt.failed("handshake", f"{url}: {failed.step}: {failed.words}.")
    else:
        attempt.passed("handshake", f"{url} answers, protocol {attempt.found.protocol_version}.")


# What came of it.


def _record_success(attempt: Attempt, now: datetime) -> None:
    deployment, found = attempt.deployment, attempt.found
    assert found is not None, "an attempt without trouble has shaken hands"
    probing.saw(deployment.registration, found, pin=True)
    names = ", ".join(sorted(str(tool["name"]) for tool in found.tools))
    attempt.passed("tools", f"{len(found.tools)} tools: {names}.")
    columns = _settled() | _story(attempt) | {"status_reason": ""}
    if deployment.status == DeploymentStatus.RUNNING:
        _write(deployment, columns)
    else:
        transition(deployment, DeploymentStatus.RUNNING, running_since=now, **columns)


def _record_trouble(attempt: Attempt, trouble: Trouble, now: datetime) -> None:
    deployment = attempt.deployment
    if attempt.refusal:
        probing.failed(deployment.registration, attempt.refusal)
    tries, most = deployment.attempts + 1, _patience(deployment, trouble)
    if most is None or tries < most:
        wait = min(timedelta(seconds=2 ** min(tries, 10)), LONGEST_WAIT)
        count = f"Attempt {tries} of {most}" if most else f"Attempt {tries}"
        words = f"{trouble.step}: {trouble.words} {count}; the next is in {wait.seconds} seconds."
        again = {"attempts": tries, "due_at": now + wait, "leased_until": None, "status_reason": words}
        _write(deployment, again | _story(attempt))
        return
    words = f"{trouble.step}: {trouble.words} Put it right, then retry; another config begins anew by itself."
    columns = _settled() | _story(attempt) | {"status_reason": words, "attempts": tries, "running_since": None}
    transition(deployment, DeploymentStatus.FAILED, **columns)


def _patience(deployment: MCPDeployment, trouble: Trouble) -> int | None:
    """Return how many attempts the step has. A fleet that is away is no fault of what ran on it and will run again."""
    is_fleet_away = deployment.status == DeploymentStatus.RUNNING and trouble.step == "handshake"
    return None if is_fleet_away else PATIENCE.get(trouble.step, 1)


def _settled() -> dict[str, Any]:
    return {"due_at": None, "leased_until": None, "attempts": 0}


def _story(attempt: Attempt) -> dict[str, Any]:
    return {"steps": attempt.steps, "warnings": attempt.warnings}


def _write(deployment: MCPDeployment, columns: Mapping[str, Any]) -> None:
    for name, value in columns.items():
        setattr(deployment, name, value)
    deployment.save(update_fields=list(columns))
