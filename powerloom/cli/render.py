"""What a verb shows: a table or a record for people, or exactly what the server said, as JSON or YAML.

Results go to standard output and everything else to standard error, so that a pipe gets results only. Colour is for
terminals, and says nothing that the words do not.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TextIO  # Any: JSON

import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from powerloom.cli.text import as_json, clean, one_line

PIPE_WIDTH = 100_000  # nothing is cut where nobody looks at the width
ABSENT = "-"
TONES = {
    "green": {"synced", "live", "yes", "approved", "applied", "create", "running", "ok", "intact", "allowed", "allow"},
    "yellow": {"pending", "waiting", "syncing", "drifted", "update", "warn", "idle_end_turn", "unverified"},
    "red": {"parked", "failed", "denied", "invalid", "rejected", "delete", "no", "fail", "broken", "deny", "timeout"},
    "magenta": {"held"},
}
STYLES = {word: tone for tone, words in TONES.items() for word in words}

Column = tuple[str, str | Callable[[Mapping[str, Any]], Any]]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def console(file: TextIO) -> Console:
    """Return a console that prints what it is given: no markup, no colour but on a terminal."""
    is_terminal = file.isatty()
    has_colour = is_terminal and not os.environ.get("NO_COLOR")
    return Console(
        file=file,
        markup=False,
        highlight=False,
        emoji=False,
        force_terminal=is_terminal,
        color_system="auto" if has_colour else None,
        width=None if is_terminal else PIPE_WIDTH,
    )


class Screen:
    """Where a verb shows its results."""

    def __init__(self, form: Format = Format.TABLE) -> None:
        self.form = form
        self.out = console(sys.stdout)
        self.err = console(sys.stderr)

    @property
    def is_for_people(self) -> bool:
        return self.form == Format.TABLE

    def rows(self, found: Sequence[Any], columns: Sequence[Column], *, none: str) -> None:
        """Show a list; `none` is said when it is empty."""
        if not self.is_for_people:
            self.data(list(found))
        elif not found:
            self.note(none)
        else:
            self.out.print(table(found, columns))

    def record(self, found: Mapping[str, Any], *, first: Sequence[str] = ()) -> None:
        """Show one thing, field by field, these first."""
        if not self.is_for_people:
            self.data(found)
            return
        names = [*(name for name in first if name in found), *(name for name in found if name not in first)]
        for name in names:
            self._field(name, found[name])

    def data(self, value: Any) -> None:
        """Write a value for programs."""
        sys.stdout.write(as_yaml(value) if self.form == Format.YAML else f"{as_json(value)}\n")
        sys.stdout.flush()

    def line(self, value: Any) -> None:
        """Write one value of a stream, on a line of its own: JSON lines, or YAML documents."""
        sys.stdout.write(f"---\n{as_yaml(value)}" if self.form == Format.YAML else f"{as_json(value, indent=None)}\n")
        sys.stdout.flush()

    def say(self, words: str, style: str = "") -> None:
        """Say something to people, as a result; programs are given the data instead."""
        if self.is_for_people:
            self.out.print(Text(clean(words), style), soft_wrap=True)

    def note(self, words: str, style: str = "dim") -> None:
        """Say something beside the results."""
        self.err.print(Text(clean(words), style), soft_wrap=True)

    def _field(self, name: str, value: Any) -> None:
        label = Text(f"{one_line(name)}: ", "bold")
        if isinstance(value, Mapping | list) and value:
            self.out.print(label)
            text = clean(as_yaml(value).rstrip("\n"))
            self.out.print(Text("\n".join(f"  {line}" for line in text.split("\n"))), soft_wrap=True)
        elif isinstance(value, str) and "\n" in value:
            self.out.print(label)
            self.out.print(
                Text("\n".join(f"  {line}" for line in clean(value).rstrip("\n").split("\n"))), soft_wrap=True
            )
        else:
            self.out.print(label + cell(value), soft_wrap=True)


def table(found: Sequence[Any], columns: Sequence[Column]) -> Table:
    """Return rows as a table."""
    drawn = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for title, _ in columns:
        drawn.add_column(title, overflow="fold")
    for row in found:
        drawn.add_row(*(cell(_value(row, column)) for _, column in columns))
    return drawn


def cell(value: Any) -> Text:
    """Return a value on one line."""
    words = one_line(spelled(value))
    return Text(words, STYLES.get(words.lower(), ""))


def spelled(value: Any) -> str:
    """Return a value in words."""
    match value:
        case None | "" | [] | {}:
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(spelled(item) for item in value)
        case dict():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def as_yaml(value: Any) -> str:
    """Return a value as YAML; where a character would not be safe to look at, all unusual ones are spelled."""
    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=100)
    return text if clean(text) == text else yaml.safe_dump(value, allow_unicode=False, sort_keys=False, width=100)


def moment(name: str) -> Column:
    """Return a column of a moment, to the second, in UTC."""
    return name.removesuffix("_at").replace("_", " "), lambda row: short_time(row.get(name))


def short_time(value: Any) -> str:
    """Return `2026-11-28 14:42:07` for a moment as JSON has it."""
    return str(value)[:19].replace("T", " ") if value else ""


def _value(row: Mapping[str, Any], column: str | Callable[[Mapping[str, Any]], Any]) -> Any:
    return column(row) if callable(column) else row.get(column)
