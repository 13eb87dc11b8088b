"""Skill archives: good ones come out the same whatever packed them, and hostile ones do not come out at all."""

import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from agents.archives import MAX_ENTRIES, MAX_UNPACKED, files_of, read_package
from powerloom.kernel.errors import Invalid, TooLarge
from tests.archives import (
    GOOD,
    SKILL_MD,
    header,
    member,
    padded,
    raw_tar,
    tarred,
    zip_of_mode,
    zipped,
    zipped_entries,
)


def with_skill(path: str) -> bytes:
    return zipped({"SKILL.md": SKILL_MD, path: b"x"})


# --- What is kept


def test_it_reads_name_and_description_from_the_front_matter() -> None:
    package = read_package(zipped(GOOD))
    assert (package.name, package.description) == ("python-lint", "Lint Python files.")
    assert package.size_bytes == sum(map(len, GOOD.values()))


def test_it_keeps_the_files_and_nothing_else() -> None:
    assert files_of(read_package(zipped(GOOD)).archive) == GOOD


def test_one_top_directory_is_cut_off() -> None:
    package = read_package(zipped({f"python-lint/{path}": content for path, content in GOOD.items()}))
    assert files_of(package.archive) == GOOD


@pytest.mark.parametrize(
    "data",
    [
        zipped(dict(reversed(GOOD.items()))),
        zipped(GOOD, compression=zipfile.ZIP_STORED),
        zipped({f"any-name/{path}": content for path, content in GOOD.items()}),
        zipped({"__MACOSX/._SKILL.md": b"\x00", **GOOD}),
        tarred(("scripts/lint.py", GOOD["scripts/lint.py"])),
        tarred(("./scripts/lint.py", GOOD["scripts/lint.py"]), member("scripts", tarfile.DIRTYPE)),
        tarred(("scripts/lint.py", GOOD["scripts/lint.py"]), tar_format=tarfile.GNU_FORMAT),
        tarred(("scripts/lint.py", GOOD["scripts/lint.py"]), tar_format=tarfile.USTAR_FORMAT),
    ],
    ids=["order", "stored", "top", "macos", "tar", "tar-dot", "tar-gnu", "tar-ustar"],
)
def test_equal_content_makes_equal_bytes_however_it_was_packed(data: bytes) -> None:
    expected = read_package(zipped(GOOD))
    assert read_package(data) == expected


def test_other_content_has_another_hash() -> None:
    one = read_package(zipped(GOOD))
    moved = read_package(zipped({"SKILL.md": SKILL_MD, "scripts/lint2.py": GOOD["scripts/lint.py"]}))
    changed = read_package(zipped({**GOOD, "scripts/lint.py": b"print('no')\n"}))
    assert len({one.sha256, moved.sha256, changed.sha256}) == 3


def test_names_of_any_language_are_kept() -> None:
    files = {"SKILL.md": SKILL_MD, "références/日本語.md": b"x"}
    assert files_of(read_package(zipped(files)).archive) == files


# --- Hostile zips


def encrypted() -> bytes:
    data = bytearray(zipped(GOOD))
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    return bytes(data)


def other_local_name() -> bytes:
    data = zipped(GOOD)
    place = data.index(b"scripts/lint.py")
    return data[:place] + b"scripts/root.py" + data[place + 15 :]


def wrong_checksum() -> bytes:
    data = bytearray(zipped(GOOD, compression=zipfile.ZIP_STORED))
    data[data.index(b"print")] ^= 1
    return bytes(data)


def twice(path: str) -> bytes:
    entries = [(zipfile.ZipInfo(path), b"a"), (zipfile.ZipInfo(path + "\x00"), b"b")]
    entries[1][0].filename = path
    with pytest.warns(UserWarning, match="Duplicate"):
        return zipped_entries((zipfile.ZipInfo("SKILL.md"), SKILL_MD), *entries)


def nul_in_name() -> bytes:
    return with_skill("scripts/aXb.py").replace(b"scripts/aXb.py", b"scripts/a\x00b.py")


def directory_with_contents() -> bytes:
    return zipped_entries((zipfile.ZipInfo("SKILL.md"), SKILL_MD), (zipfile.ZipInfo("scripts/"), b"contents"))


def empty_name() -> bytes:
    entry = zipfile.ZipInfo("x")
    entry.filename = ""
    return zipped_entries((zipfile.ZipInfo("SKILL.md"), SKILL_MD), (entry, b"x"))


