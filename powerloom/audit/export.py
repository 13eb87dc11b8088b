"""The trail as a file that proves itself: JSON lines, made while they are read, checked by `powerloom.audit.offline`.

Its parts, in this order:

    {"kind": "export", "v", "installation", "at", "whole", "chains", "public_key"}
    {"kind": "heads", "line"}        the head log itself, in an export of everything
    {"kind": "head", …}              the newest signed head of one chain, in an export of that chain
    {"kind": "entry", "chain", "seq", "prev_hash", "hash", "body"}
    {"kind": "end", "entries"}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.utils import timezone

from powerloom.audit.bodies import moment
from powerloom.audit.head_files import HeadFile
from powerloom.audit.heads import HeadLog, public_pem
from powerloom.audit.log import installation_id
from powerloom.audit.verification import chains, links_of
from powerloom.kernel.canonical import canonical

VERSION = 1


def of_chain(chain: UUID, files: HeadFile) -> Iterator[bytes]:
    """Return the lines of one chain with its newest signed head; nothing of another tenant is in them."""
    log = files.log()
    yield _line(_opening(log, [chain], whole=False))
    if log and (newest := log.newest.get(chain)):
        yield _line(newest.as_json())
    yield from _entries([chain])


def of_everything(files: HeadFile) -> Iterator[bytes]:
    """Return the lines of every chain with the whole head log."""
    log = files.log()
    found = chains(log)
    yield _line(_opening(log, found, whole=True))
    if log and files.path.exists():
        with files.path.open() as lines:
            for line, _ in zip(lines, range(log.number), strict=False):
                yield _line({"kind": "heads", "line": line.rstrip("\n")})
    yield from _entries(found)


def _opening(log: HeadLog | None, found: Sequence[UUID], *, whole: bool) -> dict[str, object]:
    return {
        "kind": "export",
        "v": VERSION,
        "installation": str(installation_id()),
        "at": moment(timezone.now()),
        "whole": whole,
        "chains": [str(chain) for chain in found],
        "public_key": public_pem(log.key) if log else None,
    }


def _entries(found: Sequence[UUID]) -> Iterator[bytes]:
    count = 0
    for chain in found:
        for link in links_of(chain):
            count += 1
            yield _line(
                {
                    "kind": "entry",
                    "chain": str(chain),
                    "seq": link.seq,
                    "prev_hash": link.prev_hash,
                    "hash": link.hash,
                    "body": link.body,
                }
            )
    yield _line({"kind": "end", "entries": count})


def _line(value: dict[str, object]) -> bytes:
    return canonical(value) + b"\n"
