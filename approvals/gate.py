"""The hold step of the governed write path, between the rights and the record.

Without an approval policy no set is held. The step stands in its place in `settings.COMMAND_STEPS`, and the start is
refused when it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any  # a ticket and a request are approvals' own types

from powerloom.commands.registry import Case


def hold(cases: Sequence[Case], *, ticket: Any | None, dry_run: bool) -> Callable[[], Any] | None:
    """Return None when the set may pass, else the function that opens the request once the set is rolled back."""
    return None
