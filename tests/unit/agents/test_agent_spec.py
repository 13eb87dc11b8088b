"""The spec of an agent: the runtime's limits, what was given kept as given, and nothing widened by omission."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from agents.spec import MAX_METADATA, MAX_SKILLS, AgentChanges, AgentSpec, Tools

ABSENT = "01920000-0000-7000-8000-000000000000"
GOOD: dict[str, Any] = {"display_name": "Code Reviewer", "model": "claude-sonnet-4-6", "system_prompt": "Be concise."}


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate({**GOOD, **fields})


def change(before: AgentSpec, **changes: Any) -> AgentSpec:
    return AgentChanges.model_validate(changes).applied_to(before)


def test_every_built_in_tool_is_on_and_allowed_unless_said_otherwise() -> None:
    tools = spec().as_json()["tools"]
    assert set(tools) == {"bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"}
    assert all(tool == {"enabled": True, "permission": "always_allow"} for tool in tools.values())


@pytest.mark.parametrize(
    "model",
    [
        "any string at all",
        " claude ",
        {"id": "claude-opus-4-1"},
        {"id": "claude-opus-4-1", "speed": "fast", "effort": "xhigh"},
        {"id": "claude-opus-4-1", "effort": None},
    ],
)
def test_the_model_is_kept_as_it_was_posted(model: Any) -> None:
    assert spec(model=model).as_json()["model"] == model


@pytest.mark.parametrize("prompt", [" leading\n\n", "trailing \n", "\u202ebidi", "é" * 100_000, "  "])
def test_the_system_prompt_is_never_trimmed_or_normalized(prompt: str) -> None:
    assert spec(system_prompt=prompt).as_json()["system_prompt"] == prompt


@pytest.mark.parametrize("description", [None, "", "What it does."])
def test_a_description_of_null_is_not_an_empty_one(description: str | None) -> None:
    assert spec(description=description).as_json()["description"] == description


def test_what_is_stored_reads_back_as_the_same_spec() -> None:
    whole = spec(
        description="x",
        model={"id": "m", "effort": "low"},
        metadata={"team": "core"},
        skills=[{"skill_id": str(uuid4()), "skill_version_id": str(uuid4())}, {"prebuilt": "pdf"}],
        custom_tools=[
            {"skill_id": str(uuid4()), "name": "t", "description": "d", "input_schema": {"type": "object", "x": 1}}
        ],
    )
    assert AgentSpec.model_validate(whole.as_json()) == whole
    assert AgentSpec.model_validate(whole.as_json()).as_json() == whole.as_json()


def custom_tool(name: str = "look_up", **fields: Any) -> dict[str, Any]:
    good = {"skill_id": str(uuid4()), "name": name, "description": "d", "input_schema": {"type": "object"}}
    return {**good, **fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", ""),
        ("display_name", "x" * 256),
        ("description", "x" * 2049),
        ("model", ""),
        ("model", "x" * 257),
        ("model", 5),
        ("model", {"id": "m", "speed": "warp"}),
        ("model", {"id": "m", "temperature": 1}),
        ("model", {}),
        ("system_prompt", ""),
        ("system_prompt", "x" * 100_001),
        ("system_prompt", None),
        ("tools", {"bash": {"enabled": "maybe"}}),
        ("tools", {"bash": {"permission": "auto"}}),
        ("tools", {"rm": {}}),
        ("tools", []),
        ("metadata", {str(number): "x" for number in range(MAX_METADATA + 1)}),
        ("metadata", {"k" * 65: "x"}),
        ("metadata", {"": "x"}),
        ("metadata", {"k": "x" * 513}),
        ("metadata", {"k": 1}),
        ("metadata", {"powerloom": "forged"}),
        ("metadata", {"powerloom_id": "forged"}),
        ("skills", [{"prebuilt": "pdf"}] * (MAX_SKILLS + 1)),
        ("skills", [{"prebuilt": "exe"}]),
        ("skills", [{"skill_id": "skill_01abc"}]),
        ("skills", [{"skill_id": ABSENT, "prebuilt": "pdf"}]),
        ("custom_tools", [custom_tool("bash")]),
        ("custom_tools", [custom_tool("no spaces")]),
        ("custom_tools", [custom_tool(), custom_tool()]),
        ("custom_tools", [custom_tool(description="")]),
        ("custom_tools", [custom_tool(input_schema={"type": "array"})]),
        ("custom_tools", [custom_tool(input_schema={})]),
        ("colour", "blue"),
    ],
)
def test_what_the_runtime_would_refuse_is_refused_here(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        spec(**{field: value})


def test_only_what_is_named_changes() -> None:
    before = spec(description="x", metadata={"a": "1"})
    after = change(before, model="claude-opus-4-1")
    assert after.as_json() == before.as_json() | {"model": "claude-opus-4-1"}


def test_a_named_null_clears_the_description() -> None:
    assert change(spec(description="x"), description=None).description is None


def test_switching_one_tool_off_switches_no_other_on() -> None:
    before = change(spec(), tools={"web_search": {"enabled": False}, "bash": {"permission": "always_ask"}})
    after = change(before, tools={"bash": {"enabled": False}})
    assert after.tools.web_search.enabled is False
    assert after.tools.bash.model_dump() == {"enabled": False, "permission": "always_ask"}


def test_metadata_is_patched_and_null_takes_a_key_away() -> None:
    after = change(spec(metadata={"a": "1", "b": "2"}), metadata={"a": None, "c": "3"})
    assert after.metadata == {"b": "2", "c": "3"}


def test_metadata_over_the_limit_in_the_whole_is_refused() -> None:
    full = spec(metadata={f"old{number}": "x" for number in range(MAX_METADATA)})
    with pytest.raises(ValidationError):
        change(full, metadata={"one-more": "x"})


def test_no_change_is_no_change() -> None:
    before = spec(description="x", model={"id": "m"}, metadata={"a": "1"})
    assert change(before) == before


@pytest.mark.parametrize(
    "changes",
    [{"display_name": None}, {"model": None}, {"system_prompt": None}, {"tools": None}, {"name": "x"}, {"ou_id": "x"}],
)
def test_what_cannot_be_cleared_or_changed_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgentChanges.model_validate(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"description": None},
        {"tools": {"bash": {"enabled": False}}},
        {"metadata": {"a": None}},
        {"model": {"id": "m"}, "display_name": "x"},
    ],
)
def test_a_stored_change_still_knows_what_was_named(changes: dict[str, Any]) -> None:
    stored = AgentChanges.model_validate(changes).model_dump(mode="json")
    assert stored == changes
    assert AgentChanges.model_validate(stored) == AgentChanges.model_validate(changes)


def test_the_tools_are_those_of_the_runtime() -> None:
    assert list(Tools.model_fields) == ["bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"]
