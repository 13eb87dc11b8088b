"""`manage.py worker`: the reconciler and the sweeps as a process of their own. Any number may run."""

from __future__ import annotations

from typing import Any

from powerloom.kernel.pageless import PagelessCommand
from powerloom.run.background import Worker, run_until_signaled


class Command(PagelessCommand):
    help = "Run queued tasks: reconciling and sweeping. Stops on SIGINT or SIGTERM; any number may run."

    def handle(self, *_args: Any, **_options: Any) -> None:
        run_until_signaled(Worker())
