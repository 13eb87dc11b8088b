from importlib import import_module

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """Labeled `agent_sessions`, because Django's own `sessions` keeps its label."""

    name = "sessions"
    label = "agent_sessions"

    def ready(self) -> None:
        import_module("sessions.commands")  # registers the handlers
