"""`manage.py rotate_master_key`: a new master key for sealed values, without downtime.

Everything stays readable throughout: processes find the new key in the provider, rows under the old one open as before
until they are re-wrapped. Stopped halfway, it goes on when it is run again with `--resume`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from accounts import sealing
from powerloom.audit import log as audit
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor, Target


class Command(PagelessCommand):
    help = "Make a new master key the current one and bring every sealed value under it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--resume", action="store_true", help="make no new key; only finish the re-wrapping")

    def handle(self, *_args: Any, **options: Any) -> None:
        keys = sealing.master_keys()
        before = keys.current().id
        after = before if options["resume"] else keys.rotate().id
        moved = sealing.rewrap_all()
        target = Target("master_key", audit.installation_id(), after, None, "")
        record = audit.Record(
            "master_key:rotate", "", target, before={"key": before}, after={"key": after, "moved": moved}
        )
        audit.record(record, actor=Actor.system("rotate_master_key"))
        self.stdout.write(f"The master key is {after}. {moved} sealed values moved under it; earlier keys still open.")
