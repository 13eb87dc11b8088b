"""What can come of one object's turn, and what each outcome writes. Pure: rows in, columns out.

Done          CMA has what is wanted (pushed, adopted, read, or it was so all along; `is_gone`: rightly absent)
Waits         a dependency is not there yet        no attempt counted; looked at again next tick, or when it comes
Later         not tried: the budget, the window, a runtime that is down      nothing counted
Vanished      CMA no longer has it                 created anew
Odd           CMA took it and shows something else  parked as "not representable", with the diff
Paused        401, 402: the organization's trouble  its lane pauses, no attempt counted
Failed        transient: 2, 4, 8 … 300 s, parked after 10 in a row; permanent: parked after one confirmation
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any  # columns have the types of their fields
from uuid import UUID

from powerloom.cma.errors import AccountProblem, CMAError, Conflict, NameTaken, Rejected, Unavailable
from powerloom.reconcile.models import SyncState, Urgency

MOST_ATTEMPTS = 10
LONGEST_BACKOFF = 300.0
LONGEST_WAIT = 3600.0  # whatever CMA asks for
TICK_SECONDS = 2.0
PARKED_DEPENDENCY_SECONDS = 30.0  # its arrival wakes us anyway


class Condition(StrEnum):
    """Why a row is not synced, as a word for programs; the sentence beside it is for people."""

    WAITING = "waiting"
    POSTPONED = "postponed"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    STALE = "stale"
    REJECTED = "rejected"
    NAME_TAKEN = "name_taken"
    NOT_REPRESENTABLE = "not_representable"
    VANISHED = "vanished"
    ACCOUNT = "account"
    DEFECT = "defect"


@dataclass(frozen=True)
class Remote:
    """What CMA says a thing is called now. `is_archived`: it is there and can no longer be used."""

    id: str
    version: str = ""
    updated_at: str = ""
    is_archived: bool = False


@dataclass(frozen=True)
class Done:
    """`remote` is None when no call was needed; `answer` is CMA's own, for the driver's hook."""

    desired_hash: str
    remote: Remote | None = None
    document: Any = None
    answer: dict[str, Any] = field(default_factory=dict)
    is_gone: bool = False


@dataclass(frozen=True)
class Waits:
    """`what` completes "Waiting for …"; `on` is the object whose arrival ends it, if it has an id yet."""

    what: str
    on: UUID | None
    is_parked: bool = False


@dataclass(frozen=True)
class Later:
    """Not tried this time. `seconds` 0 is as soon as may be."""

    seconds: float = 0.0


@dataclass(frozen=True)
class Vanished:
    """CMA answered 404, or shows it archived."""


@dataclass(frozen=True)
class Odd:
    """CMA accepted the document and answers a different one."""

    desired_hash: str
    actual_hash: str
    remote: Remote
    document: Any
    differences: list[dict[str, Any]]
    answer: dict[str, Any]


@dataclass(frozen=True)
class Paused:
    """CMA refuses the account."""

    sentence: str


@dataclass(frozen=True)
class Failed:
    """`is_lost`: the request may have been carried out although no success was seen."""

    condition: Condition
    sentence: str
    is_permanent: bool = False
    retry_after: float = 0.0
    is_lost: bool = False


Result = Done | Waits | Later | Vanished | Odd | Paused | Failed


WITHHELD = "its words are not kept, because the call held a secret"


def failure(error: CMAError, *, held_a_secret: bool = False) -> Failed | Paused:
    """Return what an error of the client means for the row that met it; `held_a_secret`: without CMA's own words.

    404 on the row's own id is not judged here: only the caller knows whose id it was.
    """
    said = WITHHELD if held_a_secret else error.message
    if isinstance(error, AccountProblem):
        return Paused(f"CMA refuses this organization's account ({_code(error)}): {said}")
    if isinstance(error, Unavailable):
        return _unavailable(error, said)
    condition, words, is_permanent = REFUSALS.get(type(error), UNKNOWN)
    return Failed(condition, f"{words} ({_code(error)}): {said}", is_permanent=is_permanent)


REFUSALS: dict[type[CMAError], tuple[Condition, str, bool]] = {
    NameTaken: (Condition.NAME_TAKEN, "CMA has another thing of this name", True),
    Conflict: (Condition.STALE, "CMA has a newer version", False),
    Rejected: (Condition.REJECTED, "CMA refuses this", True),
}
UNKNOWN = (Condition.REJECTED, "CMA does not know what this names", False)


def _unavailable(error: Unavailable, said: str) -> Failed:
    wait = error.retry_after or 0.0
    if error.status == 429:
        return Failed(Condition.RATE_LIMITED, "CMA's rate limit was reached", retry_after=wait)
    sentence = f"CMA did not take the call ({_code(error)}): {said}"
    return Failed(Condition.UNREACHABLE, sentence, retry_after=wait, is_lost=error.answer_lost)


def backoff(attempts: int) -> float:
    """Return the seconds to wait after this many failures in a row: 2, 4, 8 … 300."""
    return min(LONGEST_BACKOFF, 2.0 ** min(attempts, 16))


@dataclass(frozen=True)
class Turn:
    """The row as it was claimed. `had_attempt` is whether an answer may have been lost before this turn."""

    row: SyncState
    had_attempt: bool
    now: datetime

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def untried(self) -> dict[str, Any]:
        """Return what takes back the note of a create that was not tried after all."""
        return {} if self.had_attempt else {"attempted_at": None}


def columns(turn: Turn, result: Result) -> dict[str, Any]:
    """Return what the result writes into the row."""
    written: dict[str, Any] = WRITERS[type(result)](turn, result)
    return written


NOT_WAITING: dict[str, Any] = {"waits_for": "", "waits_on": None}
SETTLED: dict[str, Any] = {
    **NOT_WAITING,
    "attempts": 0,
    "attempted_at": None,
    "parked_at": None,
    "condition": "",
    "last_error": "",
    "drift": None,
    "urgency": Urgency.CHANGE,
}


def _done(turn: Turn, result: Done) -> dict[str, Any]:
    facts = _facts(result.remote, result.document) if result.remote else {}
    if result.is_gone:
        facts = _facts(Remote(id=""), None)
    hashes = {"desired_hash": result.desired_hash, "actual_hash": result.desired_hash}
    return {**SETTLED, **facts, **hashes, "synced_at": turn.now, "due_at": turn.now}


def _waits(turn: Turn, result: Waits) -> dict[str, Any]:
    return {
        **turn.untried(),
        "condition": Condition.WAITING,
        "waits_for": result.what,
        "waits_on": result.on,
        "due_at": turn.after(PARKED_DEPENDENCY_SECONDS if result.is_parked else TICK_SECONDS),
    }


def _later(turn: Turn, result: Later) -> dict[str, Any]:
    postponed = {"condition": Condition.POSTPONED, "due_at": turn.after(result.seconds)} if result.seconds else {}
    return {**turn.untried(), **NOT_WAITING, **postponed}


def _vanished(turn: Turn, result: Vanished) -> dict[str, Any]:
    return {
        **NOT_WAITING,
        **_facts(Remote(id=""), None),
        "actual_hash": "",
        "attempted_at": None,
        "attempts": 0,
        "condition": "",
        "last_error": "CMA no longer had it; it is made anew",
        "due_at": turn.now,
    }


def _odd(turn: Turn, result: Odd) -> dict[str, Any]:
    shown = ", ".join(difference["path"] or "the whole" for difference in result.differences[:5])
    return {
        **SETTLED,
        **_facts(result.remote, result.document),
        "desired_hash": result.desired_hash,
        "actual_hash": result.actual_hash,
        "parked_at": turn.now,
        "condition": Condition.NOT_REPRESENTABLE,
        "last_error": f"CMA accepted this and shows it differently: {shown}",
        "drift": result.differences,
    }


def _paused(turn: Turn, result: Paused) -> dict[str, Any]:
    return {
        **turn.untried(),
        "condition": Condition.ACCOUNT,
        "last_error": result.sentence,
        "waits_for": "the CMA account",
        "waits_on": None,
        "due_at": turn.now,
    }


def _failed(turn: Turn, result: Failed) -> dict[str, Any]:
    attempts = turn.row.attempts + 1
    is_confirmed = result.is_permanent and turn.row.condition == result.condition
    wait = max(backoff(attempts), min(result.retry_after, LONGEST_WAIT))
    failed: dict[str, Any] = {
        **NOT_WAITING,
        "attempts": attempts,
        "condition": result.condition,
        "last_error": result.sentence,
        "due_at": turn.after(wait),
        "parked_at": turn.now if is_confirmed or attempts >= MOST_ATTEMPTS else None,
    }
    if not result.is_lost:
        failed["attempted_at"] = None
    if turn.row.remote_id and result.condition != Condition.RATE_LIMITED:
        failed["actual_hash"] = ""  # whatever CMA has now, it is read before the next try
    return failed


WRITERS: dict[type[Result], Any] = {
    Done: _done,
    Waits: _waits,
    Later: _later,
    Vanished: _vanished,
    Odd: _odd,
    Paused: _paused,
    Failed: _failed,
}


def _facts(remote: Remote, document: Any) -> dict[str, Any]:
    return {
        "remote_id": remote.id,
        "remote_version": remote.version,
        "remote_updated_at": remote.updated_at,
        "actual": document,
    }


def _code(error: CMAError) -> str:
    return str(error.status or "no answer")
