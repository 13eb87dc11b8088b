"""Lists: bare JSON arrays. With `limit` they page by an opaque cursor in `Link: rel="next"`, else they stream whole.

Rows are read and rendered in batches: a constant number of queries a batch, and bounded memory at any length.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Generic, TypeVar  # row types and keys differ by list

from asgiref.sync import sync_to_async
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from powerloom.kernel.errors import Invalid

M = TypeVar("M", bound=Model)
RenderAll = Callable[[Sequence[Any]], list[dict[str, Any]]]

BATCH = 500
MAX_LIMIT = 1000
LONGEST_LIMIT = len(str(MAX_LIMIT))  # digits; Python refuses to read thousands of them
_SALT = "powerloom.cursor"


def listing(
    request: HttpRequest,
    rows: QuerySet[M],
    render_all: RenderAll,
    *,
    newest_first: bool = True,
    key: str = "id",
    default_limit: int | None = None,
) -> HttpResponseBase:
    """Answer with the rows as a bare array, ordered by `key`: unique, by default the id (UUIDv7, so by time).

    Query: `limit` 1 to 1000 pages; `cursor` as the `Link` header of the page before gave it. Raises `Invalid` on
    others. `default_limit` pages a list that is too long to be read whole by accident.
    """
    order = Order(key, newest_first)
    limit = _limit(request) or default_limit
    after = _after(request, rows, order)
    if limit is None:
        return streamed(request, _parts(rows, render_all, after, order))
    found = _batch(rows, after, limit + 1, order)
    response = JsonResponse(render_all(found[:limit]), safe=False)
    if len(found) > limit:
        response.headers["Link"] = f'<{_next(request, order.cursor(found[limit - 1]))}>; rel="next"'
    return response


@dataclass(frozen=True)
class Order:
    """By which unique column a list is read, and in which direction."""

    key: str
    newest_first: bool

    def sort(self, rows: QuerySet[M]) -> QuerySet[M]:
        return rows.order_by(f"-{self.key}" if self.newest_first else self.key)

    def beyond(self, rows: QuerySet[M], after: Any) -> QuerySet[M]:
        return rows.filter(**{f"{self.key}__{'lt' if self.newest_first else 'gt'}": after})

    def cursor(self, row: Model) -> str:
        return signing.dumps([self.key, str(getattr(row, self.key))], salt=_SALT)


@dataclass(frozen=True)
class Page(Generic[M]):
    """One screen of a list: its rows, the cursor it began at, the cursor of what follows ("" at an end)."""

    rows: list[M]
    cursor: str
    next: str


def page_of(
    request: HttpRequest, rows: QuerySet[M], *, size: int, newest_first: bool = True, key: str = "id"
) -> Page[M]:
    """Return the screen that `?cursor=` names. Raises `Invalid` on a cursor that is not ours."""
    order = Order(key, newest_first)
    found = _batch(rows, _after(request, rows, order), size + 1, order)
    follows = order.cursor(found[size - 1]) if len(found) > size else ""
    return Page(found[:size], request.GET.get("cursor", ""), follows)


def streamed(
    request: HttpRequest, parts: Iterator[bytes], *, content_type: str = "application/json"
) -> StreamingHttpResponse:
    """Send the parts as they are made, in bounded memory. The first is made at once: a refusal is still an answer."""
    parts = chain(list(islice(parts, 1)), parts)
    # Under ASGI Django would read a plain iterator whole before it sends the first byte.
    body = _awaited(parts) if isinstance(request, ASGIRequest) else parts
    return StreamingHttpResponse(body, content_type=content_type)


def _limit(request: HttpRequest) -> int | None:
    given = request.GET.get("limit")
    if given is None:
        return None
    is_short_number = given.isascii() and given.isdigit() and len(given) <= LONGEST_LIMIT
    if not is_short_number or not 1 <= int(given) <= MAX_LIMIT:
        raise Invalid(f"limit is a whole number from 1 to {MAX_LIMIT}.", field="limit")
    return int(given)


def _after(request: HttpRequest, rows: QuerySet[M], order: Order) -> Any:
    cursor = request.GET.get("cursor")
    if cursor is None:
        return None
    try:
        key, value = signing.loads(cursor, salt=_SALT)
        if key != order.key:
            raise signing.BadSignature("a cursor of another list")
        column: Any = rows.model._meta.get_field(key)
        return column.to_python(value)
    except (signing.BadSignature, ValidationError, ValueError) as error:
        raise Invalid("This cursor is not one of ours. Start again without it.", field="cursor") from error


def _next(request: HttpRequest, cursor: str) -> str:
    query = request.GET.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _batch(rows: QuerySet[M], after: Any, size: int, order: Order) -> list[M]:
    return list(order.sort(rows if after is None else order.beyond(rows, after))[:size])


def _parts(rows: QuerySet[M], render_all: RenderAll, after: Any, order: Order) -> Iterator[bytes]:
    opening = "["
    while found := _batch(rows, after, BATCH, order):
        for rendered in render_all(found):
            yield f"{opening}{json.dumps(rendered, cls=DjangoJSONEncoder)}".encode()
            opening = ","
        if len(found) < BATCH:
            break
        after = getattr(found[-1], order.key)
    yield b"[]" if opening == "[" else b"]"


async def _awaited(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    def batch() -> bytes:
        return b"".join(islice(parts, BATCH))

    while chunk := await sync_to_async(batch)():
        yield chunk
