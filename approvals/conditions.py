"""Conditions of policies: CEL over the command and the state it leads to, by Google's own evaluator.

    command      what was asked, as JSON
    resource     the state it leads to: an agent whole, of other things the fields that change
    before       the fields that change, as they are now
    target       {"kind", "id", "name", "ou_path"}
    actor        {"kind", "ref"}
    action       "agent:create"

A policy guards, so whatever its condition cannot decide counts as a match: an error, a field that is not there, more
work than the evaluator's own budget of iterations allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any  # JSON goes in

from cel_expr_python import cel

from powerloom.kernel.errors import Invalid

LONGEST = 2048  # characters of a condition
NAMES = ("command", "resource", "before", "target", "actor")

_DOCUMENT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_ENVIRONMENT = cel.NewEnv(variables={"action": cel.Type.STRING, **dict.fromkeys(NAMES, _DOCUMENT)})
_LITERAL = re.compile(r"""[rRbB]{0,2}("{3}.*?"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)
_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|filter|map|transformList|transformMap)\s*\($")


def check(condition: str) -> None:
    """Raise `Invalid` when the condition cannot be used: not CEL, not a yes or no, or loops inside loops."""
    if not condition:
        return
    if len(condition) > LONGEST:
        raise Invalid(f"A condition has at most {LONGEST} characters.", field="condition")
    if _loops_in_loops(condition):
        raise Invalid("A condition may not put one loop (all, exists, filter, map) inside another.", field="condition")
    try:
        program = _program(condition)
    except RuntimeError as error:
        raise Invalid(f"This is not CEL: {_words(error)}", field="condition") from error
    if program.return_type() not in [cel.Type.BOOL, cel.Type.DYN]:
        raise Invalid("A condition answers true or false.", field="condition")


def matches(condition: str, facts: Mapping[str, Any]) -> tuple[bool, str]:
    """Return whether the condition holds for these facts, and what kept it from being decided (then it counts as
    holding).
    """
    if not condition:
        return True, ""
    try:
        value = _program(condition).eval(data=dict(facts)).value()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        return True, _words(error)
    return (value, "") if isinstance(value, bool) else (True, "it did not answer true or false")


@lru_cache(maxsize=2048)
def _program(condition: str) -> cel.Expression:
    return _ENVIRONMENT.compile(condition)


def _words(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _loops_in_loops(condition: str) -> bool:
    """Tell whether a macro stands inside the parentheses of another. Literals are taken out first."""
    text, open_loops, stack = _LITERAL.sub("''", condition), 0, []
    for place, letter in enumerate(text):
        if letter == "(":
            is_loop = _MACRO.search(text[: place + 1]) is not None
            if is_loop and open_loops:
                return True
            stack.append(is_loop)
            open_loops += is_loop
        elif letter == ")" and stack:
            open_loops -= stack.pop()
    return False
