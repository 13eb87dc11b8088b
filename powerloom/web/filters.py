"""Filters of a list, kept in its URL: what is chosen, each as a chip that leads to the list without it.

chosen = Filters(request, q="Search", status="Status", ou="OU")
rows = queries.sessions_visible_to(actor).filter(...)   # by chosen["status"] …
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.http import HttpRequest

LONGEST = 200


@dataclass(frozen=True)
class Chip:
    """One chosen filter: its name and value in words, and the URL without it."""

    name: str
    value: str
    without: str


class Filters:
    """The filters that a request chose, out of those a page knows (parameter to words)."""

    def __init__(self, request: HttpRequest, /, **names: str) -> None:
        self.path = request.path
        self.names = names
        self.chosen = {name: value for name in names if (value := request.GET.get(name, "").strip()[:LONGEST])}
        self._query = request.GET

    def __getitem__(self, name: str) -> str:
        return self.chosen.get(name, "")

    def __bool__(self) -> bool:
        return bool(self.chosen)

    def chips(self, **words: Callable[[str], str]) -> list[Chip]:
        """Return the chosen filters as chips; `words` says a parameter's value in people's words."""
        return [
            Chip(self.names[name], words.get(name, str)(value), self._without(name))
            for name, value in self.chosen.items()
        ]

    def kept(self, *, by_form: Mapping[str, object] | frozenset[str]) -> list[tuple[str, str]]:
        """Return the chosen filters that the page's form has no field for, to be sent along with it."""
        return [(name, value) for name, value in self.chosen.items() if name not in by_form]

    def _without(self, name: str) -> str:
        query = self._query.copy()
        for gone in (name, "cursor"):
            query.pop(gone, None)
        return f"{self.path}?{query.urlencode()}" if query else self.path
