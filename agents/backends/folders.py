"""Folders and files by descriptor: what cannot be left by a name, a link or a race.

A path is walked one name at a time, each opened relative to the folder before it and never through a link, so whoever
renames or swaps things meanwhile changes what is found, never where. Only regular files are opened: a pipe would hang,
a device would act. No folder on another file system is entered, and none that was named shut.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a pipe that was swapped in after the look would wait for somebody to write.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SPARE = 64 * 1024 * 1024  # bytes that no write takes from a disk

Identity = tuple[int, int]

WORDS = {
    errno.ENOENT: "does not exist",
    errno.ELOOP: "is a link; links are not followed",
    errno.EMLINK: "is a link; links are not followed",
    errno.ENOTDIR: "is not a folder, or is a link; links are not followed",
    errno.EISDIR: "is a folder",
    errno.EACCES: "may not be opened by this server",
    errno.EPERM: "may not be opened by this server",
    errno.EROFS: "lies on a disk that is read-only",
    errno.ENOSPC: "does not fit on the disk",
    errno.EDQUOT: "does not fit on the disk",
    errno.ENAMETOOLONG: "has too long a name",
    errno.EMFILE: "cannot be opened now: this server has too many files open",
    errno.ENFILE: "cannot be opened now: this server has too many files open",
}


class Refused(Exception):
    """Something could not be opened or written; why, as the rest of a sentence that names no place on the machine."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the system says into `Refused`, with words of ours."""
    try:
        yield
    except OSError as error:
        raise Refused(WORDS.get(error.errno or 0, "cannot be opened")) from None


@dataclass(frozen=True)
class File:
    """An open regular file."""

    descriptor: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        with refusals():
            return os.pread(self.descriptor, length, offset)


class Folder:
    """An open folder. Use it as a context; what it opens is closed by its own context."""

    def __init__(self, descriptor: int, *, device: int, shut: frozenset[Identity]) -> None:
        self.descriptor = descriptor
        self._device = device
        self._shut = shut

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def folder(self, name: str) -> Folder:
        """Open the folder of this name. Raises `Refused`."""
        with refusals():
            descriptor = os.open(name, FOLDER, dir_fd=self.descriptor)
        found = os.fstat(descriptor)
        if found.st_dev != self._device or (found.st_dev, found.st_ino) in self._shut:
            os.close(descriptor)
            raise Refused("is not part of what is served")
        return Folder(descriptor, device=self._device, shut=self._shut)

    def down(self, parts: Iterable[str], *, make: bool = False) -> Folder:
        """Open a folder below, or this one anew when there are no parts; with `make`, missing ones are made."""
        here = Folder(os.dup(self.descriptor), device=self._device, shut=self._shut)
        for name in parts:
            with here:  # closed when left, whether or not there is a way on
                if make:
                    here.make(name)
                here = here.folder(name)
        return here

    def make(self, name: str) -> None:
        """Make a folder of this name, if nothing has the name."""
        with refusals(), contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=self.descriptor)

    def is_file(self, name: str) -> bool:
        """Return whether the name is a regular file's; False for nothing. Raises `Refused` for anything else."""
        found = self.look(name)
        if found is None:
            return False
        if not stat.S_ISREG(found.st_mode):
            raise Refused("is not a regular file; links, folders, pipes and devices are not opened")
        return True

    def is_folder(self, name: str) -> bool:
        """Return whether the name is a folder's. Raises `Refused`."""
        found = self.look(name)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def look(self, name: str) -> os.stat_result | None:
        """Return what the name is, unfollowed; None for nothing."""
        with refusals(), contextlib.suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        return None

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[File]:
        """Open a regular file to read. Raises `Refused`."""
        # Looked at first, because opening a device may already act; and again, because it may have been swapped.
        if not self.is_file(name):
            raise Refused("does not exist")
        with refusals():
            descriptor = os.open(name, FILE, dir_fd=self.descriptor)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Refused("is not a regular file; links, folders, pipes and devices are not opened")
            yield File(descriptor, found.st_size)
        finally:
            os.close(descriptor)

    def entries(self, most: int) -> tuple[list[os.DirEntry[str]], bool]:
        """Return up to `most` entries in no order, and whether these are all."""
        with refusals(), os.scandir(self.descriptor) as found:
            entries: list[os.DirEntry[str]] = []
            for entry in found:
                if len(entries) == most:
                    return entries, False
                entries.append(entry)
        return entries, True

    def write(self, name: str, data: bytes, *, if_absent: bool) -> bool:
        """Put a file of this content under the name, at once and as a whole; return whether the name is new.

        Readers see the old content or the new. Raises `Refused`, and then nothing changed.
        """
        is_new = not self.is_file(name)
        if if_absent and not is_new:
            raise Refused("exists already")
        with refusals():
            space = os.fstatvfs(self.descriptor)
        if space.f_bavail * space.f_frsize < len(data) + SPARE:
            raise Refused("does not fit on the disk")
        draft = f".{secrets.token_hex(16)}.draft"  # a name that is neither listed nor opened
        with refusals():
            try:
                self._draft(draft, data, mode=None if is_new else self._mode(name))
                if if_absent:
                    self._publish_new(draft, name)
                else:
                    # A link that was swapped in meanwhile is replaced itself, not what it points to.
                    os.replace(draft, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
                os.fsync(self.descriptor)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=self.descriptor)
        return is_new

    def _draft(self, name: str, data: bytes, *, mode: int | None) -> None:
        with os.fdopen(os.open(name, NEW_FILE, 0o666, dir_fd=self.descriptor), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _mode(self, name: str) -> int | None:
        found = self.look(name)
        return stat.S_IMODE(found.st_mode) & 0o777 if found else None

    def _publish_new(self, draft: str, name: str) -> None:
        here = self.descriptor
        try:
            os.link(draft, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
        except FileExistsError:
            raise Refused("exists already") from None


def open_folder(path: str, *, shut: Iterable[Identity] = ()) -> Folder:
    """Open a folder by its absolute path, in which no name may be a link. Raises `Refused`."""
    with refusals():
        descriptor = os.open("/", FOLDER)
    for name in filter(None, path.split("/")):
        try:
            with refusals():
                below = os.open(name, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    found = os.fstat(descriptor)
    closed = frozenset(shut)
    if (found.st_dev, found.st_ino) in closed:
        os.close(descriptor)
        raise Refused("is not part of what is served")
    return Folder(descriptor, device=found.st_dev, shut=closed)