def far_directory() -> bytes:
    """The end record says the directory lies far outside the file."""
    data = bytearray(zipped(GOOD))
    place = data.rindex(b"PK\x05\x06")
    struct.pack_into("<L", data, place + 16, 0x7FFFFFFF)
    return bytes(data)


HOSTILE_ZIPS = {
    "symbolic link": lambda: zip_of_mode("link", stat.S_IFLNK | 0o777),
    "character device": lambda: zip_of_mode("device", stat.S_IFCHR),
    "block device": lambda: zip_of_mode("device", stat.S_IFBLK),
    "fifo": lambda: zip_of_mode("fifo", stat.S_IFIFO),
    "socket": lambda: zip_of_mode("socket", stat.S_IFSOCK),
    "absolute": lambda: with_skill("/etc/passwd"),
    "parent": lambda: with_skill("../outside"),
    "parent inside": lambda: with_skill("scripts/../../outside"),
    "parent directory": lambda: zipped({"SKILL.md": SKILL_MD, "../": b""}),
    "dot inside": lambda: with_skill("scripts/./a"),
    "empty segment": lambda: with_skill("scripts//a"),
    "backslash": lambda: with_skill("scripts\\..\\..\\outside"),
    "drive letter": lambda: with_skill("C:evil"),
    "alternate stream": lambda: with_skill("SKILL.md:stream"),
    "control character": lambda: with_skill("a\nb"),
    "bidi override": lambda: with_skill("a\u202egpj.exe"),
    "zero width": lambda: with_skill("SKILL\u200b.md"),
    "nul": nul_in_name,
    "trailing dot": lambda: with_skill("scripts./a"),
    "trailing space": lambda: with_skill("scripts /a"),
    "long name": lambda: with_skill("a" * 256),
    "long path": lambda: with_skill("/".join(["a" * 100] * 6)),
    "deep path": lambda: with_skill("/".join("a" * 17)),
    "same name twice": lambda: twice("a.py"),
    "second manifest": lambda: twice("SKILL.md"),
    "case collision": lambda: zipped({"SKILL.md": SKILL_MD, "a.py": b"", "A.py": b""}),
    "manifest in another case": lambda: with_skill("skill.md"),
    "directories in two cases": lambda: zipped({"SKILL.md": SKILL_MD, "lib/a": b"", "LIB/b": b""}),
    "normalization collision": lambda: zipped({"SKILL.md": SKILL_MD, "\u00e9": b"", "e\u0301": b""}),
    "compatibility collision": lambda: zipped({"SKILL.md": SKILL_MD, "file": b"", "\ufb01le": b""}),
    "sharp s": lambda: zipped({"SKILL.md": SKILL_MD, "stra\u00dfe": b"", "STRASSE": b""}),
    "file and directory": lambda: zipped({"SKILL.md": SKILL_MD, "a": b"", "a/b": b""}),
    "directory and file": lambda: zipped({"SKILL.md": SKILL_MD, "a/b": b"", "a": b""}),
    "encrypted": encrypted,
    "bzip2 inside": lambda: zipped(GOOD, compression=zipfile.ZIP_BZIP2),
    "two names for one entry": other_local_name,
    "wrong checksum": wrong_checksum,
    "directory with contents": directory_with_contents,
    "empty name": empty_name,
    "far directory": far_directory,
    "cut short": lambda: zipped(GOOD)[:-30],
    "no end": lambda: zipped(GOOD)[:60],
    "empty zip": lambda: zipped({}),
    "no manifest": lambda: zipped({"README.md": b"x"}),
    "manifest too deep": lambda: zipped({"a/b/SKILL.md": SKILL_MD}),
    "two top directories": lambda: zipped({"a/SKILL.md": SKILL_MD, "b/SKILL.md": SKILL_MD}),
}


@pytest.mark.parametrize("make", HOSTILE_ZIPS.values(), ids=HOSTILE_ZIPS.keys())
def test_a_hostile_zip_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(Invalid) as refusal:
        read_package(make())
    assert refusal.value.detail["field"] == "file"


# --- Hostile tars


def sparse() -> bytes:
    """A sparse entry whose contents are a terabyte of nothing."""
    entry = tarfile.TarInfo("hole")
    entry.size = 0
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(entry)
    return buffer.getvalue()


def negative_size() -> bytes:
    """A header whose size is negative in base 256, which would send a seeking reader back for ever."""
    block = bytearray(header("back"))
    block[124:136] = b"\xff" * 8 + struct.pack(">l", -1024)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return raw_tar(header("SKILL.md", size=len(SKILL_MD)), padded(SKILL_MD), bytes(block))


