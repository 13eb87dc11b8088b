"""Files that a verb writes: whole, or as they were before."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from powerloom.cli.verbs import Failed


def write(file: Path, pieces: Iterable[bytes]) -> None:
    """Write a file: until everything came, what was there before stays. Raises `Failed` when it cannot be written."""
    try:
        if file.exists() and not file.is_file():  # a device or a pipe: nothing to keep
            with file.open("wb") as out:
                out.writelines(pieces)
        else:
            _replace(file.resolve(), pieces)
    except OSError as error:
        raise Failed(f"{file} cannot be written: {error.strerror}.") from error


def _replace(target: Path, pieces: Iterable[bytes]) -> None:
    partial = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with open(partial, "xb", opener=_for_us_alone) as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        partial.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else _mode_of_new_files())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that nobody else may read while it is written, whatever its mode is to be."""
    return os.open(path, flags, 0o600)


def _mode_of_new_files() -> int:
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
