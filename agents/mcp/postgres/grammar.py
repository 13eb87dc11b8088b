"""PostgreSQL's own grammar (libpg_query), on a thread that deep statements cannot overflow.

The parser recurses in C: on an ordinary stack a statement of `1+1+1+…` ends the process. So statements are short, and
are parsed by one thread whose stack is measured for the deepest that fits (`tests/unit/agents/postgres`).

The tree is taken as JSON rather than as protobuf: the same nodes, and both faster to get and faster to walk.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar  # Any: a tree is JSON

from postgast.native import lib

LONGEST = 16 * 1024  # bytes of a statement
STACK = 64 * 1024 * 1024

Statement = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


class Refused(Exception):
    """A statement may not run: by which rule, and why."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(rule, reason)
        self.rule = rule
        self.reason = reason


def parse(sql: str) -> list[Statement]:
    """Return the trees of the statements in a text, each with one key, its kind. Call it by `on_grammar_thread`.

    Raises `Refused`, and `RecursionError` for a tree too deep to read.
    """
    result = lib.pg_query_parse(encoded(sql))
    try:
        if result.error:
            message = (result.error.contents.message or b"").decode(errors="replace")
            raise Refused("syntax", f"PostgreSQL cannot read this: {message}.")
        tree = json.loads(result.parse_tree)
    finally:
        lib.pg_query_free_parse_result(result)
    return [raw["stmt"] for raw in tree["stmts"]]


def encoded(sql: str) -> bytes:
    """Return a statement as the parser takes it. Raises `Refused`."""
    try:
        text = sql.encode()
    except UnicodeEncodeError:
        raise Refused("syntax", "The statement is no valid Unicode.") from None
    if len(text) > LONGEST:
        raise Refused("size", f"A statement has at most {LONGEST:,} bytes; this one has {len(text):,}.")
    if 0 in text:
        raise Refused("syntax", "The statement holds a null character.")
    return text


# --- The thread


class _Job:
    """A call to make, and then what came of it."""

    __slots__ = ("act", "done", "error", "result")

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.done = threading.Lock()
        self.done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None


class _Thread:
    """One thread with a large stack, started at its first job and again in a forked child."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._starting = threading.Lock()
        self._jobs: SimpleQueue[_Job] | None = None

    def run(self, act: Callable[[], Any]) -> Any:
        job = _Job(act)
        (self._jobs or self._start()).put(job)
        job.done.acquire()
        if job.error is not None:
            raise job.error
        return job.result

    def _start(self) -> SimpleQueue[_Job]:
        with self._starting:
            if self._jobs is None:
                jobs: SimpleQueue[_Job] = SimpleQueue()
                before = threading.stack_size(STACK)  # of every thread that starts until it is set back: only addresses
                try:
                    threading.Thread(target=_work, args=(jobs,), name="grammar", daemon=True).start()
                finally:
                    threading.stack_size(before)
                self._jobs = jobs
            return self._jobs


def _work(jobs: SimpleQueue[_Job]) -> None:
    while True:
        job = jobs.get()
        try:
            job.result = job.act()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the job
            job.error = error
        job.done.release()
        del job


_thread = _Thread()
os.register_at_fork(after_in_child=_thread.forget)


def on_grammar_thread(act: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Return what a call returns, or raise what it raises, made on the thread with the large stack."""
    result: R = _thread.run(lambda: act(*arguments, **named))
    return result
