"""A test build of the fleet for the official conformance suite: `python -m tests.conformance.server PORT BEARER`.

The application is the product's own. Added are a template whose tools have the names that the suite calls, and the
bearer, which the suite cannot send.
"""

import os
import sys
from typing import Any, ClassVar

import django
import uvicorn
from pydantic import ConfigDict, create_model

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "powerloom.settings")
django.setup()

from starlette.types import ASGIApp, Receive, Scope, Send  # noqa: E402 - once the apps are there

from agents.backends.base import Answer, Backend, Served  # noqa: E402 - as above
from agents.fleet.app import Fleet, application  # noqa: E402 - as above
from agents.mcp.catalog import TEMPLATES  # noqa: E402 - as above
from agents.mcp.template import Allow, Call, Decision, Policy, Settings, Template, Tool  # noqa: E402 - as above

KIND = "conformance"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Nothing(Settings):
    """No arguments, and no config."""


Address: Any = create_model("address", street=(str, ""), city=(str, ""))  # the suite wants it in small letters


class Person(Settings):
    name: str = ""
    address: Address | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"$schema": DRAFT})


class ConformanceTemplate(Template[Nothing, Policy]):
    """The suite's tools, as far as a template can have such."""

    kind = KIND
    title = "Conformance"
    description = "What the official suite calls."
    config = Nothing
    policy = Policy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("test_simple_text", "Answers a text.", Nothing),
        Tool("test_error_handling", "Answers an error.", Nothing),
        Tool("json_schema_2020_12_tool", "Has a schema with definitions.", Person),
    )

    def judge(self, call: Call, config: Nothing, policy: Policy) -> Decision:
        return Allow()


class ConformanceBackend(Backend[Nothing, Policy]):
    """Answers as the suite expects."""

    async def check(self, served: Served[Nothing, Policy]) -> list[str]:
        return []

    async def call(self, served: Served[Nothing, Policy], call: Call) -> Answer:
        if call.tool == "test_error_handling":
            return Answer("This tool intentionally returns an error for testing", is_error=True)
        return Answer("This is a simple text response for testing.")


class Bearing:
    """Adds a bearer to every request."""

    def __init__(self, app: ASGIApp, bearer: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {bearer}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


def main(bearer: str, port: int) -> None:
    TEMPLATES[KIND] = ConformanceTemplate()
    run_by: dict[str, Backend[Any, Any]] = {KIND: ConformanceBackend()}
    app = Bearing(application(Fleet(run_by)), bearer)
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="on")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
