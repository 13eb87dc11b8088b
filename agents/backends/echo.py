"""Runs the tools of `echo`."""

from __future__ import annotations

import asyncio

from agents.backends.base import Answer, Backend, Served
from agents.mcp.echo import EchoArguments, EchoConfig, FailArguments, SlowArguments
from agents.mcp.template import Call, Policy


class EchoBackend(Backend[EchoConfig, Policy]):
    """Needs nothing, so nothing can be missing."""

    async def check(self, served: Served[EchoConfig, Policy]) -> list[str]:
        return []

    async def call(self, served: Served[EchoConfig, Policy], call: Call) -> Answer:
        match call.arguments:
            case SlowArguments(text=text, seconds=seconds):
                await asyncio.sleep(seconds)
                return Answer(text)
            case FailArguments(message=message):
                return Answer(message, is_error=True)
            case EchoArguments(text=text):
                return Answer(text)
        raise ValueError(f"echo has no tool {call.tool}")
