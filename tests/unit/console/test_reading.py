"""Text from elsewhere is made safe to read."""

from powerloom.console.reading import DEEPEST, empties, field_changes, pretty, tree
from powerloom.web.text import visible


def test_it_writes_out_what_could_deceive_the_eye() -> None:
    assert visible("safe\u202egpj.exe") == "safe⟦U+202E⟧gpj.exe"
    assert visible("a\x1b[31mred\x00") == "a⟦U+001B⟧[31mred⟦U+0000⟧"
    assert visible("zero\u200bwidth") == "zero⟦U+200B⟧width"


def test_it_leaves_ordinary_text_alone() -> None:
    text = "Grüße, 世界 – tab\tand line\nend 👍"
    assert visible(text) == text


def test_a_tree_shows_every_leaf_with_its_key() -> None:
    node = tree({"name": "bash", "input": {"lines": [1, None]}})
    [name, given] = node.children
    assert (name.kind, name.key, name.text) == ("string", "name", "bash")
    assert [leaf.text for leaf in given.children[0].children] == ["1", "null"]


def test_a_tree_ends_at_its_floor() -> None:
    value: object = "leaf"
    for _ in range(500):
        value = {"down": value}
    node, depth = tree(value), 0
    while node.children:
        node, depth = node.children[0], depth + 1
    assert depth == DEEPEST
    assert "leaf" in node.text


def test_a_change_names_only_what_differs() -> None:
    changes = field_changes({"model": "a", "name": "x"}, {"model": "b", "name": "x", "new": 1})
    assert [(one.name, one.before, one.after) for one in changes] == [("model", "a", "b"), ("new", None, "1")]


def test_a_creation_has_no_before() -> None:
    assert [one.before for one in field_changes(None, {"name": "x"})] == [None]


def test_of_what_is_new_the_silent_fields_are_only_named() -> None:
    told, silent = empties(field_changes(None, {"name": "x", "skills": [], "owner": None}))
    assert ([one.name for one in told], silent) == (["name"], ["owner", "skills"])


def test_json_that_fits_into_a_line_stands_on_one() -> None:
    tool = {"enabled": True, "permission": "always_allow", "reason": "so that it is long"}
    assert pretty({"a": 1}) == '{"a": 1}'
    lines = pretty({"bash": tool, "edit": [tool, {"é": None}]}).splitlines()
    assert lines[0] == "{"
    assert lines[1].startswith('  "bash": {"enabled": true')
    assert lines[2] == '  "edit": ['
    assert lines[-3:] == ['    {"é": null}', "  ]", "}"]
    assert len(pretty([[[]]] * 999).splitlines()) == 1001


def test_deep_json_ends_on_one_line() -> None:
    value: object = "leaf"
    for _ in range(200):
        value = [value]
    assert len(pretty(value).splitlines()) < 60
