"""Archives for the tests, good and hostile, built byte by byte where the library would refuse to build them."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

SKILL_MD = b"---\nname: python-lint\ndescription: Lint Python files.\n---\n# Python lint\n"
GOOD = {"SKILL.md": SKILL_MD, "scripts/lint.py": b"print('ok')\n"}


def zipped(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The same bytes for the same files, whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, compression)
    return buffer.getvalue()


def zipped_entries(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return buffer.getvalue()


def zip_of_mode(path: str, mode: int) -> bytes:
    """A good skill with one more entry of this file type."""
    entry = zipfile.ZipInfo(path)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return zipped_entries((zipfile.ZipInfo("SKILL.md"), SKILL_MD), (entry, b"/etc/passwd"))


def tarred(*members: tarfile.TarInfo | tuple[str, bytes], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar.gz of a good SKILL.md and these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tar_format) as archive:
        for member in [("SKILL.md", SKILL_MD), *members]:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                archive.addfile(entry, io.BytesIO(member[1]))
    return buffer.getvalue()


def member(name: str, kind: bytes, *, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def raw_tar(*blocks: bytes) -> bytes:
    """A tar.gz of these blocks as they are, then a proper end."""
    return gzip.compress(b"".join(blocks) + bytes(1024))


def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)
