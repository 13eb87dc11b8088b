"""Searching a served folder: depth first in the order of names, and never more than a budget of files, bytes and time.

What is looked for is a literal text, found in linear time, so nobody's pattern can run away.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from agents.backends.folders import Folder, Refused
from agents.backends.reading import served_names
from agents.mcp.files import FilesPolicy, Found, Match, SearchArguments
from agents.mcp.paths import MAX_DEPTH, Parts, parts_of, reach

MOST_VISITED = 50_000  # files and folders
MOST_BYTES = 64 * 1024 * 1024
MOST_BYTES_OF_A_FILE = 4 * 1024 * 1024
MOST_SECONDS = 5.0
LONGEST_LINE = 300  # characters that are shown


class Spent(Exception):
    """The budget is used up; of what, in words."""


@dataclass
class Budget:
    """What a search may still use. Each method raises `Spent`."""

    matches: int
    visits: int = MOST_VISITED
    bytes: int = MOST_BYTES
    until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)

    def visit(self) -> None:
        self.visits -= 1
        if self.visits < 0:
            raise Spent(f"{MOST_VISITED} files and folders were looked at.")
        if time.monotonic() > self.until:
            raise Spent(f"{MOST_SECONDS:g} seconds are over.")

    def read(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise Spent(f"{MOST_BYTES} bytes were read.")

    def match(self) -> None:
        if self.matches == 0:
            raise Spent("There are more matches than the limit.")
        self.matches -= 1


class Search:
    """One search."""

    def __init__(self, arguments: SearchArguments, policy: FilesPolicy, *, budget: Budget | None = None) -> None:
        self._policy = policy
        self._allowed = policy.allowed()
        self._budget = budget or Budget(min(arguments.limit, policy.max_entries))
        self._name = re.compile(fnmatch.translate(arguments.name))
        self._ignore_case = arguments.ignore_case
        self._text = self._folded(arguments.text)
        self._too_large = 0

    def run(self, top: Folder, parts: Parts) -> Found:
        """Return what is found at and below a folder. Raises `Refused` when there is no such folder."""
        matches: list[Match] = []
        notes: list[str] = []
        with top.down(parts) as folder:
            try:
                for match in self._in_folder(folder, parts):
                    self._budget.match()
                    matches.append(match)
            except Spent as spent:
                notes.append(f"Stopped early: {spent} Look in one folder, or for a rarer text.")
        is_complete = not notes
        if self._too_large:
            notes.append(f"{self._too_large} files of more than {MOST_BYTES_OF_A_FILE} bytes were not read.")
        return Found(matches=matches, is_complete=is_complete, notes=notes)

    def _in_folder(self, folder: Folder, parts: Parts) -> Iterator[Match]:
        for name in served_names(folder, parts, self._policy)[0]:
            self._budget.visit()
            here = (*parts, name)
            try:
                if folder.is_folder(name):
                    yield from self._below(folder, here)
                elif self._name.match(name) and reach(here, self._allowed) == "inside":
                    yield from self._in_file(folder, here)
            except Refused:
                continue  # gone, swapped or closed to us since it was listed: as if it were not there

    def _below(self, folder: Folder, parts: Parts) -> Iterator[Match]:
        if len(parts) < MAX_DEPTH:
            with folder.folder(parts[-1]) as below:
                yield from self._in_folder(below, parts)

    def _in_file(self, folder: Folder, parts: Parts) -> Iterator[Match]:
        path = "/".join(parts)
        if not self._text:
            yield Match(path=path, line=None, text=None)
            return
        with folder.file(parts[-1]) as file:
            if file.size > MOST_BYTES_OF_A_FILE:
                self._too_large += 1
                return
            self._budget.read(file.size)
            data = file.read(0, file.size)
        if b"\0" in data:  # no lines in there that a person would read
            return
        for number, line in enumerate(data.decode(errors="replace").split("\n"), start=1):
            if (place := self._folded(line).find(self._text)) >= 0:
                start = max(0, place - LONGEST_LINE // 2)
                yield Match(path=path, line=number, text=line[start : start + LONGEST_LINE].rstrip("\r"))

    def _folded(self, text: str) -> str:
        return text.lower() if self._ignore_case else text


def search_files(top: Folder, arguments: SearchArguments, policy: FilesPolicy) -> Found:
    """Search a folder and everything below it. Raises `Refused`."""
    return Search(arguments, policy).run(top, parts_of(arguments.path))
