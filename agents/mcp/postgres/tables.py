"""Names of tables as a policy lists them and as statements mean them."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

PUBLIC, CATALOG = "public", "pg_catalog"
LONGEST = 63  # bytes of a name that PostgreSQL keeps

_NAME = r"(?:[A-Za-z_][A-Za-z0-9_$]*|\"(?:[^\"]|\"\")+\")"
_PARTS = re.compile(r"\"((?:[^\"]|\"\")+)\"|([^.\"]+)")


class Table(NamedTuple):
    """A table or view: schema and name as the catalog holds them."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def table_of(listed: str) -> Table:
    """Return what a valid `TableName` means: folded to lower case outside quotes, as in SQL."""
    parts = [quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in _PARTS.findall(listed)]
    return Table(parts[0], parts[1]) if len(parts) == 2 else unqualified(parts[0])


def unqualified(name: str) -> Table:
    """Return what a name without a schema means. Every relation of the catalog, and no other, begins with `pg_`."""
    return Table(CATALOG if name.startswith("pg_") else PUBLIC, name)


def _short_enough(listed: str) -> str:
    if any(len(part.encode()) > LONGEST for part in table_of(listed)):
        raise ValueError(f"a name has at most {LONGEST} bytes")
    return listed


TableName = Annotated[
    str,
    Field(pattern=rf"^(?:{_NAME}\.)?{_NAME}$", max_length=300, examples=["metrics", "sales.orders", 'public."Orders"']),
    AfterValidator(_short_enough),
]
