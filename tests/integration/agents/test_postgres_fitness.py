"""Which databases and roles a deployment of `postgres` may have: looked up on a real server when deploying."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agents.backends.base import Unfit
from agents.backends.postgres.address import address_of
from agents.backends.postgres.backend import PostgresBackend
from agents.mcp.postgres.template import QueryArguments
from agents.mcp.template import Call
from powerloom.web.egress import Way
from tests.shop import PASSWORD, Shop
from tests.sql import ALLOWED

pytestmark = pytest.mark.once


@pytest_asyncio.fixture
async def backend() -> AsyncIterator[PostgresBackend]:
    made = PostgresBackend()
    yield made
    await made.close()


# --- The role


async def test_a_role_that_may_only_read_what_is_listed_is_fit(backend: PostgresBackend, shop: Shop) -> None:
    (warning,) = await backend.check(shop.served("reader"))
    assert warning == "Views and foreign tables show whatever they read: public.summary."


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("postgres", "SUPERUSER"),
        ("freed", "BYPASSRLS"),
        ("maker", "CREATEROLE"),
        ("clerk", "a member of pg_read_all_data"),
        ("heir", "SUPERUSER"),
        ("writer", "may write to public.events, sales.orders, and the policy is to read only"),
        ("scribbler", "may write to public.events, public.secrets, sales.orders"),
        ("blind", "may not read public.Odd Name, public.events, public.metrics"),
    ],
)
async def test_a_role_with_other_rights_is_refused_with_the_fix(
    backend: PostgresBackend, shop: Shop, user: str, words: str
) -> None:
    with pytest.raises(Unfit, match=words) as refused:
        await backend.check(shop.served(user))
    assert refused.value.step in {"role", "allowed_tables"}
    assert any(fix in refused.value.words for fix in ("CREATE ROLE", "Grant SELECT", "Revoke"))


async def test_a_role_may_write_to_listed_tables_where_the_policy_allows_it(
    backend: PostgresBackend, shop: Shop
) -> None:
    assert await backend.check(shop.served("writer", deny_mutation_keywords=False))
    with pytest.raises(Unfit, match=r"may write to public\.secrets, not among allowed_tables"):
        await backend.check(shop.served("scribbler", deny_mutation_keywords=False))


async def test_what_else_it_can_read_is_a_warning(backend: PostgresBackend, shop: Shop) -> None:
    warnings = await backend.check(shop.served("snoop"))
    assert "The database's user can also read tables that are not listed: public.secrets." in warnings


async def test_tables_have_to_exist(backend: PostgresBackend, shop: Shop) -> None:
    with pytest.raises(Unfit, match=r"allowed_tables: The database has no public\.gone"):
        await backend.check(shop.served("reader", allowed_tables=[*ALLOWED, "gone"]))
    assert "allowed_tables is empty, so no table can be read." in await backend.check(
        shop.served("reader", allowed_tables=[])
    )


# --- The way there


async def test_this_machine_and_private_hosts_are_not_reached(backend: PostgresBackend, shop: Shop) -> None:
    with pytest.raises(Unfit, match="egress: ") as refused:
        await backend.check(shop.served("reader", way=Way()))
    assert shop.server.split(":")[0] not in str(refused.value)
    answer = await backend.call(shop.served("reader", way=Way()), Call("query", QueryArguments(sql="SELECT 1")))
    assert answer.is_error


async def test_only_six_parts_of_the_url_are_used(backend: PostgresBackend, shop: Shop) -> None:
    """`options` would switch the timeouts off, `hostaddr` would go elsewhere, `passfile` and the rest read files."""
    url = shop.url(
        "reader",
        options="-c%20statement_timeout%3D0",
        hostaddr="192.0.2.1",
        passfile="/etc/passwd",
        sslrootcert="/etc/passwd",
        service="other",
        application_name="disguised",
    )
    assert await backend.check(shop.served(url=url))
    assert shop.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'disguised'") == [(0,)]


CANARY = "s3cret-canary"


@pytest.mark.parametrize(
    "url",
    [
        CANARY,
        f"postgresql://u:{CANARY}@h:port/d",
        f"postgresql://u:{CANARY}@h/d?nonsense=1",
        f"postgresql://u:{CANARY}@a,b/d",
        f"postgresql://u:{CANARY}@a:1,b:2/d",
        f"postgresql://u:{CANARY}@%2Fvar%2Frun/d",
        f"postgresql://u:{CANARY}@/d",
        f"postgresql://:{CANARY}@h/d",
        f"postgresql://u:{CANARY}@h",
        f"postgresql://u:{CANARY}@h:0/d",
        f"postgresql://u:{CANARY}@h:70000/d",
        f"postgresql://u:{CANARY}@h/d?sslmode=maybe",
        f"host=h user=u password='{CANARY} dbname=d",
        f"mysql://u:{CANARY}@h/d",
        f"postgresql://u:{CANARY}@[::1/d",
        "",
    ],
)
def test_a_url_that_is_none_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(Unfit, match="database_url: ") as refused:
        address_of(url)
    assert CANARY not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_an_address_does_not_show_its_password() -> None:
    address = address_of(f"postgresql://u:{CANARY}@db.example:6432/d?sslmode=require&options=-c%20a%3Db")
    assert (address.host, address.port, address.database, address.sslmode) == ("db.example", 6432, "d", "require")
    assert CANARY not in repr(address)


async def test_a_refused_connection_is_explained_without_the_url(backend: PostgresBackend, shop: Shop) -> None:
    unknown = shop.served(url=shop.url("stranger"))
    with pytest.raises(Unfit, match=r"connect: .* refuses this user") as refused:
        await backend.check(unknown)
    nowhere = shop.served(url=shop.url(host="127.0.0.1:1"))
    with pytest.raises(Unfit, match=r"connect: .* nobody listens there") as closed:
        await backend.check(nowhere)
    missing = shop.served(url=shop.url().replace(shop.name, "nosuchdb"))
    with pytest.raises(Unfit, match=r"connect: .* no database of this name") as absent:
        await backend.check(missing)
    for error in (refused, closed, absent):
        assert not any(part in str(error.value) for part in (PASSWORD, "stranger", "nosuchdb", "127.0.0.1"))
