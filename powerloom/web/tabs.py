"""Tabs of a detail page: each with its word, its template and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar  # Any: template context

from django.http import HttpRequest, HttpResponse

from powerloom.web.pages import fragment, is_fragment

T = TypeVar("T")

FIRST = ""


@dataclass(frozen=True)
class Tab(Generic[T]):
    """One tab: its word, its template, what it reads, and the part of it that keeps itself fresh."""

    word: str
    template: str
    context: Callable[[HttpRequest, T], dict[str, Any]]
    fragment: str = ""


def elsewhere(request: HttpRequest, row: Any) -> dict[str, Any]:
    """The tab is another app's part; the page fetches it from there."""
    return {}


def tabbed(
    request: HttpRequest, tabs: Mapping[str, Tab[T]], row: T, page: str, head: dict[str, Any], address: str
) -> HttpResponse:
    """Render the page of a row with the tab that `?tab=` names, else the first; for htmx that tab alone."""
    tab = tabs.get(request.GET.get("tab", "")) or tabs[FIRST]
    context = head | tab.context(request, row)
    if is_fragment(request):
        return fragment(request, tab.fragment or tab.template, **context)
    links = [
        {"name": one.word, "url": f"{address}?tab={key}" if key else address, "current": one is tab}
        for key, one in tabs.items()
    ]
    return fragment(request, page, **context, tabs=links, tab_template=tab.template)
