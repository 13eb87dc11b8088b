"""The house rules: what reviews said twice. Each has its good and bad lines in `test_rules.py`."""

from collections.abc import Iterator

from tests.house import code, files, pages
from tests.house.source import Finding, Rule, Source

RULES: tuple[Rule, ...] = (
    code.python_parses,
    code.edges_use_the_bus,
    code.only_canonical_json_is_hashed,
    code.transactions_say_what_they_are,
    code.one_way_out,
    code.exceptions_have_reasons,
    code.tests_do_not_sleep,
    pages.pages_keep_the_policy,
    files.top_level_is_planned,
    files.files_are_nouns,
    files.files_are_short,
    files.nothing_is_left_for_later,
    files.nothing_points_elsewhere,
)


def check(source: Source) -> Iterator[tuple[Rule, Finding]]:
    """Answer what the rules find in one file; one that is not Python at all is spared the others."""
    if broken := list(code.python_parses(source)):
        yield from ((code.python_parses, finding) for finding in broken)
        return
    for rule in RULES:
        yield from ((rule, finding) for finding in rule(source))
