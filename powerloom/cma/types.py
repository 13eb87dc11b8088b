"""The values that the client takes and gives: CMA's own JSON, unparsed."""

from dataclasses import dataclass
from typing import Any

# CMA's documents pass through as they are: their shape is the wire's, checked by the contract suite, not by types.
JSON = dict[str, Any]
"""One JSON object of CMA's wire."""

Files = list[tuple[str, bytes]]
"""A skill's files: path with its top directory (`greeting/SKILL.md`), and content."""


@dataclass(frozen=True)
class Page:
    """One page of a list. `next_page` is the cursor for the page after it, None on the last."""

    data: list[JSON]
    next_page: str | None
