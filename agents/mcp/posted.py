"""Config and policy as posted, held against their template. What is refused names its place and never its value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar  # Any: config and policy as they were posted

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agents.mcp.catalog import TEMPLATES
from agents.mcp.template import Policy, Settings, Template
from powerloom.kernel.errors import Invalid

S = TypeVar("S", bound=Settings)
Problem = dict[str, str]


def template_for(kind: str) -> Template[Any, Any]:
    """Return the template of a kind. Raises `Invalid` for one that this installation does not have."""
    template = TEMPLATES.get(kind)
    if template is None:
        words = f"The template {kind} is not available here. Available: {', '.join(sorted(TEMPLATES))}."
        raise Invalid(words, field="template_kind")
    return template


def read(kind: str, config: Mapping[str, Any], policy: Mapping[str, Any]) -> tuple[Settings, Policy]:
    """Return config and policy with their defaults. Raises `Invalid` naming every field that is wrong."""
    template = template_for(kind)
    problems: list[Problem] = []
    good_config = _read(template.read_config, config, "config_json", problems)
    good_policy = _read(template.read_policy, policy, "policy_json", problems)
    if good_policy is not None:
        problems += _unknown_tools(template, good_policy)
    if problems or good_config is None or good_policy is None:
        first = problems[0]
        raise Invalid(f"{first['field']}: {first['problem']}", field=first["field"], problems=problems)
    return good_config, good_policy


WITHHELD = {"withheld": "what was posted fits no template, and may hold anything"}


def told_or_withheld(
    kind: str, config: Mapping[str, Any], policy: Mapping[str, Any], *, is_told: Callable[[], bool]
) -> dict[str, Mapping[str, Any]]:
    """Return what a command may carry of config and policy; `is_told` is asked only where they are wrong.

    Raises `Invalid` for an actor who may hear what is wrong. Any other's command is refused by the bus, and it goes
    there without what he sent: a refusal is kept in the audit trail, and a secret may stand in the wrong place.
    """
    try:
        read(kind, config, policy)
    except Invalid:
        if is_told():
            raise
        return {"config_json": WITHHELD, "policy_json": WITHHELD}
    return {"config_json": config, "policy_json": policy}


def _read(
    reader: Callable[[Mapping[str, Any]], S], posted: Mapping[str, Any], where: str, problems: list[Problem]
) -> S | None:
    try:
        return reader(posted)
    except ValidationError as error:
        problems += [_problem(one, where) for one in error.errors(include_url=False, include_input=False)]
        return None


def _problem(error: ErrorDetails, where: str) -> Problem:
    # A key that nobody knows is what was typed, and it may be a secret in the wrong place: it is cut, like a name.
    place = ".".join([where, *(str(part)[:64] for part in error["loc"])])
    return {"field": place, "problem": error["msg"]}


def _unknown_tools(template: Template[Any, Any], policy: Policy) -> Iterator[Problem]:
    """A misspelled tool would be allowed though a rule was written against it."""
    known = {tool.name for tool in template.tools}
    for field in ("allowed_tools", "denied_tools"):
        for place, name in enumerate(getattr(policy, field) or ()):
            if name not in known:
                words = f"{template.kind} has no tool {name}; it has {', '.join(sorted(known))}"
                yield {"field": f"policy_json.{field}.{place}", "problem": words}
