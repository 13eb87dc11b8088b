"""The parts of the look as tags: icon, badge, age, crumbs, diff, JSON tree. Each renders one fragment of
`templates/parts/`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any  # template values and JSON

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from powerloom.audit.chain import Verdict
from powerloom.console import reading, states
from powerloom.web import text as texts

register = template.Library()

UNITS = (("d", 86400), ("h", 3600), ("m", 60))


@register.simple_tag
def icon(name: str, size: int = 16) -> SafeString:
    """Return the icon from the sprite; it is ornament, the word beside it speaks."""
    return format_html(
        '<svg width="{0}" height="{0}" aria-hidden="true"><use href="{1}#{2}"></use></svg>',
        size,
        static("img/icons.svg"),
        name,
    )


def age_text(seconds: float) -> str:
    """Return an age in its largest whole unit: `12 s`, `4 m`, `2 h`, `3 d`. `static/js/times.js` says the same."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Return a moment as its age, with the exact time and zone on hover."""
    if moment is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}" data-age>{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        age_text((timezone.now() - moment).total_seconds()),
    )


@register.filter
def ahead(moment: datetime | None) -> SafeString | str:
    """Return how long it is until a moment, with the exact time and zone on hover; what is over is `0 s`."""
    if moment is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}" data-ahead>{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        age_text((moment - timezone.now()).total_seconds()),
    )


@register.filter
def span(seconds: int) -> str:
    """Return a set length of time in its largest whole unit, as ages are said: `7 d`."""
    return age_text(seconds)


@register.filter
def as_text(value: Any) -> str:
    """Return a JSON value as text from elsewhere is shown; nothing at all as a dash."""
    return "–" if value is None else reading.shown(value)


@register.filter
def duration(length: timedelta | float | None) -> str:
    """Return a length of time with its seconds: `4.2 s`, `3 m 05 s`, `1 h 02 m`."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left:02d} m" if hours else f"{minutes} m {rest:02d} s"


@register.filter
def of(values: Mapping[Any, Any], key: object) -> Any:
    """Return what a mapping holds under a key that only the template knows."""
    return values.get(key)


@register.filter
def proof(verdict: Verdict) -> str:
    """Return what came of verifying a chain, in words."""
    if not verdict.is_intact:
        return f"Broken at entry {verdict.bad_seq}: {verdict.reason}. Export it and tell your operator."
    vouched = (
        f"a signed head vouches for entry {verdict.signed}" if verdict.signed else "no signed head vouches for it yet"
    )
    return f"Intact: all {verdict.count} entries follow one another, and {vouched}."


@register.simple_tag
def indent(depth: int) -> str:
    """Return the mark that puts a node of a tree below its parent."""
    return f"{'   ' * (depth - 1)}└─ " if depth else ""


@register.filter
def shown_path(path: str) -> str:
    """Return an OU path as people write it, without the closing slash."""
    return path.rstrip("/") or "/"


@register.filter
def visible(text: object) -> str:
    """Return text from elsewhere with its hidden characters written out."""
    return texts.visible(str(text))


@register.filter
def anchor(text: object, word: str = "") -> str:
    """Return an id for what floats beside a control, made of its words: the same after every refresh."""
    return f"why-{zlib.crc32(f'{word}|{text}'.encode()):08x}"


@register.inclusion_tag("parts/badge.html")
def badge(family: str, state: str, since: datetime | None = None, note: str = "") -> Mapping[str, Any]:
    """Show a state: icon, word and, when it is not the calm one, its age. `note` follows the word (`for
    python-lint`).
    """
    shown = states.badge(family, state)
    return {"badge": shown, "since": None if shown.calm else since, "note": note}


@register.inclusion_tag("parts/crumbs.html")
def crumbs(path: str, room: str = "") -> Mapping[str, Any]:
    """Show an OU path; each step leads to `room` with that OU as its scope."""
    names = path.strip("/").split("/") if path.strip("/") else []
    steps = [{"name": name, "path": "/" + "/".join(names[: place + 1])} for place, name in enumerate(names)]
    return {"steps": steps, "room": room}


@register.inclusion_tag("parts/json.html")
def json_tree(value: Any) -> Mapping[str, Any]:
    """Show a JSON value as a tree that folds."""
    return {"node": reading.tree(value), "open": True}


@register.inclusion_tag("parts/diff.html")
def diff(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Mapping[str, Any]:
    """Show the fields that differ, before and after; of what is new, its fields."""
    changes = reading.field_changes(before, after)
    told, silent = reading.empties(changes) if before is None else (changes, [])
    return {"changes": told, "silent": silent, "is_new": before is None}
