"""`manage.py beat`: the clock as a process of its own."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from powerloom.run.background import Beat, run_until_signaled


class Command(BaseCommand):
    help = "Send the scheduled tasks. Stops on SIGINT or SIGTERM; one is enough, two are harmless."

    def handle(self, *_args: Any, **_options: Any) -> None:
        run_until_signaled(Beat())
