"""Master keys in one local file that only its owner may read: `{"current": id, "keys": {id: base64}}`.

Every process reads the file again when it changed, so a rotation needs no restart. Earlier keys stay in it: backups
were sealed under them too.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from django.conf import settings

from powerloom.kernel.envelope import KEY_BYTES, KeyMissing, MasterKey

Stamp = tuple[int, int, int]


class KeyFileExposed(Exception):
    """Others than its owner may read the file."""


@cache
def local_keys() -> KeyFile:
    """Return the master keys of the data folder, the provider of an installation that names no other."""
    return KeyFile(settings.HOME / "keys" / "master.json")


class KeyFile:
    """The provider over one file, made with its first key on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: Stamp | None = None
        self._current = ""
        self._keys: dict[str, bytes] = {}

    def current(self) -> MasterKey:
        self._refresh()
        return MasterKey(self._current, self._keys[self._current])

    def named(self, key_id: str) -> MasterKey:
        self._refresh()
        if key_id not in self._keys:
            raise KeyMissing(f"The master key {key_id} is not in {self.path}.")
        return MasterKey(key_id, self._keys[key_id])

    def rotate(self) -> MasterKey:
        with self._locked():
            self._refresh()
            key_id = f"local-{len(self._keys) + 1}"
            self._write(key_id, {**self._keys, key_id: os.urandom(KEY_BYTES)})
        return self.current()

    def _refresh(self) -> None:
        """Read the file when it is another one than the last time. Raises `KeyFileExposed`."""
        if not self.path.exists():
            self._make()
        found = self.path.stat()
        if stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileExposed(f"{self.path} is readable by others: chmod 600 it, and rotate the master key.")
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._read_at:
            stored = json.loads(self.path.read_text())
            self._current = stored["current"]
            self._keys = {key_id: b64decode(key) for key_id, key in stored["keys"].items()}
            self._read_at = stamp

    def _make(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            if not self.path.exists():
                self._write("local-1", {"local-1": os.urandom(KEY_BYTES)})

    def _write(self, current: str, keys: dict[str, bytes]) -> None:
        """Replace the file in one step: a reader sees the old one or the new one, never half of one."""
        stored = {"current": current, "keys": {key_id: b64encode(key).decode() for key_id, key in keys.items()}}
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.name}.")  # 0600 by contract
        with os.fdopen(descriptor, "w") as file:
            json.dump(stored, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time change the file."""
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
