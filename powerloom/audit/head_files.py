"""Where the signed heads and their keys are on disk: read by everyone who verifies, appended to by the signer alone.

    <POWERLOOM_AUDIT_HEADS>/heads.jsonl     the log            <POWERLOOM_AUDIT_HEADS>/head.pub     the public key
    <POWERLOOM_AUDIT_KEY>                   the private key, mode 0600, readable by the signer alone

The folder may be a mount of another machine, and should be: who can write the database must not be able to write the
log.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from django.conf import settings

from powerloom.audit.heads import BadHeads, HeadLog, public_key, public_pem

OTHERS = 0o077
CHUNK = 4 * 1024 * 1024  # bytes of the log that are read at once


class KeyTrouble(Exception):
    """The signing key is missing, open to others, or not of this log; the message says what to do."""


class HeadFile:
    """The log on disk, read once and then only what was appended. Safe to share between threads."""

    def __init__(self, folder: Path, *, keep: UUID | bool = False) -> None:
        self.folder = folder
        self._keep = keep
        self._lock = Lock()
        self._log: HeadLog | None = None
        self._read = 0

    @property
    def path(self) -> Path:
        return self.folder / "heads.jsonl"

    @property
    def public_path(self) -> Path:
        return self.folder / "head.pub"

    def log(self) -> HeadLog | None:
        """Return the log as it is now, or None where nothing was ever signed. Raises `BadHeads`."""
        with self._lock:
            if not self.public_path.exists():
                return None
            if self._log is None or not self.path.exists() or self.path.stat().st_size < self._read:
                self._log = HeadLog(public_key(self.public_path.read_bytes()), keep=self._keep)
                self._read = 0
            self._read_on(self._log)
            return self._log

    def _read_on(self, log: HeadLog) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            while lines := file.readlines(CHUNK):
                whole = [line for line in lines if line.endswith(b"\n")]
                log.feed([line[:-1].decode(errors="replace") for line in whole])
                self._read += sum(len(line) for line in whole)
                if len(whole) < len(lines):
                    return  # the signer is writing the last one, or was killed while it wrote

    @contextmanager
    def appending(self) -> Iterator[HeadLog]:
        """Hold the log alone: two signers take turns. A half-written last line is dropped, it was never a record."""
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            log = self.log()
            if log is None:
                raise KeyTrouble(f"{self.public_path} is missing beside the head log. Put it back.")
            file.truncate(self._read)
            yield log

    def append(self, line: str) -> None:
        """Add one record for good; call it while `appending`."""
        with self.path.open("ab") as file:
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def signing_key(files: HeadFile, path: Path) -> Ed25519PrivateKey:
    """Return the private key; with the first use it is made and its public key written beside the log.

    Raises `KeyTrouble` when others may read it, or when it is not the key of this log.
    """
    if not path.exists():
        if files.public_path.exists():
            raise KeyTrouble(f"{path} is gone, so nothing more can be signed in {files.path}. Put it back.")
        _make(path)
    if path.stat().st_mode & OTHERS:
        raise KeyTrouble(f"{path} is open to others than its owner. Run: chmod 600 {path}")
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyTrouble(f"{path} is not an Ed25519 key.")
    _publish(files, key)
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    try:
        os.link(made, path)  # whole, or not at all; where two start at once, the first key stays
    except FileExistsError:
        pass
    finally:
        made.unlink()


def _publish(files: HeadFile, key: Ed25519PrivateKey) -> None:
    pem = public_pem(key.public_key())
    files.folder.mkdir(parents=True, exist_ok=True)
    if not files.public_path.exists():
        files.public_path.write_text(pem)
    elif files.public_path.read_text() != pem:
        raise KeyTrouble(f"The signing key is not the one of {files.public_path}. Put the right one in its place.")


_shared: dict[Path, HeadFile] = {}


def shared() -> HeadFile:
    """Return the log of `settings.AUDIT_HEADS`, kept between calls so that only what is new is read."""
    return _shared.setdefault(settings.AUDIT_HEADS, HeadFile(settings.AUDIT_HEADS))


__all__ = ["BadHeads", "HeadFile", "KeyTrouble", "shared", "signing_key"]
