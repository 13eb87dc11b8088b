"""`manage.py sign_heads`: sign where every chain stands; in the distributed mode no other process reads the key."""

from __future__ import annotations

from typing import Any  # argparse

from django.core.management.base import CommandError, CommandParser

from powerloom.audit.head_files import KeyTrouble
from powerloom.audit.heads import BadHeads
from powerloom.audit.signing import Signed, sign
from powerloom.audit.verification import name_of
from powerloom.kernel.leaving import stop_event
from powerloom.kernel.pageless import PagelessCommand


class Command(PagelessCommand):
    help = "Verify what was appended to the audit trail since the last time, and sign the heads that moved."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until told to stop; else sign once")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["every"] is None:
            if self._round().faults:
                raise CommandError("Not everything was signed.")
            return
        stop = stop_event()
        while not stop.is_set():
            self._round()
            stop.wait(options["every"])

    def _round(self) -> Signed:
        try:
            signed = sign()
        except (KeyTrouble, BadHeads) as error:
            raise CommandError(str(error)) from error
        for head in signed.heads:
            self.stdout.write(f"signed {name_of(head.chain)} at {head.seq}")
        for chain, fault in signed.faults.items():
            self.stderr.write(self.style.ERROR(f"NOT SIGNED {name_of(chain)} ({chain}): {fault}"))
        return signed
