"""Forms from JSON schemas: what a template takes goes out and comes back, and nothing is widened by leaving it out."""

from typing import Any

import pytest

from agents.mcp.catalog import TEMPLATES
from powerloom.kernel.errors import Invalid
from powerloom.web.schemas import JsonSchemaForm

FILES = TEMPLATES["files"].policy.model_json_schema()
TOOLS = [tool.name for tool in TEMPLATES["files"].tools]
LISTED = "*listed*"


def policy_form(data: dict[str, Any] | None, now: dict[str, Any] | None = None) -> JsonSchemaForm:
    choices = {"allowed_tools": TOOLS, "denied_tools": TOOLS}
    return JsonSchemaForm(data, schemas={"policy": FILES}, values={"policy": now or {}}, choices=choices)


def as_sent(form: JsonSchemaForm) -> dict[str, Any]:
    """What a browser sends of the form as it is shown."""
    data: dict[str, Any] = {}
    for name in form.fields:
        shown = form[name]
        value = shown.value()
        if isinstance(value, list) and len(value) == 2 and value[0] in {"*all*", LISTED}:
            data |= {f"{name}_which": value[0], f"{name}_list": value[1] or ""}
        elif value not in (None, False):
            data[name] = value
    return data


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"allowed_tools": []},
        {"allowed_tools": ["read_file"], "denied_tools": ["write_file"]},
        {"allowed_paths": [], "allow_writes": False, "calls_per_minute": 5},
        {"allowed_paths": ["docs", "README.md"], "allow_writes": True, "max_entries": 7},
    ],
)
def test_what_stands_there_comes_back_as_it_was(policy: dict[str, Any]) -> None:
    form = policy_form(as_sent(policy_form(None, policy)), policy)
    assert form.is_valid(), form.errors
    assert form.values_of("policy") == policy


def test_an_empty_form_says_nothing_so_the_defaults_hold() -> None:
    form = policy_form({})
    assert form.is_valid()
    assert form.values_of("policy") == {}


@pytest.mark.parametrize("kind", sorted(TEMPLATES))
def test_every_template_can_be_drawn(kind: str) -> None:
    template = TEMPLATES[kind]
    schemas = {"config": template.config.model_json_schema(), "policy": template.policy.model_json_schema()}
    form = JsonSchemaForm(schemas=schemas)
    drawn = [field.name for part in schemas for field in form.drawn(part)]
    assert drawn == [f"{part}.{name}" for part in schemas for name in schemas[part].get("properties", {})]


def test_arguments_of_a_tool_keep_their_types() -> None:
    schema = {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer", "minimum": 1},
            "deep": {"type": "object"},
            "flag": {"type": "boolean"},
        },
    }
    said = {"arguments.text": " true ", "arguments.count": "3", "arguments.deep": '{"a": [1]}', "arguments.flag": "No"}
    form = JsonSchemaForm(said, schemas={"arguments": schema})
    assert form.is_valid(), form.errors
    assert form.values_of("arguments") == {"text": " true ", "count": 3, "deep": {"a": [1]}, "flag": False}


def test_every_problem_stands_beside_its_field() -> None:
    form = policy_form({})
    assert form.is_valid()
    problems = [
        {"field": "policy_json.allowed_paths.0", "problem": "Value error, not a plain path"},
        {"field": "policy_json.unknown", "problem": "no such key"},
    ]
    form.refuse(Invalid("not right", problems=problems))
    assert form.errors["policy.allowed_paths"] == ["not a plain path"]
    assert form.non_field_errors() == ["policy_json.unknown: no such key"]
