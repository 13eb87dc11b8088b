"""Runs the tools of `files`: finds the served folder anew for each call, and does the rest on threads of its own.

The file areas lie in `settings.FILES/<organization id>/<ou id>/`, so two organizations never share a folder, whatever
they call theirs. A root is looked up at every call: a revoked one ends with the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast  # Any: the tool's arguments, by tool
from uuid import UUID

from channels.db import database_sync_to_async
from django.conf import settings
from pydantic import BaseModel

from agents.backends.base import Answer, Backend, Served, Unfit
from agents.backends.folders import Folder, Identity, Refused, open_folder
from agents.backends.reading import list_files, read_file, write_file
from agents.backends.searching import search_files
from agents.mcp.files import FilesConfig, FilesPolicy, Found, Listing, Page, Written, may_write
from agents.mcp.paths import NotPlain, shown
from agents.mcp.template import Call
from agents.queries.roots import is_granted
from agents.roots import fault_of, kept_folders

THREADS = 8  # calls that read or write at once; the others wait
SEARCH_THREADS = 2  # searches take seconds, so they wait for each other and for nobody else

Of = Served[FilesConfig, FilesPolicy]
T = TypeVar("T")

TOOLS: dict[str, Callable[[Folder, Any, FilesPolicy], BaseModel]] = {
    "list_files": list_files,
    "read_file": read_file,
    "search_files": search_files,
    "write_file": write_file,
}


class FilesBackend(Backend[FilesConfig, FilesPolicy]):
    """Threads that read and write; `close` ends them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._search_threads = ThreadPoolExecutor(SEARCH_THREADS, thread_name_prefix="files-search")

    async def check(self, served: Of) -> list[str]:
        root = served.config.root
        if root is not None and (fault := fault_of(root)):
            raise Unfit("root", f"{root} {fault}. Choose another folder.")
        if root is not None and not await _is_granted(served.organization_id, root):
            raise Unfit(
                "root",
                f"{root} is not granted to this organization. Whoever runs the server can grant it: "
                f"manage.py grant_file_root ORGANIZATION {root}",
            )
        try:
            return await _on(self._threads, partial(_look_around, served))
        except Refused as refused:
            fix = "Create it on the server, without links in its path." if root else "See POWERLOOM_FILES."
            raise Unfit("folder", f"The folder {refused.words}. {fix}") from None

    async def call(self, served: Of, call: Call) -> Answer:
        root = served.config.root
        if root is not None and not (await _is_granted(served.organization_id, root) and not fault_of(root)):
            return Answer("The folder of this deployment is not granted to its organization any more.", is_error=True)
        threads = self._search_threads if call.tool == "search_files" else self._threads
        try:
            found = await _on(threads, partial(_run, served, call))
        except (NotPlain, Refused) as refused:
            path = getattr(call.arguments, "path", "")
            return Answer(f"{shown(path) if path else 'The served folder'} {refused.words}.", is_error=True)
        return Answer(_told(found), structured=found.model_dump(mode="json"))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._search_threads.shutdown(wait=False, cancel_futures=True)


async def _on(threads: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, function)


async def _is_granted(organization_id: UUID, root: str) -> bool:
    return await database_sync_to_async(is_granted, thread_sensitive=False)(organization_id, root)


def _run(served: Of, call: Call) -> BaseModel:
    with _opened(served) as top:
        return TOOLS[call.tool](top, call.arguments, served.policy)


def _look_around(served: Of) -> list[str]:
    """Open the folder, made if it is one of ours to make, and return warnings."""
    warnings = []
    with _opened(served, make=True) as top:
        if may_write(served.config, served.policy) and not os.access(".", os.W_OK, dir_fd=top.descriptor):
            warnings.append("The policy allows writing, but this server may not write in the folder.")
        absent = [path for path in served.policy.allowed_paths or [] if not _is_there(top, path)]
        warnings += [f"allowed_paths: {path} is not there yet." for path in absent]
    return warnings


def _is_there(top: Folder, path: str) -> bool:
    *above, name = path.split("/")
    with contextlib.suppress(Refused), top.down(above) as folder:
        return not name or folder.look(name) is not None
    return False


def _opened(served: Of, *, make: bool = False) -> Folder:
    if served.config.root is not None:
        return open_folder(served.config.root, shut=_shut())
    if make:
        settings.FILES.mkdir(mode=0o700, parents=True, exist_ok=True)
    area = (str(served.organization_id), str(served.ou_id))
    prefix = served.config.bucket_prefix
    with open_folder(str(settings.FILES)) as files:
        return files.down((*area, *(prefix.split("/") if prefix else ())), make=make)


def _shut() -> list[Identity]:
    """Return what no root leads into, whatever the names on the way say."""
    found = []
    for folder in kept_folders():
        with contextlib.suppress(OSError):
            status = os.stat(folder)  # noqa: PTH116 - a pure path
            found.append((status.st_dev, status.st_ino))
    return found


def _told(found: BaseModel) -> str:
    """Return the result as a text for the model."""
    match found:
        case Listing(entries=entries, next_after=after, notes=notes):
            lines = [f"{entry.name}/" if entry.kind == "folder" else f"{entry.name}  {entry.size}" for entry in entries]
            notes = [*notes, f"There is more: go on after {after!r}."] if after else notes
            return _with_notes(lines or ["Nothing."], notes)
        case Page(content=content, encoding=encoding, size=size, offset=offset, next_offset=next_offset):
            told = [] if encoding == "utf-8" else ["This is base64: the bytes are not UTF-8."]
            if next_offset:
                told.append(f"Bytes {offset} to {next_offset} of {size}: go on at offset {next_offset}.")
            return _with_notes([content], told)
        case Found(matches=matches, notes=notes):
            lines = [item.path if item.line is None else f"{item.path}:{item.line}: {item.text}" for item in matches]
            return _with_notes(lines or ["Nothing found."], notes)
    written = cast("Written", found)
    return f"Wrote {written.size} bytes to {written.path}."


def _with_notes(lines: list[str], notes: list[str]) -> str:
    return "\n".join([*lines, *(f"[{note}]" for note in notes)])
