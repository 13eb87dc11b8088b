"""What a backend is given and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar  # Any: structured results are the tool's own JSON
from uuid import UUID

from agents.mcp.template import Call, Policy, Settings
from powerloom.web.egress import Way

C = TypeVar("C", bound=Settings)
P = TypeVar("P", bound=Policy)


@dataclass(frozen=True)
class Served(Generic[C, P]):
    """One deployment as its backend sees it. `secrets` are by the config's field and never shown; `way` is where its
    calls out of the house may go. `bearer` is that of the session that calls, where the session acts for its user.
    """

    deployment_id: UUID
    organization_id: UUID
    ou_id: UUID
    config: C
    policy: P
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    way: Way = field(default_factory=Way)
    bearer: str = field(default="", repr=False)


@dataclass(frozen=True)
class Answer:
    """What a tool call answers: a text for the model, the same as JSON where the tool has a result schema."""

    text: str
    structured: dict[str, Any] | None = None
    is_error: bool = False


class Unfit(Exception):
    """A deployment cannot work like this. The message says which step failed and what to do, and holds no secret."""

    def __init__(self, step: str, words: str) -> None:
        super().__init__(f"{step}: {words}")
        self.step = step
        self.words = words


class Backend(ABC, Generic[C, P]):
    """What runs the tools of one kind. One instance serves every deployment of a process."""

    @abstractmethod
    async def check(self, served: Served[C, P]) -> list[str]:
        """Try what the deployment needs (a connection, a folder, a token) and return warnings in words.

        Raises `Unfit`. Called when deploying; may take seconds.
        """

    @abstractmethod
    async def call(self, served: Served[C, P], call: Call) -> Answer:
        """Run one call that the policy allowed. A tool's own failure is an `Answer` with `is_error`; errors of a client
        that held a secret are answered as class and fixed words.
        """

    async def close(self) -> None:
        """Let go of connections, at the end of the process."""
        return
