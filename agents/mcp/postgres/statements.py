"""Reading one statement: every node of its tree is known and permitted, or the statement is refused.

The table `NODES` names each kind of node we let pass, and for each of its parts how that part is read. A kind or a part
that is not in it is refused, so a newer grammar brings no holes. What the walk knows beyond single nodes is which names
are common table expressions at each place; everything else that is read from is a table, and must be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any  # trees are JSON

from agents.mcp.postgres import nodes
from agents.mcp.postgres.functions import FUNCTIONS, TYPES, VALUES, is_hidden_call
from agents.mcp.postgres.grammar import Refused, on_grammar_thread, parse
from agents.mcp.postgres.tables import CATALOG, PUBLIC, Table, unqualified

Body = dict[str, Any]
Name = list[Body]  # its parts, each {"String": {"sval": …}}
Reader = Callable[["Walk", Any], None]


@dataclass(frozen=True)
class Read:
    """A statement that may run. `sql` names the schema of every table, for a search path without `public`."""

    sql: str
    writes: bool


def read(sql: str, allowed: frozenset[Table], *, may_write: bool) -> Read:
    """Return a statement that touches only allowed tables and calls only allowed functions. Raises `Refused`."""
    return on_grammar_thread(_read, sql, allowed, may_write=may_write)


def check(sql: str, allowed: frozenset[Table], *, may_write: bool) -> None:
    """Raise `Refused` unless the statement may run."""
    on_grammar_thread(_walk, sql, allowed, may_write=may_write)


def _read(sql: str, allowed: frozenset[Table], *, may_write: bool) -> Read:
    walk = _walk(sql, allowed, may_write=may_write)
    text = sql.encode()
    for place in sorted(walk.bare, reverse=True):
        text = text[:place] + b"public." + text[place:]
    return Read(text.decode(), walk.writes)


def _walk(sql: str, allowed: frozenset[Table], *, may_write: bool) -> Walk:
    walk = Walk(allowed, may_write=may_write)
    try:
        statements = parse(sql)
        if len(statements) != 1:
            raise Refused("one_statement", f"One statement a call; this text has {len(statements)}.")
        walk.statement(statements[0])
    except RecursionError:
        raise Refused("nesting", "The statement is nested too deeply.") from None
    return walk


class Walk:
    """One walk over one statement. Its methods are the ways to read a part of a node, by their names in `nodes`."""

    __slots__ = ("allowed", "bare", "ctes", "may_write", "writes")

    def __init__(self, allowed: frozenset[Table], *, may_write: bool) -> None:
        self.allowed = allowed
        self.may_write = may_write
        self.ctes: frozenset[str] = frozenset()  # what is one at this place
        self.bare: set[int] = set()  # byte offsets of tables without a schema
        self.writes = False

    def statement(self, statement: Body) -> None:
        (kind,) = statement
        if kind not in STATEMENTS:
            spoken = kind.removesuffix("Stmt").upper()
            advice = " Use the tool explain." if kind == "ExplainStmt" else ""
            raise Refused("statement", f"{spoken} may not run here.{advice}")
        self.node(statement)

    def node(self, wrapped: Body) -> None:
        """Read a node: an object whose only key is its kind."""
        if not wrapped:
            raise _unknown("a part without a name")
        for kind, body in wrapped.items():
            parts = READERS.get(kind)
            if parts is None:
                raise _unknown(kind)
            if callable(parts):
                parts(self, body)
            else:
                self.parts(kind, parts, body)

    def nodes(self, wrapped: list[Body]) -> None:
        for one in wrapped:
            self.node(one)

    def parts(self, kind: str, readers: Mapping[str, Reader | None], body: Body) -> None:
        """Read each part of a node as its kind says."""
        for name, value in body.items():
            if name not in readers:
                raise _unknown(f"{kind} with {name}")
            reader = readers[name]
            if reader is not None:
                reader(self, value)

    # --- Queries, and the names in them

    def select(self, body: Body) -> None:
        self._query("SelectStmt", body)

    def insert(self, body: Body) -> None:
        self._write("InsertStmt", body)

    def update(self, body: Body) -> None:
        self._write("UpdateStmt", body)

    def delete(self, body: Body) -> None:
        self._write("DeleteStmt", body)

    def merge(self, body: Body) -> None:
        rule = "statement" if self.may_write else "deny_mutation_keywords"
        raise Refused(rule, "MERGE may not run here.")

    def into(self, clause: Body) -> None:
        raise Refused("select_into", "SELECT INTO makes a table; it may not run here.")

    def lock(self, clauses: list[Body]) -> None:
        raise Refused("locks", "FOR UPDATE and its like lock rows; they may not be used here.")

    def _write(self, kind: str, body: Body) -> None:
        if not self.may_write:
            words = f"The policy of this deployment allows reading only, no {kind.removesuffix('Stmt').upper()}."
            raise Refused("deny_mutation_keywords", words)
        self.writes = True
        self._query(kind, body)

    def _query(self, kind: str, body: Body) -> None:
        """Read a query, with the names that its own WITH brings for as long as it lasts."""
        outside = self.ctes
        if "withClause" in body:
            self._with(body["withClause"])
        self.parts(kind, QUERY_READERS[kind], body)
        self.ctes = outside

    def _with(self, clause: Body) -> None:
        """In order, each sees those before it; in a recursive clause each sees all, itself and later ones too."""
        expressions = clause["ctes"]
        names = [expression["CommonTableExpr"]["ctename"] for expression in expressions]
        if clause.get("recursive"):
            self.ctes = self.ctes.union(names)
        for name, expression in zip(names, expressions, strict=True):
            self.node(expression)
            self.ctes = self.ctes.union((name,))

    def table(self, body: Body) -> None:
        """Read a name in FROM: of a common table expression in sight, or of an allowed table."""
        if "schemaname" in body or body["relname"] not in self.ctes:
            self.real_table(body)

    def real_table(self, body: Body) -> None:
        if "catalogname" in body:
            raise Refused("allowed_tables", "A table is named by schema and name, without a database.")
        schema = body.get("schemaname")
        table = unqualified(body["relname"]) if schema is None else Table(schema, body["relname"])
        if table not in self.allowed:
            raise Refused("allowed_tables", f"The table {table} is not among this deployment's allowed_tables.")
        if schema is None and table.schema == PUBLIC:
            self.bare.add(body.get("location", 0))

    # --- Words that mean something by themselves

    def function(self, name: Name) -> None:
        if _own(name) not in FUNCTIONS:
            raise Refused("functions", f"The function {_dotted(name)} may not be called here.")

    def operator(self, name: Name) -> None:
        if _own(name) is None:
            raise Refused("operators", f"The operator {_dotted(name)} is not PostgreSQL's own.")

    def collation(self, name: Name) -> None:
        if _own(name) is None:
            raise Refused("types", f"The collation {_dotted(name)} is not PostgreSQL's own.")

    def sampling(self, name: Name) -> None:
        if _own(name) not in {"bernoulli", "system"}:
            raise Refused("functions", f"The sampling method {_dotted(name)} may not be used here.")

    def type(self, body: Body) -> None:
        name = body["names"]
        if _own(name) not in TYPES or not body.keys() <= TYPE_PARTS:
            raise Refused("types", f"The type {_dotted(name)} may not be named here.")
        self.nodes(body.get("typmods", []))

    def value(self, op: str) -> None:
        if op not in VALUES:
            raise Refused("functions", f"{op.removeprefix('SVFOP_')} may not be asked for here.")

    def column(self, fields: Name) -> None:
        """Read `a`, `a.b` or `a.b.c`: behind a dot, a function's name may be a call of it."""
        if len(fields) > 1:
            self._field(fields[-1])

    def indirection(self, steps: list[Body]) -> None:
        """Read `[1]`, `[1:2]`, `.name` and `.*` behind a value."""
        for step in steps:
            self._field(step)
            self.node(step)

    def _field(self, field: Body) -> None:
        name = field["String"]["sval"] if "String" in field else ""
        if is_hidden_call(name):
            words = f"{name} behind a dot may be a function call. Name a column of this name without its table."
            raise Refused("functions", words)

    def distinct(self, columns: list[Body]) -> None:
        if columns != [{}]:  # which is DISTINCT without ON
            self.nodes(columns)

    def calls(self, pairs: list[Body]) -> None:
        """Read functions in FROM: each a call, and the columns it is told to have, if any."""
        for pair in pairs:
            call, columns = pair["List"]["items"]
            self.node(call)
            if columns:
                self.node(columns)


