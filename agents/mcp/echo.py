"""Echo: a server for trying things out. One tool answers what it was given, one takes its time, one fails."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from agents.mcp.template import Allow, Call, Decision, Policy, Settings, Template, Tool


class EchoConfig(Settings):
    """Nothing to configure."""


class EchoArguments(Settings):
    text: str = Field(max_length=65_536, description="What to answer.")


class SlowArguments(Settings):
    text: str = Field(max_length=65_536, description="What to answer.")
    seconds: float = Field(1.0, ge=0, le=30, description="After how many seconds.")


class FailArguments(Settings):
    message: str = Field("This tool always fails.", max_length=1000, description="What the error says.")


class EchoTemplate(Template[EchoConfig, Policy]):
    """See the module."""

    kind = "echo"
    title = "Echo"
    description = "Answers what it is given; for trying out attachments, credentials and policies."
    config = EchoConfig
    policy = Policy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("echo", "Answer the given text.", EchoArguments),
        Tool("echo_slowly", "Answer the given text after some seconds.", SlowArguments),
        Tool("fail", "Answer with an error.", FailArguments),
    )

    def judge(self, call: Call, config: EchoConfig, policy: Policy) -> Decision:
        return Allow()
