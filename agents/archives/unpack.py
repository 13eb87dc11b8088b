"""Zip and tar.gz to plain (name, bytes), with every byte counted before it is believed.

Sizes that an archive declares are never trusted: what counts is what comes out. Links, devices, sparse and encrypted
entries are refused, not skipped.
"""

from __future__ import annotations

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from agents.archives.paths import quoted
from powerloom.kernel.errors import Invalid, TooLarge

MAX_ENTRIES = 2_000
MAX_UNPACKED = 100 * 1024 * 1024
CHUNK = 64 * 1024

ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
GZIP = b"\x1f\x8b"
# Each record of a zip's directory begins so. Counting them bounds the directory before the library loads all of it;
# archives inside the archive count too, hence the room.
DIRECTORY_RECORD = b"PK\x01\x02"
MAX_DIRECTORY_RECORDS = 10 * MAX_ENTRIES

# What the standard library raises on bytes that are no archive, or a damaged one.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RecursionError,
)

Unpacked = Iterator[tuple[str, bytes]]  # a directory's name ends in `/`


def unpack(data: bytes) -> Unpacked:
    """Yield name and bytes of every file in a zip or tar.gz, in its order; directories too, without bytes.

    Raises `Invalid` on anything that is not a plain file or directory, and on damage; `TooLarge` over a limit.
    """
    if data.startswith((ZIP, EMPTY_ZIP)):
        return _guarded(_zip(data))
    if data.startswith(GZIP):
        return _guarded(_tar_gz(data))
    raise Invalid("A skill is a zip or a tar.gz archive.", field="file")


def _guarded(entries: Unpacked) -> Unpacked:
    try:
        yield from entries
    except DAMAGED as error:
        raise Invalid(f"The archive is damaged: {type(error).__name__}.", field="file") from error


def _zip(data: bytes) -> Unpacked:
    if data.count(DIRECTORY_RECORD) > MAX_DIRECTORY_RECORDS:
        raise _too_many()
    budget = _Budget()
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for entry in archive.infolist():
            budget.entry()
            _check_zip_entry(entry)
            with archive.open(entry) as stream:
                yield entry.orig_filename, budget.read(stream)


def _check_zip_entry(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & 0x1:
        raise _refused(entry.orig_filename, "is encrypted")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _refused(entry.orig_filename, "is compressed in a way other than deflate")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _refused(entry.orig_filename, "is not a plain file")
    if entry.orig_filename.endswith("/") and entry.file_size:
        raise _refused(entry.orig_filename, "is a directory with contents of its own")


def _tar_gz(data: bytes) -> Unpacked:
    budget = _Budget()
    raw = _inflated(data)
    with tarfile.open(fileobj=BytesIO(raw), mode="r|", errorlevel=2) as archive:
        for member in archive:
            budget.entry()
            if member.isdir():
                yield f"{member.name}/", b""
                continue
            if member.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or member.issparse():
                raise _refused(member.name, "is not a plain file")
            content = archive.extractfile(member)
            assert content is not None, "a regular member has content"
            yield member.name, budget.read(content)
        if raw[archive.offset :].strip(b"\0"):  # the library takes a broken header for the end
            raise tarfile.ReadError


def _inflated(data: bytes) -> bytes:
    """Return what the gzip holds; a tar's headers and paddings count as well as its files."""
    left = MAX_UNPACKED + MAX_ENTRIES * 4 * tarfile.BLOCKSIZE
    with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
        raw = stream.read(left + 1)
    if len(raw) > left:
        raise _too_big()
    return raw


class _Budget:
    """What one archive may still unpack to."""

    def __init__(self) -> None:
        self._entries = MAX_ENTRIES
        self._bytes = MAX_UNPACKED

    def entry(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise _too_many()

    def read(self, stream: IO[bytes]) -> bytes:
        chunks = []
        while chunk := stream.read(CHUNK):
            self._bytes -= len(chunk)
            if self._bytes < 0:
                raise _too_big()
            chunks.append(chunk)
        return b"".join(chunks)


def _refused(name: str, why: str) -> Invalid:
    return Invalid(f"The archive's entry {quoted(name)} {why}.", field="file")


def _too_many() -> TooLarge:
    return TooLarge(f"A skill has at most {MAX_ENTRIES} entries.", field="file", limit=MAX_ENTRIES)


def _too_big() -> TooLarge:
    return TooLarge(f"A skill unpacks to at most {MAX_UNPACKED} bytes.", field="file", limit=MAX_UNPACKED)
