"""Text from elsewhere, made safe to read: hidden characters become visible.

Control and bidirectional characters can make a prompt or a tool call look like another one; here they show as
`⟦U+202E⟧`.
"""

from __future__ import annotations

import unicodedata

PLAIN = {"\n", "\t"}
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """Return the text with every control, format and private-use character written out."""
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character.isprintable() or character in PLAIN or unicodedata.category(character) not in UNSEEN:
        return character
    return f"⟦U+{ord(character):04X}⟧"
