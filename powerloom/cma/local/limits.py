"""CMA's rate limits, for `--limits`: a bucket a minute for each class of call.

The classes are disjoint: calls to environments; creates, which are POSTs to a collection; everything else. A bucket
refills steadily and holds at most a minute's worth.
"""

import math
import re
import time
from collections.abc import Callable

from powerloom.cma.local.errors import ApiError

PER_MINUTE = {"create": 300, "environments": 60, "other": 600}

CREATE = re.compile(r"/v1/(agents|sessions|vaults|vaults/[^/]+/credentials|skills|skills/[^/]+/versions|files)")


def class_of(method: str, path: str) -> str:
    """Which bucket a call takes from."""
    if path == "/v1/environments" or path.startswith("/v1/environments/"):
        return "environments"
    return "create" if method == "POST" and CREATE.fullmatch(path) else "other"


class Bucket:
    """`per_minute` calls a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._most = float(per_minute)
        self._clock = clock
        self._level = self._most
        self._filled_at = clock()

    def take(self) -> float:
        """Take one call; 0 when there was one, else the seconds until there will be."""
        moment = self._clock()
        self._level = min(self._most, self._level + (moment - self._filled_at) * self._rate)
        self._filled_at = moment
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate


class Limits:
    """The buckets of one server; all its clients share them, as one organization does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = {name: Bucket(per_minute, clock) for name, per_minute in PER_MINUTE.items()}

    def check(self, method: str, path: str) -> None:
        """Count a call. Raises 429 with `retry-after` when its bucket is empty."""
        name = class_of(method, path)
        wait = self._buckets[name].take()
        if wait:
            raise ApiError(
                429,
                "rate_limit_error",
                f"This request would exceed the limit of {PER_MINUTE[name]} requests a minute ({name})",
                headers={"retry-after": str(math.ceil(wait))},
            )
