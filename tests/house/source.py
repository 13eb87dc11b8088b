"""What a house rule reads, and what it answers.

A rule is a function from one file to findings. A finding says what to do instead: a lint that only says no is a riddle.
"""

import ast
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

PRODUCT = {"powerloom", "accounts", "agents", "sessions", "approvals"}


@dataclass(frozen=True)
class Finding:
    line: int
    advice: str


@dataclass(frozen=True)
class Source:
    """One text file of the repository; its path is relative to the root."""

    name: str
    text: str

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.name)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def is_product(self) -> bool:
        """Python that is delivered, and written by hand."""
        return self.path.suffix == ".py" and self.path.parts[0] in PRODUCT and "migrations" not in self.path.parts

    @property
    def is_vendored(self) -> bool:
        return "vendor" in self.path.parts

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def imports(self) -> Iterator[tuple[int, str]]:
        """Answer line and full name of everything imported, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{node.module or ''}.{alias.name}") for alias in node.names)


Rule = Callable[[Source], Iterator[Finding]]


def dotted(node: ast.expr) -> str:
    """`transaction.atomic` for that expression; what is no plain name ends in nothing."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def sources() -> Iterator[Source]:
    """Every text file that git tracks, or would if it were added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    )
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        try:
            yield Source(name, Path(name).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
