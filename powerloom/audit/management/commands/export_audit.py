"""`manage.py export_audit`: the trail as a file that proves itself; see `powerloom.audit.export`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # argparse

from django.core.management.base import CommandError, CommandParser

from powerloom.audit import export
from powerloom.audit.head_files import HeadFile, shared
from powerloom.audit.heads import BadHeads
from powerloom.audit.verification import chains, name_of
from powerloom.kernel.pageless import PagelessCommand


class Command(PagelessCommand):
    help = "Write the audit trail to a file that python -m powerloom.audit.offline verifies without this installation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", help="only this organization's chain")
        parser.add_argument("--output", type=Path, required=True, help="the file to write; it must not exist")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        try:
            with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for line in _lines(options["organization"], shared()):
                    file.write(line)
        except FileExistsError as error:
            raise CommandError(f"{output} exists already. Name another file.") from error
        except (BadHeads, CommandError) as error:
            output.unlink()
            raise CommandError(str(error)) from error
        self.stdout.write(f"Wrote {output}. Verify: python -m powerloom.audit.offline {output} --public-key FILE")


def _lines(organization: str | None, files: HeadFile) -> Iterator[bytes]:
    if organization is None:
        return export.of_everything(files)
    for chain in chains():
        if organization in {name_of(chain), str(chain)}:
            return export.of_chain(chain, files)
    raise CommandError(f"No chain of an organization {organization}.")
