"""Logs: one JSON object a line, a constant message with fields, the request's id on every line.

Nothing that opens a door is written: no bodies, no headers, and tokens, tickets and passwords in addresses are cut out
of whatever text a library logs, its tracebacks included.
"""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from uuid import UUID

request_in_hand: ContextVar[str] = ContextVar("request_in_hand", default="")

_SECRETS = re.compile(
    r"(?P<name>ticket=|Bearer\s+|[Pp]assword=|x-api-key[=:]\s*|://[^/\s:@]+:)[^&\s\"'@,;]+"
    r"|\bpl(?:m|b|probe)_[\w-]+|\bsk-ant-[\w-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN = (str, int, float, bool, UUID, type(None))


class JsonFormatter(logging.Formatter):
    """Writes a record as one line. Fields are those given as `extra`, as far as they are plain values."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_in_hand.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN and isinstance(value, _PLAIN)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        cut = {name: without_secrets(value) if isinstance(value, str) else value for name, value in line.items()}
        return json.dumps(cut, default=str, ensure_ascii=False)


def without_secrets(text: str) -> str:
    """Return the text with everything cut out that looks like a credential."""
    return _SECRETS.sub(lambda found: f"{found['name'] or ''}…", text)


def configuration(level: str) -> dict[str, object]:
    """Return Django's LOGGING: everything to standard error, our own loggers from `level` on, libraries from warnings
    on.
    """
    ours = {name: {"level": level} for name in ("powerloom", "accounts", "agents", "sessions", "approvals")}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "powerloom.web.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        # What a foreign MCP server says is told, in few words, where it was asked for; the SDK would write it whole.
        # A refused request is an answer, not an event of ours; it is in the audit trail if it was a refusal of rights.
        "loggers": {
            **ours,
            "mcp.client": {"level": "CRITICAL"},
            "client": {"level": "CRITICAL"},  # the SDK's sessions
            "django.request": {"level": "ERROR"},
            "django": {"handlers": [], "propagate": True},
        },
    }
