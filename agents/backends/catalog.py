"""Which backend runs which kind of template."""

from __future__ import annotations

from typing import Any  # config and policy types differ by kind

from agents.backends.base import Backend
from agents.backends.echo import EchoBackend
from agents.backends.files import FilesBackend
from agents.backends.postgres.backend import PostgresBackend
from agents.backends.powerloom_meta.backend import PowerloomMetaBackend
from agents.backends.slack import SlackBackend


def backends() -> dict[str, Backend[Any, Any]]:
    """Return a new backend for every available kind; whoever asks closes them."""
    return {
        "echo": EchoBackend(),
        "files": FilesBackend(),
        "postgres": PostgresBackend(),
        "slack": SlackBackend(),
        "powerloom_meta": PowerloomMetaBackend(),
    }
