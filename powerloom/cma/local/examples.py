"""Inputs for tools, made up from their schemas."""

from typing import Any

from powerloom.cma.types import JSON


def example(schema: JSON) -> JSON:
    """A plausible input for a tool: every required property, by its type."""
    properties = schema.get("properties")
    required = schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: _example_value(properties.get(name)) for name in required if isinstance(name, str)}


def _example_value(schema: object) -> Any:
    if not isinstance(schema, dict):
        return "example"
    for known in ("default", "const"):
        if known in schema:
            return schema[known]
    for choices in (schema.get("examples"), schema.get("enum")):
        if isinstance(choices, list) and choices:
            return choices[0]
    kind = schema.get("type")
    if kind == "object":
        return example(schema)
    plain: dict[object, Any] = {"integer": 1, "number": 1.0, "boolean": True, "array": [], "null": None}
    return plain.get(kind if isinstance(kind, str) else None, "example")
