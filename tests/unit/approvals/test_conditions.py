"""Conditions and patterns, pure: what they take, what they refuse, and that a doubt counts as a match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import conditions, patterns
from approvals.trials import Guard, tried
from powerloom.kernel.errors import Invalid

FACTS = {
    "action": "agent:create",
    "command": {"name": "reviewer"},
    "resource": {"model": "claude-opus-4-1", "skills": [{"name": "a"}], "description": None, "many": list(range(5000))},
    "before": {},
    "target": {"ou_path": "/acme/production"},
    "actor": {"ref": "user:bob@acme.example"},
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("", True),
        ("true", True),
        ('action == "agent:create"', True),
        ('resource.model.startsWith("claude-opus")', True),
        ('resource.model == "another"', False),
        ('has(resource.model) && target.ou_path.startsWith("/acme/production")', True),
        ('resource.skills.exists(skill, skill.name == "b")', False),
        ("resource.description == null", True),
        ('"(a.all(" == "a"', False),
    ],
)
def test_a_condition_that_can_be_decided_is(condition: str, holds: bool) -> None:
    conditions.check(condition)
    assert conditions.matches(condition, FACTS) == (holds, "")


@pytest.mark.parametrize(
    "condition",
    [
        "resource.no_such_field == 1",
        "1 / 0 == 1",
        "resource.model < 3",
        "resource.model",
        "resource.many.all(x, x >= 0) && resource.many.all(x, x >= 0) && resource.many.all(x, x >= 0)",
    ],
)
def test_a_condition_that_cannot_be_decided_counts_as_a_match_and_says_why(condition: str) -> None:
    holds, doubt = conditions.matches(condition, FACTS)
    assert holds
    assert doubt


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("resource.", "not CEL"),
        ("nothing_known == 1", "not CEL"),
        ("import('os')", "not CEL"),
        ("1 + 1", "true or false"),
        ('"text"', "true or false"),
        ("resource.a.all(x, resource.b.exists(y, x == y))", "inside another"),
        ("resource.a.filter( x , resource.b . map (y, y) == [x]).size() > 0", "inside another"),
        ("x" * 2049, "at most"),
        ("(" * 600 + "true" + ")" * 600, "not CEL"),
    ],
)
def test_what_is_no_condition_is_refused_when_it_is_saved(condition: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        conditions.check(condition)
    assert refused.value.detail["field"] == "condition"


def test_loops_side_by_side_are_fine() -> None:
    conditions.check("resource.a.all(x, x > 0) && resource.b.exists(y, y > (1 + 1))")


@given(st.text(max_size=60))
def test_no_text_breaks_the_check_or_the_answer(text: str) -> None:
    try:
        conditions.check(text)
    except Invalid:
        return
    assert isinstance(conditions.matches(text, FACTS)[0], bool)


def test_an_action_is_covered_by_itself_its_noun_and_everything() -> None:
    assert patterns.covering("agent:create") == ("agent:create", "agent:*", "*")
    assert patterns.is_known("agent:*", ["agent:create"])
    assert not patterns.is_known("agents:*", ["agent:create"])
    assert patterns.paths_to("/acme/engineering/platform/") == [
        "/acme/",
        "/acme/engineering/",
        "/acme/engineering/platform/",
    ]


@pytest.mark.parametrize(
    ("guard", "holds", "no"),
    [
        (Guard("/acme/production/", "agent:*", ""), True, set()),
        (Guard("/acme/prod/", "agent:*", ""), False, {"scope"}),
        (Guard("/acme/", "skill:*", ""), False, {"action"}),
        (Guard("/acme/", "*", 'resource.model == "x"'), False, {"condition"}),
        (Guard("/acme/", "*", "resource.missing == 1"), True, set()),
    ],
)
def test_trying_a_policy_says_which_part_says_no(guard: Guard, holds: bool, no: set[str]) -> None:
    said = tried(guard, "agent:create", "/acme/production", FACTS)
    assert said["holds"] is holds
    assert {fact["kind"] for fact in said["facts"] if not fact["holds"]} == no
