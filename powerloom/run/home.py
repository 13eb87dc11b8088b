"""The data folder of the embedded mode: made on first use, used by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class HomeInUse(Exception):
    """Another process serves from this folder."""


def claim(home: Path) -> IO[str]:
    """Make the folder and lock it for the life of the returned file. Raises `HomeInUse`.

    It holds every tenant's data: from here on this process makes files and folders for its own user alone.
    """
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    file = (home / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise HomeInUse(f"{home} is in use by another powerloom. Stop it, or set POWERLOOM_HOME.") from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
