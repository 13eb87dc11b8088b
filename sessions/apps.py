from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """Labeled `agent_sessions`, because Django's own `sessions` keeps its label."""

    name = "sessions"
    label = "agent_sessions"

    def ready(self) -> None:
        from sessions import commands  # noqa: F401, PLC0415  registers the handlers
