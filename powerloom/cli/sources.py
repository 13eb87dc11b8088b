"""Manifests as they lie on disk: files, folders, or standard input, sent as one text, and lines told per file."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from powerloom.cli.verbs import USAGE, Failed

STDIN = "-"
SUFFIXES = {".yaml", ".yml", ".json"}
SEPARATOR = b"---\n"


@dataclass(frozen=True)
class Sources:
    """The text that is sent, and where each file begins in it."""

    text: bytes
    starts: Sequence[int]  # lines, counted from 1
    names: Sequence[str]

    def place(self, line: int) -> str:
        """Return file and line for a line of the whole text."""
        which = max(bisect_right(self.starts, line) - 1, 0)
        return f"{self.names[which]}:{line - self.starts[which] + 1}"


def read(paths: Sequence[str]) -> Sources:
    """Return the manifests that the paths name; a folder means every YAML and JSON file in it. Raises `Failed`."""
    text, starts, names = b"", [], []
    for name, content in ((name, _content(name)) for path in paths for name in _files(path)):
        if text:
            text += SEPARATOR
        starts.append(text.count(b"\n") + 1)
        names.append("stdin" if name == STDIN else name)
        text += content if content.endswith(b"\n") or not content else content + b"\n"
    return Sources(text, starts, names)


def _files(path: str) -> list[str]:
    if path == STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(str(file) for file in Path(path).rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise Failed(f"There is no YAML or JSON file in {path}.", USAGE)
    return found


def _content(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise Failed(f"{name} cannot be read: {error.strerror}.", USAGE) from error
