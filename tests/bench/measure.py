"""What a bench returns, and how its functions are known."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Self

MARK = "is_measured"


@dataclass(frozen=True)
class Ratio:
    """One promise: a number, and what it may be. `told` says what it was made of."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    told: str = ""

    @property
    def is_kept(self) -> bool:
        is_over = self.at_most is not None and self.value > self.at_most
        is_under = self.at_least is not None and self.value < self.at_least
        return not is_over and not is_under

    @property
    def limit(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"

    def as_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_line(cls, line: str) -> Self:
        return cls(**json.loads(line))


Measured = Callable[[], list[Ratio]]


def measured(function: Measured) -> Measured:
    """Mark a function of a bench."""
    setattr(function, MARK, True)
    return function


class Watch:
    """Seconds, once its block has ended."""

    seconds = 0.0


@contextmanager
def watch() -> Iterator[Watch]:
    """Measure a block."""
    stopped, start = Watch(), time.perf_counter()
    yield stopped
    stopped.seconds = time.perf_counter() - start


def typical(act: Callable[[], object], times: int) -> float:
    """The median of the seconds that the act takes."""
    seconds = []
    for _ in range(times):
        with watch() as stopped:
            act()
        seconds.append(stopped.seconds)
    return median(seconds)
