"""Lists: bare arrays that stream whole in bounded memory, or page by an opaque cursor."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from powerloom.kernel.errors import Denied, Invalid
from powerloom.kernel.ids import new_id
from powerloom.reconcile.models import SyncState
from powerloom.web.lists import BATCH, listing, page_of
from tests.database import Committed
from tests.world import World, api_of, make_group

ORGANIZATION = new_id()


def make_rows(count: int) -> list[str]:
    rows = [SyncState(kind="test", object_id=new_id(), organization_id=ORGANIZATION) for _ in range(count)]
    SyncState.objects.bulk_create(rows)
    return [str(row.id) for row in rows]


def render_all(rows: Sequence[SyncState]) -> list[dict[str, Any]]:
    return [{"id": str(row.id)} for row in rows]


def asked(**query: str) -> HttpRequest:
    return RequestFactory().get("/api/things", query, headers={"host": "localhost"})


def ids(response: Any) -> list[str]:
    content = response.getvalue() if response.streaming else response.content
    return [row["id"] for row in json.loads(content)]


async def streamed_ids(response: Any) -> list[str]:
    return [row["id"] for row in json.loads(b"".join([chunk async for chunk in response]))]


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 7])
def test_without_a_limit_every_row_is_streamed_once(db: None, count: int) -> None:
    made = make_rows(count)
    assert ids(listing(asked(), SyncState.objects.all(), render_all, newest_first=False)) == made
    assert ids(listing(asked(), SyncState.objects.all(), render_all)) == made[::-1]


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 7])
async def test_under_asgi_every_row_is_streamed_once_too(committed_db: Committed, count: int) -> None:
    made = await sync_to_async(make_rows)(count)
    request: ASGIRequest = AsyncRequestFactory().get("/api/things")

    def answer() -> Any:
        return listing(request, SyncState.objects.all(), render_all, newest_first=False)

    response = await sync_to_async(answer)()
    assert response.is_async
    assert await streamed_ids(response) == made


async def test_under_asgi_no_more_than_a_batch_is_held_at_a_time(committed_db: Committed) -> None:
    await sync_to_async(make_rows)(4 * BATCH)
    rendered: list[int] = []

    def render(rows: Sequence[SyncState]) -> list[dict[str, Any]]:
        rendered.append(len(rows))
        return render_all(rows)

    request: ASGIRequest = AsyncRequestFactory().get("/api/things")
    response: Any = await sync_to_async(lambda: listing(request, SyncState.objects.all(), render))()
    chunks = aiter(response)
    seen = 0
    async for chunk in chunks:
        seen += chunk.count(b'"id"')
        assert sum(rendered) - seen <= BATCH
    assert seen == 4 * BATCH
    assert max(rendered) == BATCH


def test_a_stream_costs_one_query_a_batch(db: None, django_assert_num_queries: Any) -> None:
    make_rows(2 * BATCH + 1)
    with django_assert_num_queries(3):
        ids(listing(asked(), SyncState.objects.all(), render_all))


def test_a_refusal_while_the_first_row_is_made_is_still_an_answer(db: None) -> None:
    make_rows(1)

    def refuse(rows: Sequence[SyncState]) -> list[dict[str, Any]]:
        raise Denied("not this")

    with pytest.raises(Denied):
        listing(asked(), SyncState.objects.all(), refuse)


def next_query(response: Any) -> dict[str, str] | None:
    link = response.headers.get("Link")
    if link is None:
        return None
    assert link.startswith("<http://localhost/api/things?")
    assert link.endswith('>; rel="next"')
    return dict(parse_qsl(urlsplit(link[1 : link.index(">")]).query))


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_pages_follow_each_other_until_nothing_is_left(db: None, limit: int, newest_first: bool) -> None:
    made = make_rows(7)
    query: dict[str, str] | None = {"limit": str(limit), "kind": "test"}
    found: list[str] = []
    while query is not None:
        response = listing(asked(**query), SyncState.objects.all(), render_all, newest_first=newest_first)
        assert not isinstance(response, StreamingHttpResponse)
        found += ids(response)
        query = next_query(response)
        assert query is None or query["kind"] == "test", "the other filters go along"
    assert found == (made[::-1] if newest_first else made)


def test_rows_added_meanwhile_neither_repeat_nor_skip_any(db: None) -> None:
    made = make_rows(4)
    first = listing(asked(limit="2"), SyncState.objects.all(), render_all)
    make_rows(3)
    query = next_query(first)
    assert query is not None
    second = listing(asked(**query), SyncState.objects.all(), render_all)
    assert ids(first) + ids(second) == made[::-1]


def test_a_cursor_without_a_limit_streams_the_rest(db: None) -> None:
    made = make_rows(5)
    query = next_query(listing(asked(limit="2"), SyncState.objects.all(), render_all))
    assert query is not None
    del query["limit"]
    assert ids(listing(asked(**query), SyncState.objects.all(), render_all)) == made[2::-1]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "", "²", "99999999999999999999", "9" * 5000])
def test_a_bad_limit_is_refused(db: None, limit: str) -> None:
    with pytest.raises(Invalid) as caught:
        listing(asked(limit=limit), SyncState.objects.all(), render_all)
    assert caught.value.detail["field"] == "limit"


@pytest.mark.parametrize("cursor", ["", "x", "a:b:c", "WyJpZCIsICIxIl0:1:x"])
def test_a_cursor_that_is_not_ours_is_refused(db: None, cursor: str) -> None:
    for ask in (
        lambda: listing(asked(cursor=cursor), SyncState.objects.all(), render_all),
        lambda: page_of(asked(cursor=cursor), SyncState.objects.all(), size=2),
    ):
        with pytest.raises(Invalid) as caught:
            ask()
        assert caught.value.detail["field"] == "cursor"


def test_a_cursor_of_a_list_in_another_order_is_refused(db: None) -> None:
    make_rows(3)
    query = next_query(listing(asked(limit="1"), SyncState.objects.all(), render_all))
    assert query is not None
    with pytest.raises(Invalid):
        listing(asked(**query), SyncState.objects.all(), render_all, key="object_id")


def test_a_default_limit_pages_without_being_asked(db: None) -> None:
    make_rows(3)
    response = listing(asked(), SyncState.objects.all(), render_all, default_limit=2)
    assert len(ids(response)) == 2
    assert next_query(response)


def test_a_page_of_the_console_says_where_it_goes_on(db: None) -> None:
    make_rows(5)
    rows = SyncState.objects.all()
    first = page_of(asked(), rows, size=2)
    second = page_of(asked(cursor=first.next), rows, size=2)
    third = page_of(asked(cursor=second.next), rows, size=2)
    assert [len(page.rows) for page in (first, second, third)] == [2, 2, 1]
    assert third.next == ""


def test_a_list_of_the_api_is_a_bare_array(world: World) -> None:
    for number in range(3):
        make_group(world.root, f"group-{number}")
    api = api_of(world.eve)
    assert [row["name"] for row in api.get("/groups").json()] == ["group-0", "group-1", "group-2"]
    paged = api.get("/groups", {"limit": "2"})
    assert len(paged.json()) == 2
    assert 'rel="next"' in paged.headers["Link"]
