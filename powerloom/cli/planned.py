"""How a plan, and what came of it, is shown: a line a resource with what it changes, and the sum."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any  # JSON

from powerloom.cli.render import Screen, spelled
from powerloom.cli.sources import Sources

MARKS = {"create": "+", "update": "~", "delete": "-", "noop": "=", "held": "!", "denied": "x", "invalid": "x"}
TONES = {"create": "green", "update": "yellow", "delete": "red", "held": "magenta", "denied": "red", "invalid": "red"}
QUIET = {"noop"}
REFUSED = {"denied", "invalid"}


def show_plan(screen: Screen, plan: Mapping[str, Any], sources: Sources) -> None:
    """Show what would be done."""
    for row in plan["resources"]:
        if row["verb"] not in QUIET:
            _resource(screen, row, row["verb"], sources)
    screen.say(_sum(plan["summary"]))
    if plan["would_hold"]:
        screen.say(f"Held for approval when it is applied, by {', '.join(plan['held_by'])}.", "magenta")
    if plan["cma_calls"]:
        minutes = plan["cma_minutes"]
        takes = f", about {minutes:g} minutes under the rate budget" if minutes else ""
        screen.say(f"{plan['cma_calls']} calls to CMA{takes}.", "dim")


def show_outcome(screen: Screen, outcome: Mapping[str, Any], sources: Sources) -> None:
    """Show what was done."""
    counted: dict[str, int] = {}
    for row in outcome["resources"]:
        status = row["status"]
        counted[status] = counted.get(status, 0) + 1
        if status not in QUIET:
            _resource(screen, row, row["verb"], sources, status=status)
    screen.say(", ".join(f"{count} {status}" for status, count in counted.items()) or "Nothing to do.")


def show_problems(screen: Screen, problems: Sequence[Mapping[str, Any]], sources: Sources) -> None:
    """Say what is wrong with a manifest, each with its file and line."""
    for problem in problems:
        place = f"{sources.place(problem['line'])}: " if "line" in problem else ""
        about = problem.get("resource")
        screen.note(f"{place}{f'{about}: ' if about else ''}{problem['problem']}", "red")


def has_changes(plan: Mapping[str, Any]) -> bool:
    return any(row["verb"] not in QUIET for row in plan["resources"])


def is_refused(plan: Mapping[str, Any]) -> bool:
    return any(row["verb"] in REFUSED for row in plan["resources"])


def _resource(screen: Screen, row: Mapping[str, Any], verb: str, sources: Sources, *, status: str = "") -> None:
    place = f"  ({sources.place(row['line'])})" if verb in REFUSED and row["line"] else ""
    outcome = f"  {status}" if status else ""
    screen.say(f"{MARKS.get(verb, '?')} {verb:<7} {row['kind']} {row['address']}{outcome}{place}", TONES.get(verb, ""))
    for name, change in row["changes"].items():
        _change(screen, name, change["from"], change["to"])
    for words in (row["why"], *row["warnings"]):
        if words:
            screen.say(f"    {words}", "yellow")


def _change(screen: Screen, name: str, old: Any, new: Any) -> None:
    if not (isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new)):
        screen.say(f"    {name}: {spelled(old)} → {spelled(new)}")
        return
    screen.say(f"    {name}:")
    for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]:
        screen.say(f"      {line}", {"+": "green", "-": "red"}.get(line[:1], "dim"))


def _sum(summary: Mapping[str, int]) -> str:
    counted = [
        f"{count} {'unchanged' if verb == 'noop' else f'to {verb}' if verb in TO else verb}"
        for verb, count in summary.items()
    ]
    return f"Plan: {', '.join(counted)}." if counted else "The manifest is empty."


TO = {"create", "update", "delete"}
