"""Lists: limits, cursors, and the page that answers.

A cursor is opaque to clients: which list, which order, and the sequence number to go on from. One that belongs to
another list or another order is refused (400), as is one that is not ours.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.responses import Response

from powerloom.cma.local.errors import invalid
from powerloom.cma.local.ids import stamp
from powerloom.cma.types import JSON

MOMENT = TypeAdapter(datetime)


@dataclass(frozen=True)
class Cursor:
    """Where a page starts. `back` marks a cursor that pages towards the start of the list."""

    scope: str
    ascending: bool
    after: int
    back: bool = False

    def __str__(self) -> str:
        plain = json.dumps([self.scope, self.ascending, self.after, self.back], separators=(",", ":"))
        return "page_" + base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def cursor(query: QueryParams, scope: str, *, ascending: bool) -> Cursor | None:
    """The cursor in `page`, or None. Raises 400 unless it was made for this list in this order."""
    text = query.get("page")
    if not text:
        return None
    found = _parse(text)
    if found is None or found.scope != scope or found.ascending != ascending:
        raise invalid("page: cursor is not valid for this list and order")
    return found


def after(start: Cursor | None) -> int | None:
    """The sequence number to go on from, None at the beginning."""
    return start.after if start else None


def _parse(text: str) -> Cursor | None:
    try:
        raw = text.removeprefix("page_").encode("ascii")
        match json.loads(base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)):
            case [str(scope), bool(ascending), int(after), bool(back)] if abs(after) < 2**63:
                return Cursor(scope, ascending, after, back)
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        return None
    return None


def limit(query: QueryParams, *, default: int, most: int) -> int:
    """The page size asked for. Raises 400 outside 1…`most`."""
    return number(query, "limit", default=default, least=1, most=most) or default


def number(query: QueryParams, name: str, *, default: int | None, least: int, most: int = 2**53) -> int | None:
    """An integer parameter. Raises 400."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise invalid(f"{name}: must be an integer between {least} and {most}")
    return int(text)


def flag(query: QueryParams, name: str) -> bool:
    """A boolean parameter, false when absent. Raises 400."""
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise invalid(f"{name}: must be true or false")
    return text == "true"


def choice(query: QueryParams, name: str, allowed: tuple[str, ...], default: str) -> str:
    """A parameter out of a few. Raises 400."""
    text = query.get(name, default)
    if text not in allowed:
        raise invalid(f"{name}: must be one of {', '.join(allowed)}")
    return text


def many(query: QueryParams, name: str) -> list[str]:
    """A parameter that repeats: `name[]=a&name[]=b`, or plain `name=a`."""
    return [*query.getlist(f"{name}[]"), *query.getlist(name)]


def times(query: QueryParams, column: str, name: str = "created_at") -> list[tuple[str, tuple[str]]]:
    """`name[gte]=…` and its siblings as SQL conditions on `column`. Raises 400."""
    found = []
    for word, sign in (("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")):
        text = query.get(f"{name}[{word}]")
        if text is not None:
            found.append((f"{column} {sign} ?", (_moment(f"{name}[{word}]", text),)))
    return found


def _moment(name: str, text: str) -> str:
    try:
        return stamp(MOMENT.validate_strings(text.replace(" ", "+")))
    except (ValidationError, OverflowError) as error:
        raise invalid(f"{name}: must be an RFC 3339 time") from error


def page(rows: list[tuple[int, str]], size: int, scope: str, *, ascending: bool, extra: str = "") -> Response:
    """The answer for one page. `rows` holds one more than fits when there is a next page."""
    more = len(rows) > size
    shown = rows[:size]
    following = str(Cursor(scope, ascending, shown[-1][0])) if more else None
    return _answer(shown, f'"next_page":{json.dumps(following)}{extra}')


def two_way_page(
    rows: list[tuple[int, str]], size: int, scope: str, *, ascending: bool, start: Cursor | None
) -> Response:
    """The same with `prev_page` too. A page asked for backwards comes in reverse and is turned round."""
    more = len(rows) > size
    shown = rows[:size]
    back = start is not None and start.back
    if back:
        shown = shown[::-1]
    has_next = bool(shown) and (more or back)
    has_previous = bool(shown) and (more if back else start is not None)
    following = str(Cursor(scope, ascending, shown[-1][0])) if has_next else None
    previous = str(Cursor(scope, ascending, shown[0][0], back=True)) if has_previous else None
    return _answer(shown, f'"next_page":{json.dumps(following)},"prev_page":{json.dumps(previous)}')


def _answer(rows: list[tuple[int, str]], tail: str) -> Response:
    # The documents are JSON text already: joining them is what keeps a page of a hundred agents cheap.
    body = '{"data":[' + ",".join(text for _, text in rows) + "]," + tail + "}"
    return Response(body, media_type="application/json")


def text(value: JSON | None) -> str:
    """JSON text of a value, to stand in a page."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_answer(text: str) -> Response:
    """An answer that is JSON text already."""
    return Response(text, media_type="application/json")


Conditions = list[tuple[str, tuple[Any, ...]]]
