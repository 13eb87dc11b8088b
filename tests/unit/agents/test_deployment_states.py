"""The states of a deployment: which moves there are, and what a posted config is held against."""

from typing import Any

import pytest

from agents.api.deployment_rows import templates
from agents.handshakes import accepted
from agents.mcp import posted
from agents.mcp.absent import ABSENT
from agents.mcp.catalog import KINDS, TEMPLATES
from agents.models import DeploymentStatus, MCPDeployment
from powerloom.kernel.errors import Invalid
from powerloom.kernel.states import sources

MOVES = {
    ("pending", "deploying"),
    ("pending", "destroying"),
    ("deploying", "pending"),
    ("deploying", "running"),
    ("deploying", "failed"),
    ("deploying", "destroying"),
    ("running", "pending"),
    ("running", "failed"),
    ("running", "destroying"),
    ("failed", "pending"),
    ("failed", "destroying"),
    ("destroying", "destroyed"),
}


def test_a_deployment_moves_only_along_its_states() -> None:
    states = list(DeploymentStatus)
    moves = {(old, new) for new in states for old in sources(MCPDeployment.MOVES, new)}
    assert moves == MOVES


def test_whatever_is_not_gone_can_be_destroyed_and_nothing_comes_back() -> None:
    gone = {DeploymentStatus.DESTROYING, DeploymentStatus.DESTROYED}
    assert set(sources(MCPDeployment.MOVES, DeploymentStatus.DESTROYING)) == set(DeploymentStatus) - gone
    assert MCPDeployment.MOVES[DeploymentStatus.DESTROYING] == {DeploymentStatus.DESTROYED}
    assert MCPDeployment.MOVES[DeploymentStatus.DESTROYED] == set()


def test_every_kind_of_the_closed_list_has_a_title() -> None:
    assert len(KINDS) == 15
    assert set(KINDS) == set(TEMPLATES) | set(ABSENT)


@pytest.mark.parametrize("kind", sorted(TEMPLATES))
def test_the_tools_of_every_template_are_such_as_deploying_accepts(kind: str) -> None:
    row = next(row for row in templates() if row["kind"] == kind)
    assert accepted(row["tools"]) == row["tools"]


@pytest.mark.parametrize(
    ("config", "policy", "fields"),
    [
        ({"a": 1}, {"b": 2}, ["config_json.a", "policy_json.b"]),
        ({}, {"allowed_tools": ["echo", "nothing"]}, ["policy_json.allowed_tools.1"]),
        ({}, {"denied_tools": "echo", "calls_per_minute": "x"}, ["policy_json.calls_per_minute"]),
    ],
)
def test_every_field_that_is_wrong_is_named(config: dict[str, Any], policy: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        posted.read("echo", config, policy)
    named = [problem["field"] for problem in refused.value.detail["problems"]]
    assert set(fields) <= set(named)


def test_what_was_posted_is_never_repeated() -> None:
    with pytest.raises(Invalid) as refused:
        posted.read("echo", {"database_url": "CANARY"}, {"denied_tools": [{"CANARY": 1}], "calls_per_minute": "CANARY"})
    assert "CANARY" not in f"{refused.value.message} {refused.value.detail}"
