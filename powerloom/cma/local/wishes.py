"""What a prompt asks of the script, for tests and benches.

A prompt may begin with words in brackets that steer the script, for tests and benches:

    [events=40 rate=20]   40 messages at 20 a second (no rate: as the pace says)
    [slow=5]              pause 5 seconds before the end      [ask]        ask before the first built-in tool
    [fail]                end with an error, retries_exhausted [terminate]  end the session with a terminal error
    [refuse]              end with stop reason refusal         [budget]     end with budget_reached
    [reschedule]          be rescheduled once                  [nomcp]      leave the MCP tools alone
"""

import re
from dataclasses import dataclass, field

from powerloom.cma.types import JSON

DIRECTIVES = re.compile(r"\s*\[([a-z]+(?:=[0-9]+(?:\.[0-9]+)?)?(?: [a-z]+(?:=[0-9]+(?:\.[0-9]+)?)?)*)\]\s*")
FLAGS = {"fail", "terminate", "refuse", "budget", "ask", "reschedule", "nomcp"}
NUMBERS = {"events", "rate", "slow"}


@dataclass(frozen=True)
class Wishes:
    """What the brackets at the start of a prompt ask for, and the rest of it."""

    text: str
    flags: frozenset[str] = frozenset()
    numbers: JSON = field(default_factory=dict)

    def number(self, name: str, most: float) -> float | None:
        """A number asked for, within reason."""
        value = self.numbers.get(name)
        return None if value is None else min(float(value), most)


def wishes(prompt: str) -> Wishes:
    """Read the brackets. Words we do not know make the whole of it ordinary text."""
    match = DIRECTIVES.match(prompt)
    if match is None:
        return Wishes(prompt)
    flags, numbers = set(), {}
    for word in match.group(1).split(" "):
        name, _, value = word.partition("=")
        if value and name in NUMBERS:
            numbers[name] = float(value)
        elif not value and name in FLAGS:
            flags.add(name)
        else:
            return Wishes(prompt)
    return Wishes(prompt[match.end() :], frozenset(flags), numbers)
