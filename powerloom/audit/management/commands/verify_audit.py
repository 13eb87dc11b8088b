"""`manage.py verify_audit`: check every chain, and say where the first bad entry is."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # argparse

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from powerloom.audit import guards
from powerloom.audit.head_files import HeadFile, shared
from powerloom.audit.heads import BadHeads, HeadLog, public_key
from powerloom.audit.verification import chains, name_of, verify_chain
from powerloom.kernel.pageless import PagelessCommand


class Command(PagelessCommand):
    help = "Verify every chain of the audit trail against the signed heads. Exits 1 and names what is wrong, if any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--heads", type=Path, help="a copy of heads.jsonl that was kept elsewhere")
        parser.add_argument("--public-key", type=Path, help="the public key of those heads, as it was written down")

    def handle(self, *args: Any, **options: Any) -> None:
        faults = [f"the trigger {name} is missing" for name in guards.missing(connection)]
        log = None
        try:
            log = _log(options["heads"], options["public_key"])
        except BadHeads as error:
            faults.append(str(error))
        for chain in chains(log):
            verdict = verify_chain(chain, log)
            if verdict.is_intact:
                signed = f"signed up to {verdict.signed}" if verdict.signed else "not signed yet"
                self.stdout.write(f"{name_of(chain)} ({chain}): {verdict.count} entries, intact, {signed}")
            else:
                faults.append(f"{name_of(chain)} ({chain}): entry {verdict.bad_seq}: {verdict.reason}")
        for fault in faults:
            self.stdout.write(self.style.ERROR(f"BROKEN {fault}"))
        if faults:
            raise CommandError(f"{len(faults)} fault{'' if len(faults) == 1 else 's'} in the audit trail.")


def _log(kept: Path | None, key: Path | None) -> HeadLog | None:
    if kept is None and key is None:
        return HeadFile(shared().folder, keep=True).log()
    log = HeadLog(public_key((key or shared().public_path).read_bytes()), keep=True)
    log.feed((kept or shared().path).read_text().splitlines())
    return log
