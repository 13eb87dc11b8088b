"""`manage.py beat`: the clock as a process of its own."""

from __future__ import annotations

from typing import Any

from powerloom.kernel.pageless import PagelessCommand
from powerloom.run.background import Beat, run_until_signaled


class Command(PagelessCommand):
    help = "Send the scheduled tasks. Stops on SIGINT or SIGTERM; one is enough, two are harmless."

    def handle(self, *_args: Any, **_options: Any) -> None:
        run_until_signaled(Beat())
