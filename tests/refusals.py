"""Refusals of the API, as one compares them: alike but for the request id."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.utils import timezone


def said(response: Any) -> tuple[int, dict[str, Any]]:
    """Return the status of a refusal, and what it says but for its request id."""
    error = response.json()["error"]
    return response.status_code, {name: value for name, value in error.items() if name != "request_id"}


def code(response: Any) -> str:
    """Return the word of a refusal."""
    found: str = response.json()["error"]["code"]
    return found


@contextmanager
def one_minute() -> Iterator[None]:
    """Let no minute end in the block: refusals are counted by the minute."""
    with mock.patch.object(timezone, "now", return_value=timezone.now()):
        yield
