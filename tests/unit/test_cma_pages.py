import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from powerloom.cma.local import pages
from powerloom.cma.local.errors import ApiError
from powerloom.cma.local.pages import Cursor


def test_a_cursor_comes_back_as_it_was_given() -> None:
    cursor = Cursor("agents", ascending=False, after=17)
    assert pages.cursor(QueryParams({"page": str(cursor)}), "agents", ascending=False) == cursor
    assert pages.cursor(QueryParams(), "agents", ascending=False) is None


@pytest.mark.parametrize(("scope", "ascending"), [("vaults", False), ("agents", True)])
def test_a_cursor_of_another_list_or_order_is_refused(scope: str, *, ascending: bool) -> None:
    query = QueryParams({"page": str(Cursor("agents", ascending=False, after=17))})
    with pytest.raises(ApiError) as refused:
        pages.cursor(query, scope, ascending=ascending)
    assert refused.value.status == 400


@given(st.text(min_size=1))
def test_any_other_text_is_refused_too(text: str) -> None:
    with pytest.raises(ApiError):
        pages.cursor(QueryParams({"page": text}), "agents", ascending=False)


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.0", "x", "٣", "1" * 30, " 1"])
def test_a_limit_is_a_number_within_bounds(text: str) -> None:
    with pytest.raises(ApiError):
        pages.limit(QueryParams({"limit": text}), default=20, most=100)


def test_times_are_compared_in_utc() -> None:
    query = QueryParams("created_at[gte]=2026-01-01T02:00:00+02:00&created_at[lt]=2026-01-02T00:00:00Z")
    assert pages.times(query, "created_at") == [
        ("created_at >= ?", ("2026-01-01T00:00:00.000000Z",)),
        ("created_at < ?", ("2026-01-02T00:00:00.000000Z",)),
    ]


@pytest.mark.parametrize("text", ["yesterday", "", "0001-01-01T00:00:00+14:00", "9" * 400])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        pages.times(QueryParams({"created_at[gt]": text}), "created_at")
