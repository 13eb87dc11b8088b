"""Which folders of this machine may be file roots. Judged by the path alone, so that asking touches no disk.

What a root serves is everything below it but what lies behind a name that begins with a dot. So a root may contain a
folder that is not for agents only behind such a name, and may never lie in one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from django.conf import settings

# What the kernel and the running services say here is no file of anybody's.
SYSTEM = tuple(PurePosixPath(path) for path in ("/dev", "/proc", "/run", "/sys"))
LONGEST = 1024  # characters; the column's


def fault_of(path: str) -> str:
    """Return why a folder may not be a root, as the rest of a sentence; empty when it may."""
    root = PurePosixPath(path)
    if not root.is_absolute() or os.path.normpath(path) != path or path.startswith("//"):
        return "is not an absolute, plain path"
    if len(path) > LONGEST or not path.isprintable():
        return "is too long, or has a character that cannot be seen"
    if hidden := next((part for part in root.parts if part.startswith(".")), None):
        return f"lies behind {hidden}: what a dot hides is not served"
    for kept in SYSTEM:
        if _overlap(root, kept):
            return f"overlaps {kept}, where the system keeps no files"
    for kept in kept_folders():
        if _overlap(root, kept):
            return f"overlaps {kept}, where Powerloom keeps its data"
    return ""


def kept_folders() -> Iterator[PurePosixPath]:
    """Yield the folders with Powerloom's own data: database, keys, audit heads, file areas."""
    for folder in (settings.HOME, settings.FILES, settings.AUDIT_HEADS, settings.AUDIT_KEY.parent):
        yield PurePosixPath(folder)


def _overlap(root: PurePosixPath, kept: PurePosixPath) -> bool:
    if root == kept or kept in root.parents:
        return True
    return root in kept.parents and not any(part.startswith(".") for part in kept.relative_to(root).parts)
