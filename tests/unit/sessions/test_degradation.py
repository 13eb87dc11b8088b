"""Silent degradation: who is flagged, and what is said of it."""

from uuid import uuid4

import pytest

from sessions.degradation import KNOWN, Server, Standing, diagnosis, is_degraded

REFUSED = {"error": {"type": "mcp_authentication_failed_error", "mcp_server_name": "sql"}}
UNREACHABLE = {"error": {"type": "mcp_connection_failed_error", "mcp_server_name": "files"}}
OTHER = {"error": {"type": "model_overloaded_error"}}
SQL, FILES = Server("sql", Standing.GOOD, uuid4()), Server("files", Standing.GOOD, uuid4())


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
    causes = diagnosis([SQL, FILES], [REFUSED, REFUSED, UNREACHABLE, OTHER])["causes"]
    assert [(cause["cause"], cause["server"], cause["credential_id"]) for cause in causes] == [
        ("credential_refused", "sql", str(SQL.credential_id)),
        ("server_unreachable", "files", str(FILES.credential_id)),
    ]


@pytest.mark.parametrize("standing", KNOWN)
def test_what_we_know_of_a_credential_names_it_and_the_fix(standing: Standing) -> None:
    server = Server("sql", standing, uuid4(), why="the vault is parked")
    [cause] = diagnosis([server, FILES], [])["causes"]
    assert (cause["cause"], cause["server"], cause["credential_id"]) == (standing, "sql", str(server.credential_id))
    assert "sql" in cause["words"]
    assert cause["fix"]


def test_what_we_know_goes_before_what_the_runtime_reported_of_the_same_server() -> None:
    causes = diagnosis([Server("sql", Standing.MISSING), FILES], [REFUSED, UNREACHABLE])["causes"]
    assert [cause["cause"] for cause in causes] == ["credential_missing", "server_unreachable"]


def test_the_reconcilers_reason_is_told() -> None:
    [cause] = diagnosis([Server("sql", Standing.UNSYNCED, uuid4(), why="403 from CMA")], [])["causes"]
    assert "(403 from CMA)" in cause["words"]


def test_a_server_that_we_do_not_know_is_named_as_the_runtime_did() -> None:
    [cause] = diagnosis([], [REFUSED])["causes"]
    assert (cause["cause"], cause["server"], cause["credential_id"]) == ("credential_refused", "sql", None)


def test_without_a_cause_it_says_so() -> None:
    [cause] = diagnosis([SQL, FILES], [OTHER])["causes"]
    assert cause["cause"] == "no_error_seen"
    assert cause["fix"]
