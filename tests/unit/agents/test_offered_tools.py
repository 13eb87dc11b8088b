from typing import Any

import pytest

from agents.mcp.echo import EchoArguments, EchoConfig, EchoTemplate
from agents.mcp.template import Allow, Call, Deny, Policy

ECHO = EchoTemplate()


@pytest.mark.parametrize(
    ("policy", "offered", "rule"),
    [
        ({}, {"echo", "echo_slowly", "fail"}, None),
        ({"denied_tools": ["fail"]}, {"echo", "echo_slowly"}, None),
        ({"allowed_tools": ["fail"]}, {"fail"}, "allowed_tools"),
        ({"allowed_tools": []}, set(), "allowed_tools"),
        ({"allowed_tools": ["echo"], "denied_tools": ["echo"]}, set(), "denied_tools"),
        ({"denied_tools": ["unheard_of"]}, {"echo", "echo_slowly", "fail"}, None),
    ],
)
def test_what_is_offered_is_what_is_allowed(policy: dict[str, Any], offered: set[str], rule: str | None) -> None:
    known = Policy(**policy)
    assert {tool.name for tool in ECHO.offered(known)} == offered
    decision = ECHO.decide(Call("echo", EchoArguments(text="x")), EchoConfig(), known)
    assert isinstance(decision, Allow if "echo" in offered else Deny)
    assert getattr(decision, "rule", None) == rule
