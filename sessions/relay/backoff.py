"""How long to wait before CMA is asked again: ever longer, never longer than a minute, and as long as CMA wishes."""

from __future__ import annotations

import random

from powerloom.cma.errors import AccountProblem, CMAError, Unavailable

FIRST = 0.1
LONGEST = 60.0


class Backoff:
    """One session's patience."""

    def __init__(self) -> None:
        self._failures = 0

    def after(self, error: CMAError) -> float:
        """Return the seconds to wait after this failure. The account's trouble is not worth asking about often."""
        wait = LONGEST if isinstance(error, AccountProblem) else min(FIRST * 2**self._failures, LONGEST)
        self._failures = min(self._failures + 1, 20)
        wish = error.retry_after if isinstance(error, Unavailable) else None
        # Thousands of sessions that were cut at once must not come back at once.
        return max(wish or 0.0, wait * random.uniform(0.5, 1.0))  # noqa: S311  spreads load, keeps no secret

    @property
    def is_worth_words(self) -> bool:
        """Whether this is more than one hiccup."""
        return self._failures > 1

    def reset(self) -> None:
        """Things go well again."""
        self._failures = 0
