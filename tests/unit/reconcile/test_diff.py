"""Field diffs for people."""

from powerloom.reconcile.diff import MAX_TEXT, diff


def test_equal_documents_do_not_differ() -> None:
    assert diff({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}) == []


def test_the_path_names_the_field() -> None:
    found = diff({"tools": {"bash": {"enabled": True}}}, {"tools": {"bash": {"enabled": False}}})
    assert found == [{"path": "tools.bash.enabled", "desired": True, "actual": False}]


def test_what_is_on_one_side_only_is_missing_on_the_other() -> None:
    assert diff({"a": 1}, {"b": 2}) == [
        {"path": "a", "desired": 1, "actual": None},
        {"path": "b", "desired": None, "actual": 2},
    ]


def test_lists_of_one_length_differ_by_element_and_others_as_a_whole() -> None:
    assert diff([1, 2], [1, 3]) == [{"path": "1", "desired": 2, "actual": 3}]
    assert diff({"a": [1]}, {"a": []}) == [{"path": "a", "desired": [1], "actual": []}]


def test_true_is_not_one() -> None:
    assert diff({"a": True}, {"a": 1}) == [{"path": "a", "desired": True, "actual": 1}]


def test_long_texts_are_cut_and_say_so() -> None:
    [found] = diff({"system": "x" * 5000}, {"system": "y"})
    assert found["desired"] == f"{'x' * MAX_TEXT}… (5000 characters)"
