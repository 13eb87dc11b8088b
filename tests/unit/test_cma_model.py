import copy
from typing import Any

import pytest

from powerloom.cma.local.examples import example
from powerloom.cma.local.model import BUILT_IN, McpTool, allowed_tools, script
from powerloom.cma.local.wishes import wishes
from powerloom.cma.types import JSON


def agent(*tools: JSON, **fields: Any) -> JSON:
    return {"name": "reviewer", "tools": list(tools), "skills": [], **fields}


def toolset(*configs: JSON, enabled: bool = True, policy: str = "always_allow") -> JSON:
    default = {"enabled": enabled, "permission_policy": {"type": policy}}
    return {"type": "agent_toolset_20260401", "default_config": default, "configs": list(configs)}


def config(name: str, *, enabled: bool = True, policy: str = "always_allow") -> JSON:
    return {"name": name, "type": name, "enabled": enabled, "permission_policy": {"type": policy}}


def kinds(steps: list[JSON]) -> list[str]:
    return [step["do"] for step in steps]


def used(steps: list[JSON]) -> list[str]:
    return [step["fields"]["name"] for step in steps if step["do"] == "use"]


def test_the_same_turn_has_the_same_script() -> None:
    first = script("review this", agent(toolset()), turn=1, mcp=[])
    assert script("review this", agent(toolset()), turn=1, mcp=[]) == first
    others = [
        script("review that", agent(toolset()), turn=1, mcp=[]),
        script("review this", agent(toolset()), turn=2, mcp=[]),
    ]
    assert first not in others


def test_it_says_that_it_is_a_script_and_what_it_was_asked() -> None:
    steps = script("review this", agent(), turn=1, mcp=[])
    (first, *_) = [step for step in steps if step.get("type") == "agent.message"]
    (text,) = [block["text"] for block in first["fields"]["content"]]
    assert text.startswith("[scripted local model]")
    assert "review this" in text


def test_it_is_long_enough_to_look_at() -> None:
    assert len(script("review this", agent(toolset()), turn=1, mcp=[])) >= 12


def test_every_server_has_its_turn() -> None:
    tools = [McpTool(server, f"t{number}", "always_allow") for server in ("a", "b", "c") for number in range(3)]
    for mcp, expected in (
        (tools, ["a.t0", "b.t0", "c.t0", "a.t1", "b.t1", "c.t1"]),
        (tools[:3], ["a.t0", "a.t1"]),
        ([McpTool(f"s{number}", "t", "always_allow") for number in range(20)], [f"s{number}.t" for number in range(6)]),
    ):
        calls = [step for step in script("go", agent(), turn=1, mcp=mcp) if step["do"] == "mcp"]
        assert [f"{call['server']}.{call['name']}" for call in calls] == expected


def test_every_request_is_answered_and_every_call_has_its_result() -> None:
    for turn in range(30):
        steps = script("review this", agent(toolset()), turn=turn, mcp=[McpTool("docs", "search", "always_allow")])
        assert kinds(steps).count("request") == kinds(steps).count("respond")
        calls = [step["key"] for step in steps if step["do"] == "use"]
        assert calls == [step["key"] for step in steps if step["do"] in {"result", "mcp"}]
        assert kinds(steps)[-1] == "stop"


def test_it_never_uses_a_tool_that_is_switched_off() -> None:
    only_two = toolset(config("bash", enabled=True), config("read"), enabled=False)
    all_but_one = toolset(config("bash", enabled=False))
    for turn in range(50):
        assert set(used(script("go", agent(only_two), turn=turn, mcp=[]))) <= {"bash", "read"}
        assert "bash" not in used(script("go", agent(all_but_one), turn=turn, mcp=[]))
    assert used(script("go", agent(), turn=1, mcp=[])) == []


def test_allowed_tools_carry_their_policy() -> None:
    tools = dict(allowed_tools(agent(toolset(config("bash", policy="always_ask")))))
    assert tools.pop("bash") == "always_ask"
    assert tools == {name: "always_allow" for name in BUILT_IN if name != "bash"}