def _own(name: Name) -> str | None:
    """Return what is PostgreSQL's own of this name, or nothing for a name in another schema."""
    if len(name) == 1 or (len(name) == 2 and name[0]["String"]["sval"] == CATALOG):
        own: str = name[-1]["String"]["sval"]
        return own
    return None


def _dotted(name: Name) -> str:
    return ".".join(part["String"]["sval"] for part in name)


def _unknown(what: str) -> Refused:
    return Refused("constructs", f"The statement uses what may not be used here: {what}.")


# --- The table of nodes, with methods for names


def _reader(how: str) -> Reader | None:
    if how == nodes.LEAF:
        return None
    reader: Reader | None = getattr(Walk, how, None)
    return reader or (lambda walk, body: walk.node({how: body}))


def _readers(parts: Mapping[str, str]) -> dict[str, Reader | None]:
    return {name: _reader(how) for name, how in parts.items()}


STATEMENTS = set(nodes.QUERIES) | {"MergeStmt"}
TYPE_PARTS = {"names", "typmods", "typemod", "arrayBounds", "location"}
QUERY_READERS = {kind: _readers(parts) for kind, parts in nodes.QUERIES.items()}
READERS: dict[str, Reader | dict[str, Reader | None]] = {
    **{kind: _readers(parts) for kind, parts in nodes.NODES.items()},
    **{kind: getattr(Walk, how) for kind, how in nodes.WHOLE.items()},
}
