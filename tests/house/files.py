"""House rules about files: what they are called, how long they are, where they lie, what none of them says."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.source import PRODUCT, Finding, Source

TOP = PRODUCT | {
    "manage.py",
    "pyproject.toml",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "requirements.lock",
    "templates",
    "static",
    "tests",
}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "services", "common", "misc"}
LONG = 500
MEASURED = {".py", ".html", ".css", ".js"}
# Spelled so that this file does not break its own rules.
LATER = re.compile(rf"\b({'todo|fixme|xxx'.upper()})\b")
SHARED, WORK = PurePosixPath("..") / "shared", PurePosixPath("/") / "work"
ELSEWHERE = re.compile(rf"{re.escape(str(SHARED))}|{WORK}/")


def top_level_is_planned(source: Source) -> Iterator[Finding]:
    """The first look at the repository shows the plan of the house, and nothing else."""
    top = source.path.parts[0]
    if top not in TOP and not top.startswith("."):
        yield Finding(
            1, f"{top} has no place at the top; tools live under tests/, settings in pyproject.toml or dotfiles"
        )


def files_are_nouns(source: Source) -> Iterator[Finding]:
    """A file named after its subject gets only its subject."""
    if source.path.parts[0] in PRODUCT | {"tests"} and source.path.stem in VAGUE:
        yield Finding(1, f"{source.path.name} says nothing; name the file after the thing it is about")


def files_are_short(source: Source) -> Iterator[Finding]:
    """One file, one subject."""
    if source.path.suffix in MEASURED and not source.is_vendored and "migrations" not in source.path.parts:
        count = len(source.lines)
        if count > LONG:
            yield Finding(LONG, f"{count} lines; split by subject, look twice past 300")


def nothing_is_left_for_later(source: Source) -> Iterator[Finding]:
    """What is missing is an issue, which somebody reads; a note in the code is read by nobody."""
    if source.is_vendored or source.path.suffix == ".lock":
        return
    for number, line in enumerate(source.lines, start=1):
        if match := LATER.search(line):
            yield Finding(number, f"{match[0]}: do it now, or open an issue and take the note out")


def nothing_points_elsewhere(source: Source) -> Iterator[Finding]:
    """The repository stands by itself: a clone on another machine has only what is in it."""
    for number, line in enumerate(source.lines, start=1):
        if match := ELSEWHERE.search(line):
            yield Finding(number, f"{match[0]}: a place on somebody's machine; say here what is said there")
