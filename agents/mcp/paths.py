"""Paths that a caller names, below a folder that is served: the one reading of them, which policy and backend share.

A path is read into its parts and opened part by part, so what was decided is what is opened. Nothing is decoded,
expanded or normalized on the way: `%2e%2e` and `~` are names like any other. The names that are left out are those
that could mean another file elsewhere (`..`), hide what a person reads (bidi marks), or hide secrets (dotfiles).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Literal

MAX_PATH = 1024  # bytes of UTF-8
MAX_NAME = 255
MAX_DEPTH = 32
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # control, format (bidi), private use, surrogates, line separators
HIDDEN = "has a name in it that begins with a dot; those are not served"

Parts = tuple[str, ...]
Reach = Literal["inside", "above", "outside"]


class NotPlain(ValueError):
    """A path that is not opened, and why, as the rest of a sentence. `is_hidden`: because of a dot."""

    def __init__(self, words: str, *, is_hidden: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_hidden = is_hidden


def parts_of(path: str) -> Parts:
    """Return the parts of a relative path; none for the served folder itself. Raises `NotPlain`."""
    if len(path) > MAX_PATH:
        raise NotPlain("is too long")
    if path.startswith("/"):
        raise NotPlain("is absolute; paths are relative to the served folder")
    # An empty or single-dot part says nothing, so dropping it changes no meaning.
    parts = tuple(part for part in path.split("/") if part not in {"", "."})
    for part in parts:
        if fault := fault_of(part):
            raise NotPlain(fault, is_hidden=fault == HIDDEN)
    if len(parts) > MAX_DEPTH or len("/".join(parts).encode()) > MAX_PATH:
        raise NotPlain("is too long")
    return parts


def fault_of(name: str) -> str:
    """Return why a file of this name is not served, as the rest of a sentence; empty when it is."""
    if any(unicodedata.category(character) in UNSEEN for character in name):
        return "has a character in it that cannot be seen"
    if name == "..":
        return "leads upwards"
    if "\\" in name:
        return "has a backslash in it"
    if name.startswith("."):
        return HIDDEN
    if len(name.encode()) > MAX_NAME:
        return "has too long a name in it"
    return ""


def reach(parts: Parts, allowed: Iterable[Parts] | None) -> Reach:
    """Return where a path lies: in what is allowed (None: everything), above some of it, or outside.

    Compared part by part, so that `a` does not allow `ab`.
    """
    if allowed is None:
        return "inside"
    found: Reach = "outside"
    for prefix in allowed:
        if parts[: len(prefix)] == prefix:
            return "inside"
        if prefix[: len(parts)] == parts:
            found = "above"
    return found


def shown(path: str) -> str:
    """Return a path for a message: hidden characters escaped, long ones cut."""
    return ascii(path[:100])
