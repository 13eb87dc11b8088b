"""Text from the server, made safe for a terminal. Whoever names an agent could otherwise move the cursor, change the
window's title, or make one command look like another.

Escape sequences and control characters are taken out; characters that turn or hide others are written out, as the
console does: `⟦U+202E⟧`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any  # JSON

# Sequences go as a whole, so that no rest of them is read as words. One that has no end loses its first character only:
# it must not take the words behind it along.
SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor, modes
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # titles, links, clipboards
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-Z\\^-~]"  # the rest, among them the reset
)
KEPT = {"\n", "\t"}
UNSEEN = {"Cf", "Co", "Cs", "Zl", "Zp"}
UNSAFE_IN_JSON = re.compile(
    r"[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ue000-\uf8ff]"
)
UNSAFE_IN_LINES = re.compile(rf"[\x00-\x09\x0b-\x1f]|{UNSAFE_IN_JSON.pattern}")


def clean(text: str) -> str:
    """Return the text without anything that a terminal obeys."""
    return "".join(_shown(character) for character in SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """Return the text on one line, for a cell of a table."""
    return " ".join(clean(text).split())


def spelled_out(value: Any) -> Any:
    """Return a JSON value with every control character of its texts written out: who decides sees all that is there."""
    match value:
        case str():
            return "".join(_shown(each) or f"⟦U+{ord(each):04X}⟧" for each in value)
        case dict():
            return {name: spelled_out(item) for name, item in value.items()}
        case list():
            return [spelled_out(item) for item in value]
    return value


def escaped(text: str) -> str:
    """Return lines of JSON with every character that a terminal obeys as JSON's own escape: still the same values."""
    return UNSAFE_IN_LINES.sub(_escape, text)


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """Return the value as JSON that says exactly what the server said, and is safe to look at."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return UNSAFE_IN_JSON.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _shown(character: str) -> str:
    if character in KEPT or character.isprintable():
        return character
    category = unicodedata.category(character)
    if category in UNSEEN:
        return f"⟦U+{ord(character):04X}⟧"
    return "" if category == "Cc" else character