def broken_header_in_the_middle() -> bytes:
    skill = header("SKILL.md", size=len(SKILL_MD)) + padded(SKILL_MD)
    return raw_tar(skill, b"?" * 512, header("hidden"))


def appended() -> bytes:
    skill = header("SKILL.md", size=len(SKILL_MD)) + padded(SKILL_MD)
    return raw_tar(skill, bytes(1024), header("hidden"))


def endless_headers() -> bytes:
    """A long chain of extended headers, each asking for the next."""
    record = b"12 path=abcd\n"[:12]
    block = header("pax", size=len(record), kind=tarfile.XHDTYPE) + padded(record)
    return raw_tar(block * 3000)


HOSTILE_TARS = {
    "symbolic link": lambda: tarred(member("link", tarfile.SYMTYPE, target="/etc/passwd")),
    "hard link": lambda: tarred(member("link", tarfile.LNKTYPE, target="SKILL.md")),
    "character device": lambda: tarred(member("null", tarfile.CHRTYPE)),
    "block device": lambda: tarred(member("disk", tarfile.BLKTYPE)),
    "fifo": lambda: tarred(member("fifo", tarfile.FIFOTYPE)),
    "contiguous": lambda: tarred(member("contiguous", tarfile.CONTTYPE)),
    "unknown type": lambda: tarred(member("odd", b"Q")),
    "sparse": sparse,
    "absolute": lambda: tarred(("/etc/passwd", b"x")),
    "parent": lambda: tarred(("../outside", b"x")),
    "parent directory": lambda: tarred(member("../outside", tarfile.DIRTYPE)),
    "same name twice": lambda: tarred(("a", b"1"), ("a", b"2")),
    "case collision": lambda: tarred(("a", b"1"), ("A", b"2")),
    "bytes that are no UTF-8": lambda: raw_tar(header("S\udcff")),
    "negative size": negative_size,
    "broken header": broken_header_in_the_middle,
    "appended": appended,
    "endless headers": endless_headers,
    "cut short": lambda: tarred(("a", b"x" * 5000))[:-40],
    "wrong checksum": lambda: tarred()[:-8] + bytes(8),
    "no tar inside": lambda: gzip.compress(b"hello" * 500),
    "nothing inside": lambda: gzip.compress(b""),
    "garbage behind": lambda: tarred() + b"garbage",
}


@pytest.mark.parametrize("make", HOSTILE_TARS.values(), ids=HOSTILE_TARS.keys())
def test_a_hostile_tar_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(Invalid) as refusal:
        read_package(make())
    assert refusal.value.detail["field"] == "file"


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"hello", b"\x1f\x8b", b"BZh9", b"7z\xbc\xaf", b"\xfd7zXZ\x00", b"PK\x03\x04", bytes(100)]
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_package(data)


# --- Bombs


def peak_of(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            read_package(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_stopped_where_the_limit_is() -> None:
    bomb = zipped({"SKILL.md": SKILL_MD, **{f"{number}": bytes(MAX_UNPACKED // 2) for number in range(3)}})
    assert len(bomb) < MAX_UNPACKED // 100
    assert peak_of(bomb) < 4 * MAX_UNPACKED


def test_a_zip_that_lies_about_its_sizes_is_refused() -> None:
    data = bytearray(zipped({"SKILL.md": SKILL_MD, "bomb": bytes(1_000_000)}))
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, place + 24, 10)
    with pytest.raises(Invalid):
        read_package(bytes(data))


def test_a_gzip_bomb_is_stopped_where_the_limit_is() -> None:
    bomb = gzip.compress(header("zeros", size=2 * MAX_UNPACKED) + bytes(2 * MAX_UNPACKED))
    assert peak_of(bomb) < 4 * MAX_UNPACKED


@pytest.mark.parametrize("count", [MAX_ENTRIES, 20_000])
def test_too_many_zip_entries_are_refused(count: int) -> None:
    with pytest.raises(TooLarge, match="entries"):
        read_package(zipped({"SKILL.md": SKILL_MD, **{str(number): b"" for number in range(count)}}))


def test_too_many_tar_entries_are_refused() -> None:
    with pytest.raises(TooLarge, match="entries"):
        read_package(tarred(*[(str(number), b"") for number in range(MAX_ENTRIES)]))


def test_as_many_entries_as_allowed_are_taken() -> None:
    files = {"SKILL.md": SKILL_MD, **{str(number): b"" for number in range(MAX_ENTRIES - 1)}}
    assert len(files_of(read_package(zipped(files)).archive)) == MAX_ENTRIES