@pytest.mark.parametrize(
    ("policy", "permission", "evaluation"),
    [
        ("always_allow", "allow", {"type": "always_allow"}),
        ("always_ask", "ask", {"type": "always_ask"}),
        ("auto", "allow", {"type": "auto", "evaluated_permission": {"type": "allow"}}),
    ],
)
def test_a_call_says_which_policy_judged_it(policy: str, permission: str, evaluation: JSON) -> None:
    steps = script("go", agent(toolset(policy=policy)), turn=1, mcp=[])
    fields = next(step for step in steps if step["do"] == "use")["fields"]
    assert (fields["evaluated_permission"], fields["evaluation"]) == (permission, evaluation)


def test_custom_tools_are_called_with_input_that_fits_and_get_no_result_from_us() -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}, "n": {"type": "integer"}}, "required": ["n"]}
    custom = {"type": "custom", "name": "lookup", "description": "x", "input_schema": schema}
    steps = script("go", agent(custom), turn=1, mcp=[])
    (use,) = [step for step in steps if step["do"] == "use"]
    assert (use["type"], use["fields"]) == ("agent.custom_tool_use", {"name": "lookup", "input": {"n": 1}})
    assert "result" not in kinds(steps)
    assert {"do": "settle", "keys": [use["key"]]} in steps


def test_brackets_at_the_start_steer_it() -> None:
    assert kinds(script("[events=40 rate=20]", agent(), turn=1, mcp=[])) == ["request", "burst", "respond", "stop"]
    burst = script("[events=40 rate=20] then", agent(), turn=1, mcp=[])[1]
    assert burst == {"do": "burst", "count": 40, "every": 0.05}
    assert script("[events=3]", agent(), turn=1, mcp=[])[1]["every"] is None
    assert {"do": "wait", "seconds": 5.0} in script("[slow=5] go", agent(), turn=1, mcp=[])
    assert script("[refuse] go", agent(), turn=1, mcp=[])[-1] == {"do": "stop", "reason": "refusal"}
    assert script("[budget] go", agent(), turn=1, mcp=[])[-1] == {"do": "stop", "reason": "budget_reached"}
    failed = script("[fail] go", agent(), turn=1, mcp=[])[-2:]
    assert [step.get("type", step.get("reason")) for step in failed] == ["session.error", "retries_exhausted"]
    assert script("[terminate] go", agent(), turn=1, mcp=[])[-1] == {"do": "terminate"}
    assert kinds(script("[reschedule] go", agent(), turn=1, mcp=[]))[:2] == ["reschedule", "resume"]
    asked = script("[ask] go", agent(toolset()), turn=1, mcp=[])
    assert next(step for step in asked if step["do"] == "use")["fields"]["evaluated_permission"] == "ask"
    tool = McpTool("docs", "search", "always_allow")
    assert "mcp" in kinds(script("go", agent(), turn=1, mcp=[tool]))
    assert "mcp" not in kinds(script("[nomcp] go", agent(), turn=1, mcp=[tool]))


@pytest.mark.parametrize(
    "text", ["[events] x", "[unknown] x", "[fail=1] x", "[rate=] x", "say [fail]", "[] x", "[x] [fail]"]
)
def test_other_brackets_are_ordinary_text(text: str) -> None:
    assert wishes(text).text == text
    assert wishes(text).flags == frozenset()


def test_numbers_beyond_reason_are_cut() -> None:
    assert script("[events=999999999]", agent(), turn=1, mcp=[])[1]["count"] == 100_000
    assert {"do": "wait", "seconds": 3600.0} in script("[slow=999999]", agent(), turn=1, mcp=[])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, {}),
        ({"properties": {"a": {"type": "string"}}}, {}),
        ({"properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}, {"a": "x"}),
        ({"properties": {"a": {"type": "string", "examples": ["x"]}}, "required": ["a"]}, {"a": "x"}),
        ({"properties": {"a": {"default": 7}}, "required": ["a", "b"]}, {"a": 7, "b": "example"}),
        ({"properties": {"a": {"type": "object", "properties": {}, "required": []}}, "required": ["a"]}, {"a": {}}),
        ({"properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}, {"a": "example"}),
        ({"properties": [], "required": "a"}, {}),
    ],
)
def test_an_example_fits_its_schema_whatever_the_schema_is(schema: JSON, expected: JSON) -> None:
    given = copy.deepcopy(schema)
    assert example(schema) == expected
    assert schema == given
