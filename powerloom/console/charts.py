"""Small charts, drawn here as numbers for an inline SVG: one bar a day, no script, no style. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT, GAP = 280, 56, 3
LEAST = 2  # a day with anything at all is seen


@dataclass(frozen=True)
class Bar:
    """One day: where its bar stands, and what it says."""

    x: str
    y: str
    width: str
    height: str
    words: str


@dataclass(frozen=True)
class Chart:
    """A row of bars, oldest first; `label` says all of it to those who do not see it."""

    title: str
    figure: str
    tone: str
    bars: list[Bar]
    label: str
    first: str
    last: str


def days_back(today: date, count: int) -> list[date]:
    """Return the last `count` days, oldest first, today the last."""
    return [today - timedelta(days=back) for back in reversed(range(count))]


def daily(
    title: str,
    values: Mapping[date, float],
    days: list[date],
    *,
    figure: str,
    tone: str = "busy",
    said: Callable[[float], str] = lambda value: f"{value:g}",
) -> Chart:
    """Return the chart of one number a day; a day that is absent is 0. `figure` is the number above it."""
    most = max([values.get(day, 0) for day in days], default=0) or 1
    step = WIDTH / len(days)
    bars = [
        _bar(place, step, values.get(day, 0) / most, f"{day:%b %-d}: {said(values.get(day, 0))}")
        for place, day in enumerate(days)
    ]
    told = ", ".join(f"{day:%b %-d} {said(values[day])}" for day in days if values.get(day))
    return Chart(
        title, figure, tone, bars, f"{title} a day: {told or 'none'}", f"{days[0]:%b %-d}", f"{days[-1]:%b %-d}"
    )


def _bar(place: int, step: float, share: float, words: str) -> Bar:
    height = max(LEAST, share * HEIGHT) if share else 0
    return Bar(f"{place * step:.1f}", f"{HEIGHT - height:.1f}", f"{step - GAP:.1f}", f"{height:.1f}", words)
