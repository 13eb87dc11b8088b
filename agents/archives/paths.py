"""Names inside an archive: each must be a plain relative path, and no two may mean the same file anywhere.

"Anywhere" is the strictest of the file systems that will ever unpack it: some fold case, some normalize Unicode, some
drop trailing dots and spaces, some read a colon or a backslash as syntax.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from powerloom.kernel.errors import Invalid

MAX_PATH = 512  # bytes of UTF-8
MAX_SEGMENT = 255
MAX_DEPTH = 16
MAX_SHOWN = 100
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # control, format (bidi), private use, surrogates, line separators
SYNTAX = {"\\", ":"}


def plain(name: str) -> str:
    """Return the entry's path without a leading `./`. Raises `Invalid` when it is not a plain relative path."""
    path = name
    while path.startswith("./"):
        path = path[2:]
    if why := _fault(path):
        raise Invalid(f"The archive's entry {quoted(name)} {why}.", field="file")
    return path


def check_together(paths: Iterable[str]) -> None:
    """Raise `Invalid` when two of the paths are the same, or would be on some file system."""
    folders: dict[str, str] = {}
    files: dict[str, str] = {}
    for path in paths:
        _take(files, path, taken=folders)
        for folder in _folders(path):
            if folders.get(_folded(folder)) != folder:
                _take(folders, folder, taken=files)


def quoted(name: str) -> str:
    """Return a name for a message: hidden characters escaped, long ones cut."""
    return ascii(name[:MAX_SHOWN])


def _take(names: dict[str, str], path: str, *, taken: dict[str, str]) -> None:
    key = _folded(path)
    if other := names.get(key) or taken.get(key):
        raise Invalid(f"The archive's entries {quoted(other)} and {quoted(path)} collide.", field="file")
    names[key] = path


def _folders(path: str) -> list[str]:
    segments = path.split("/")
    return ["/".join(segments[:depth]) for depth in range(1, len(segments))]


def _fault(path: str) -> str:
    if not path or path.startswith("/"):
        return "is not a relative path"
    if any(unicodedata.category(character) in UNSEEN for character in path):
        return "has a character in its name that cannot be seen"
    if SYNTAX.intersection(path):
        return "has a backslash or a colon in its name"
    return _segment_fault(path)


def _segment_fault(path: str) -> str:
    segments = path.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        return "is not a plain path"
    if any(segment != segment.strip(" ").rstrip(".") for segment in segments):
        return "has a space or a dot at the end of a name"
    is_long = any(len(segment.encode()) > MAX_SEGMENT for segment in segments)
    if is_long or len(path.encode()) > MAX_PATH or len(segments) > MAX_DEPTH:
        return "has too long a path"
    return ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
