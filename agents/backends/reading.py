"""What the tools of `files` do in a served folder. Blocking, and bounded in bytes and entries."""

from __future__ import annotations

import base64
import os
import stat
from datetime import UTC, datetime

from agents.backends.folders import File, Folder
from agents.mcp.files import (
    Encoding,
    Entry,
    FilesPolicy,
    ListArguments,
    Listing,
    Page,
    ReadArguments,
    WriteArguments,
    Written,
)
from agents.mcp.paths import Parts, fault_of, parts_of, reach

MOST_ENTRIES = 20_000  # of one folder that are looked at
LONGEST_CHARACTER = 4  # bytes of UTF-8


def list_files(top: Folder, arguments: ListArguments, policy: FilesPolicy) -> Listing:
    """List a folder in the order of names. Raises `Refused`."""
    parts = parts_of(arguments.path)
    with top.down(parts) as folder:
        names, notes = served_names(folder, parts, policy)
        names = [name for name in names if name > arguments.after]
        limit = min(arguments.limit, policy.max_entries)
        entries = [entry for name in names[:limit] if (entry := _entry(folder, name))]
    next_after = names[limit - 1] if len(names) > limit else None
    return Listing(path="/".join(parts), entries=entries, next_after=next_after, notes=notes)


def read_file(top: Folder, arguments: ReadArguments, policy: FilesPolicy) -> Page:
    """Read a file or a part of it. Raises `Refused`."""
    parts = parts_of(arguments.path)
    with top.down(parts[:-1]) as folder, folder.file(parts[-1]) as file:
        data = file.read(arguments.offset, min(arguments.limit, policy.max_read_bytes))
        encoding, content, length = _as_text(data, file, arguments.offset)
        end = arguments.offset + length
        return Page(
            path="/".join(parts),
            size=file.size,
            offset=arguments.offset,
            encoding=encoding,
            content=content,
            next_offset=end if length and end < file.size else None,
        )


def write_file(top: Folder, arguments: WriteArguments, policy: FilesPolicy) -> Written:
    """Write a file as a whole, its folders too. Raises `Refused`."""
    parts, data = parts_of(arguments.path), arguments.data()
    with top.down(parts[:-1], make=True) as folder:
        is_new = folder.write(parts[-1], data, if_absent=arguments.if_absent)
    return Written(path="/".join(parts), size=len(data), is_new=is_new)


def served_names(folder: Folder, parts: Parts, policy: FilesPolicy) -> tuple[list[str], list[str]]:
    """Return the sorted names in a folder that may be shown, and notes about what is left out."""
    entries, is_all = folder.entries(MOST_ENTRIES)
    allowed = policy.allowed()
    in_reach = [entry for entry in entries if reach((*parts, entry.name), allowed) != "outside"]
    plain = [entry for entry in in_reach if not fault_of(entry.name)]
    names = sorted(entry.name for entry in plain if _is_regular(entry))
    notes = [] if is_all else [f"The folder has more than {MOST_ENTRIES} entries; the others are left out."]
    if left_out := len(in_reach) - len(names):
        notes.append(f"{left_out} left out: hidden, or neither a regular file nor a folder.")
    return names, notes


def _is_regular(entry: os.DirEntry[str]) -> bool:
    # What the directory itself says; whoever opens it looks again.
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def _entry(folder: Folder, name: str) -> Entry | None:
    found = folder.look(name)
    if found is None:  # gone since it was listed
        return None
    is_folder = stat.S_ISDIR(found.st_mode)
    moment = datetime.fromtimestamp(int(found.st_mtime), UTC).isoformat()
    size = None if is_folder else found.st_size
    return Entry(name=name, kind="folder" if is_folder else "file", size=size, modified_at=moment)


def _as_text(data: bytes, file: File, offset: int) -> tuple[Encoding, str, int]:
    """Return how the bytes are told, and how many of them: a character that the limit cut waits for the next page."""
    whole = len(data)
    if offset + whole < file.size:
        whole -= _cut_at_the_end(data)
    try:
        if whole or not data:
            return "utf-8", data[:whole].decode(), whole
    except UnicodeDecodeError:
        pass  # not text, so base64 is how it is told
    return "base64", base64.b64encode(data).decode(), len(data)


def _cut_at_the_end(data: bytes) -> int:
    """Return how many bytes at the end begin a character without ending it."""
    for back in range(1, min(LONGEST_CHARACTER, len(data) + 1)):
        byte = data[-back]
        if byte & 0b1100_0000 == 0b1000_0000:  # goes on with a character
            continue
        needed = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        return back if needed > back else 0
    return 0
