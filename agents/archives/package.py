"""A skill's files, checked, named by their content and packed again so that equal content makes equal bytes."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from agents.archives.manifest import read_manifest
from agents.archives.paths import check_together, plain
from agents.archives.unpack import unpack
from powerloom.kernel.canonical import digest
from powerloom.kernel.errors import Invalid

MANIFEST = "SKILL.md"
LITTER = "__MACOSX/"  # resource forks that macOS adds beside the one top directory
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can carry
PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True)
class Package:
    """What is kept of an upload. `archive` has SKILL.md at its root; `size_bytes` is the content's, unpacked."""

    name: str
    description: str
    sha256: str
    size_bytes: int
    archive: bytes


def read_package(data: bytes) -> Package:
    """Check an uploaded zip or tar.gz entry by entry and rebuild it.

    Raises `Invalid` naming the entry or the field that is wrong, `TooLarge` over a limit.
    """
    files = _from_root(_files(data))
    manifest = read_manifest(files[MANIFEST])
    return Package(
        name=manifest.name,
        description=manifest.description,
        sha256=content_hash(files),
        size_bytes=sum(map(len, files.values())),
        archive=_packed(files),
    )


def files_of(archive: bytes) -> dict[str, bytes]:
    """Return the files of a rebuilt archive, by path from the skill's root, sorted."""
    with zipfile.ZipFile(BytesIO(archive)) as packed:
        return {entry.filename: packed.read(entry) for entry in packed.infolist()}


def content_hash(files: Mapping[str, bytes]) -> str:
    """Return the hex SHA-256 that names this content: of the canonical list of sorted paths and their digests."""
    return digest([[path, hashlib.sha256(files[path]).hexdigest()] for path in sorted(files)])


def _files(data: bytes) -> dict[str, bytes]:
    entries = []
    for name, content in unpack(data):
        if name in {"./", "."}:
            continue
        path = plain(name.removesuffix("/"))
        if not name.endswith("/") and not path.startswith(LITTER):
            entries.append((path, content))
    check_together(path for path, _ in entries)
    return dict(entries)


def _from_root(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Cut off the one top directory, if SKILL.md is not at the root already."""
    if MANIFEST in files:
        return dict(files)
    top, _, _ = next(iter(files), "").partition("/")
    if f"{top}/{MANIFEST}" not in files or any(not path.startswith(f"{top}/") for path in files):
        raise Invalid(f"A skill has {MANIFEST} at its root, or in its one top directory.", field="file")
    return {path.removeprefix(f"{top}/"): content for path, content in files.items()}


def _packed(files: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = PLAIN_FILE
            entry.create_system = 3  # Unix, wherever this runs
            packed.writestr(entry, files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
