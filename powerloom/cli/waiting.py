"""Waiting for something, saying meanwhile what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from powerloom.cli.render import Screen
from powerloom.cli.text import one_line
from powerloom.cli.verbs import Failed

PAUSE = 0.5
PATIENCE = 600


@dataclass(frozen=True)
class Look:
    """What was seen: whether it is there, and what keeps it if not."""

    is_there: bool
    why: str = ""


def until(screen: Screen, what: str, look: Callable[[], Look], *, within: float = PATIENCE) -> None:
    """Return once it is there. On a terminal one line tells what it waits for; elsewhere each new reason is a line.

    Raises `Failed` with the last reason when time is up; `look` raises it when nothing is to be waited for.
    """
    deadline = time.monotonic() + within
    told = ""
    with screen.err.status("") as status:
        while not (seen := look()).is_there:
            if time.monotonic() >= deadline:
                raise Failed(f"{what}: not there after {within:g} seconds: {seen.why}")
            line = one_line(f"{what}: {seen.why}")
            status.update(line)
            if line != told and not screen.err.is_terminal:
                screen.note(line)
            told = line
            time.sleep(PAUSE)
