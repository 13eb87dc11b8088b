"""Silent degradation: who is flagged, and what is said of it."""

import pytest

from sessions.degradation import diagnosis, is_degraded


@pytest.mark.parametrize(
    ("status", "events", "servers", "uses", "expected"),
    [
        ("idle_end_turn", 10, 1, 0, True),
        ("terminated", 50, 3, 0, True),
        ("idle_end_turn", 9, 1, 0, False),
        ("idle_end_turn", 10, 0, 0, False),
        ("idle_end_turn", 10, 1, 1, False),
        ("failed", 10, 1, 0, False),
        ("timeout", 10, 1, 0, False),
        ("running", 10, 1, 0, False),
    ],
)
def test_it_flags_what_ended_well_without_its_tools(
    status: str, events: int, servers: int, uses: int, expected: bool
) -> None:
    assert is_degraded(status, events=events, mcp_servers=servers, mcp_tool_uses=uses) is expected


def test_it_names_a_cause_for_each_server_once() -> None:
    refused = {"error": {"type": "mcp_authentication_failed_error", "mcp_server_name": "sql"}}
    unreachable = {"error": {"type": "mcp_connection_failed_error", "mcp_server_name": "files"}}
    other = {"error": {"type": "model_overloaded_error"}}
    causes = diagnosis([refused, refused, unreachable, other])["causes"]
    assert [(cause["cause"], cause["server"]) for cause in causes] == [
        ("credential_refused", "sql"),
        ("server_unreachable", "files"),
    ]


def test_without_an_error_it_says_where_to_look() -> None:
    [cause] = diagnosis([])["causes"]
    assert cause["cause"] == "no_error_seen"
    assert "credentials" in cause["words"]
