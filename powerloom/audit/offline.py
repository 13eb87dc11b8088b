"""Verify an export without the product: no Django, no database, no network.

    python -m powerloom.audit.offline EXPORT --public-key FILE [--heads FILE]

Needs the export and the public key that was written down when the installation was set up; the key inside the export
proves nothing. `--heads` names a copy of the head log that was kept elsewhere: it finds what was cut off export and log
together.

Exit status: 0 intact and signed, 1 broken (each fault names chain and first bad sequence number), 2 intact, but the
entries at some end are not signed, so that a cut tail could not be seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain as joined
from itertools import groupby
from pathlib import Path
from typing import Any  # parsed JSON
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from powerloom.audit.chain import Head, Link, Verdict, verify
from powerloom.audit.heads import BadHeads, HeadLog, Statement, public_key

INTACT, BROKEN, UNSIGNED = 0, 1, 2


class BadExport(Exception):
    """The file is not an export, or is not whole."""


@dataclass
class Findings:
    """The verdict on every chain, and what is wrong besides."""

    verdicts: dict[UUID, Verdict] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        if self.faults or any(not verdict.is_intact for verdict in self.verdicts.values()):
            return BROKEN
        is_signed = all(verdict.signed for verdict in self.verdicts.values())
        return INTACT if is_signed else UNSIGNED

    def lines(self) -> Iterator[str]:
        """Return the findings as people read them."""
        for chain, verdict in self.verdicts.items():
            if verdict.is_intact:
                yield f"{chain}: intact, {verdict.count} entries, signed up to {verdict.signed}"
            else:
                yield f"{chain}: BROKEN at {verdict.bad_seq}: {verdict.reason}"
        yield from (f"BROKEN: {fault}" for fault in self.faults)
        if self.status == UNSIGNED:
            yield "NOT SIGNED: a chain without a signed head may have lost its end. Ask for one, or name --heads."


def check(lines: Iterable[str], key: Ed25519PublicKey, *, kept_heads: Iterable[str] = ()) -> Findings:
    """Verify the lines of an export. Raises `BadExport` when they are not one, or end early."""
    findings = Findings()
    parts: Iterator[dict[str, Any]] = (_parsed(line) for line in lines)
    opening = next(parts, {})
    if opening.get("kind") != "export" or opening.get("v") != 1:
        raise BadExport("this is not an audit export, or one of a newer version")
    installation = UUID(opening["installation"])
    heads, parts = _heads(parts, key, findings)
    kept = _log(kept_heads, key, findings, "the kept head log")
    if kept.installation not in {None, installation}:
        findings.faults.append("the kept head log is of another installation")
    heads = _merged(heads, kept, None if opening["whole"] else {UUID(chain) for chain in opening["chains"]})
    _check_entries(parts, heads, installation, findings)
    for chain in sorted({*heads, *(UUID(chain) for chain in opening["chains"])} - findings.verdicts.keys()):
        findings.verdicts[chain] = verify(chain, (), installation=installation, heads=heads.get(chain, ()))
    return findings


def _heads(
    parts: Iterator[dict[str, Any]], key: Ed25519PublicKey, findings: Findings
) -> tuple[dict[UUID, list[Head]], Iterator[dict[str, Any]]]:
    """Read the signed heads off the front; return them with the parts that follow."""
    records: list[str] = []
    single: dict[UUID, list[Head]] = {}
    rest: Iterator[dict[str, Any]] = iter(())
    for part in parts:
        if part["kind"] == "heads":
            records.append(part["line"])
        elif part["kind"] == "head":
            try:
                head = Statement.of(part, key).head
                single.setdefault(head.chain, []).append(head)
            except BadHeads as error:
                findings.faults.append(str(error))
        else:
            rest = joined([part], parts)
            break
    log = _log(records, key, findings, "the export's head log")
    return {chain: log.heads_of(chain) for chain in log.newest} | single, rest


def _log(lines: Iterable[str], key: Ed25519PublicKey, findings: Findings, name: str) -> HeadLog:
    log = HeadLog(key, keep=True)
    try:
        log.feed([line.rstrip("\n") for line in lines])
    except BadHeads as error:
        findings.faults.append(f"{name}: {error}")
    return log


def _merged(heads: dict[UUID, list[Head]], kept: HeadLog, only: set[UUID] | None) -> dict[UUID, list[Head]]:
    found = {chain: list(known) for chain, known in heads.items()}
    for chain in kept.newest:
        if only is None or chain in only:
            found.setdefault(chain, []).extend(kept.heads_of(chain))
    return {chain: sorted(set(known), key=lambda head: head.seq) for chain, known in found.items()}


def _check_entries(
    parts: Iterator[dict[str, Any]], heads: dict[UUID, list[Head]], installation: UUID, findings: Findings
) -> None:
    count = 0
    after: list[dict[str, Any]] = []

    def links(group: Iterable[dict[str, Any]]) -> Iterator[Link]:
        nonlocal count
        for part in group:
            count += 1
            yield Link(part["seq"], part["body"], part["prev_hash"], part["hash"])

    for (kind, name), group in groupby(parts, key=lambda part: (part["kind"], part.get("chain"))):
        if kind != "entry" or after:
            after.extend(group)
            continue
        chain, entries = UUID(name), links(group)
        if chain in findings.verdicts:
            raise BadExport(f"the entries of chain {chain} are in two places")
        findings.verdicts[chain] = verify(chain, entries, installation=installation, heads=heads.get(chain, ()))
        for _ in entries:  # a broken chain is counted to its end
            pass
    if not after or after[0] != {"kind": "end", "entries": count}:
        findings.faults.append("the export ends early, or has lost lines")
    if len(after) > 1:
        findings.faults.append("there are lines after the end of the export")


def _parsed(line: str) -> dict[str, Any]:
    try:
        part = json.loads(line)
    except ValueError as error:
        raise BadExport("a line is not JSON") from error
    if not isinstance(part, dict) or "kind" not in part:
        raise BadExport("a line is not a part of an export")
    return part


def main(arguments: Sequence[str]) -> int:
    """Run the check for the command line, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m powerloom.audit.offline", description="Verify an audit export.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--public-key", type=Path, required=True)
    parser.add_argument("--heads", type=Path, help="a copy of heads.jsonl that was kept elsewhere")
    given = parser.parse_args(arguments)
    kept = given.heads.read_text().splitlines() if given.heads else ()
    try:
        with given.export.open() as lines:
            findings = check(lines, public_key(given.public_key.read_bytes()), kept_heads=kept)
    except (BadExport, BadHeads, KeyError, ValueError, OSError) as error:
        sys.stdout.write(f"BROKEN: {error}\n")
        return BROKEN
    sys.stdout.writelines(f"{line}\n" for line in findings.lines())
    return findings.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
