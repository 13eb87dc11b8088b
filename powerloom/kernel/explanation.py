"""Why something was refused, held or stopped: one shape for all of it.

facts       what was looked at, in the order in which it was; one of them decided
decided_by  the text of the one that did
remedy      the least that would change it, step by step, each with those who can do it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any  # JSON


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at."""

    kind: str
    text: str
    decides: bool = False


@dataclass(frozen=True)
class Remedy:
    """One step of what would change it. `request` is what one may post to ask for it, where there is such a thing."""

    kind: str
    text: str
    who: tuple[str, ...] = ()
    request: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        asked = {"request": dict(self.request)} if self.request else {}
        return {"kind": self.kind, "text": self.text, "who": list(self.who), **asked}


@dataclass(frozen=True)
class Explanation:
    """The facts, and what would change the answer."""

    facts: tuple[Fact, ...]
    remedy: tuple[Remedy, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as every answer carries it."""
        return {
            "facts": [{"kind": fact.kind, "text": fact.text, "decides": fact.decides} for fact in self.facts],
            "decided_by": next((fact.text for fact in self.facts if fact.decides), None),
            "remedy": [step.as_json() for step in self.remedy],
        }


def plain(message: str) -> Explanation:
    """Return what a refusal in words says: its first sentence decided, the others say what to do."""
    first, *others = re.split(r"(?<=[.!?])\s+", message.strip())
    return Explanation((Fact("rule", first, decides=True),), tuple(Remedy("advice", text) for text in others))
