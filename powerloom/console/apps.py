"""Makes the console's template tags known to Django; it has no tables."""

from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """The console's own app."""

    name = "powerloom.console"
    label = "console"
