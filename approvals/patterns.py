"""Action patterns of policies: `agent:create`, `agent:*`, `*`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

EVERYTHING = "*"


def covering(action: str) -> tuple[str, str, str]:
    """Return the three patterns that match an action, the narrowest first."""
    return action, f"{action.partition(':')[0]}:*", EVERYTHING


def is_known(pattern: str, actions: Iterable[str]) -> bool:
    """Tell whether the pattern can match any of these actions."""
    return any(pattern in covering(action) for action in actions)


def paths_to(ou_path: str) -> list[str]:
    """Return the paths of an OU and of every OU above it, the root first (`/acme/`, `/acme/engineering/`)."""
    parts = ou_path.strip("/").split("/")
    return [f"/{'/'.join(parts[:count])}/" for count in range(1, len(parts) + 1)]
