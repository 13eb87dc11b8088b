"""Why something was refused, held or stopped: one shape for all of it.

facts       what was looked at, in the order in which it was; one of them decided, or several, each by itself
decided_by  the text of what did
remedy      the least that would change it, step by step, each with those who can do it

Whoever makes one tells only what its reader may know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any  # JSON

UNSEEN = "a rule you cannot see"


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at; `more` is for programs."""

    kind: str
    text: str
    decides: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "decides": self.decides, **self.more}


@dataclass(frozen=True)
class Remedy:
    """One step of what would change it. `request` is what one may post to ask for it, where there is such a thing;
    `more` is for programs.
    """

    kind: str
    text: str
    who: tuple[str, ...] = ()
    request: Mapping[str, Any] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        asked = {"request": dict(self.request)} if self.request else {}
        return {"kind": self.kind, "text": self.text, "who": list(self.who), **asked, **self.more}


@dataclass(frozen=True)
class Explanation:
    """The facts, and what would change the answer."""

    facts: tuple[Fact, ...]
    remedy: tuple[Remedy, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as every answer carries it."""
        return {
            "facts": [fact.as_json() for fact in self.facts],
            "decided_by": "; ".join(fact.text for fact in self.facts if fact.decides) or None,
            "remedy": [step.as_json() for step in self.remedy],
        }


def plain(message: str, remedy: Sequence[Remedy] = ()) -> Explanation:
    """Return what a refusal in words says: its first sentence decided; without a remedy of its own, the others say
    what to do.
    """
    first, *others = re.split(r"(?<=[.!?])\s+", message.strip())
    return Explanation(
        (Fact("rule", first, decides=True),), tuple(remedy) or tuple(Remedy("advice", text) for text in others)
    )
