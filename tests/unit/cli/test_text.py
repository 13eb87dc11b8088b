"""What the server says never moves a cursor, sets a title or passes for something else, in any format."""

import json

import pytest
import yaml

from powerloom.cli.render import as_yaml
from powerloom.cli.text import as_json, clean, one_line, spelled_out

CORPUS = [  # what is said, what is shown
    ("plain\twords\nand “more” 日本語 🧵", "plain\twords\nand “more” 日本語 🧵"),
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b[2J\x1b[1;1Hgone", "gone"),
    ("\x1b[38;2;1;2;3mtrue\x1b[m", "true"),
    ("\x1b[?1049h\x1b[?25l\x1b[6n", ""),
    ("\x9b31mC1", "C1"),
    ("\x1b]0;a title\x07after", "after"),
    ("\x1b]52;c;cm0gLXJmIC8=\x07after", "after"),
    ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x9d0;title\x9cafter", "after"),
    ("\x1bP1;2|payload\x1b\\after", "after"),
    ("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\after", "after"),
    ("\x1b(0lqqk\x1b(B", "lqqk"),
    ("\x1bc\x1b7\x1b8\x1b=\x1b>reset", "reset"),
    ("\x1b]0;without an end, and words", "]0;without an end, and words"),
    ("\x1b[31", "[31"),
    ("\x1b\x1b[31mtwice", "twice"),
    ("\x1b[3\x1b[0m1m", "[31m"),
    ("over\rwritten\x08\x08\x7f\x00\x0b\x0c", "overwritten"),
    ("a\u202eb\u2066c\u200bd\ufeff", "a⟦U+202E⟧b⟦U+2066⟧c⟦U+200B⟧d⟦U+FEFF⟧"),
    ("line\u2028line", "line⟦U+2028⟧line"),
]
UNSAFE = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u202e\u2066\u200b\ufeff\u2028"} - {"\n", "\t"}


@pytest.mark.parametrize(("said", "shown"), CORPUS)
def test_nothing_that_a_terminal_obeys_is_left(said: str, shown: str) -> None:
    assert clean(said) == shown
    assert not UNSAFE.intersection(clean(said))
    assert "\n" not in one_line(said)


@pytest.mark.parametrize("said", [said for said, _ in CORPUS])
def test_json_and_yaml_are_safe_to_look_at_and_say_exactly_what_was_said(said: str) -> None:
    for text, read in ((as_json({"name": said}), json.loads), (as_yaml({"name": said}), yaml.safe_load)):
        assert not UNSAFE.intersection(text)
        assert read(text) == {"name": said}


def test_who_decides_sees_what_was_meant_to_be_hidden() -> None:
    assert spelled_out({"a": ["\x1b[8mrm\x1b[0m\n", 1]}) == {"a": ["⟦U+001B⟧[8mrm⟦U+001B⟧[0m\n", 1]}
