"""The triggers that make the trail append-only, as SQL for both databases, and the test whether they are there.

On PostgreSQL they fire once a statement, and always: `session_replication_role = replica` does not switch them off. Who
owns a table can still drop its triggers, so in production the role of the application does not own this one; see
`grants`. On SQLite, INSERT OR REPLACE deletes without asking the DELETE trigger, so a place that is taken is refused as
well.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "control_plane_audit"
GUARDS = {
    "sqlite": ("control_plane_audit_update", "control_plane_audit_delete", "control_plane_audit_replace"),
    "postgresql": ("control_plane_audit_append_only",),
}
REFUSAL = "the audit trail is append-only"

TAKEN = f"SELECT 1 FROM {TABLE} WHERE id = NEW.id OR (chain_id = NEW.chain_id AND seq = NEW.seq)"  # noqa: S608  our own

SQLITE = (
    f"CREATE TRIGGER control_plane_audit_update BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    f"CREATE TRIGGER control_plane_audit_delete BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END",
    f"""
    CREATE TRIGGER control_plane_audit_replace BEFORE INSERT ON {TABLE}
    WHEN EXISTS ({TAKEN})
    BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
    """,
)
POSTGRESQL = (
    f"""
    CREATE FUNCTION control_plane_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$
    """,
    f"""
    CREATE TRIGGER control_plane_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION control_plane_audit_refuse()
    """,
    f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER control_plane_audit_append_only",
)


def statements(vendor: str) -> tuple[str, ...]:
    """Return the SQL that guards the table on a database. Raises KeyError for one that we do not support."""
    return {"sqlite": SQLITE, "postgresql": POSTGRESQL}[vendor]


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the guards that are not in the database, or are switched off."""
    asked = (
        "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(asked)
        found = {row[0] for row in cursor.fetchall()}
    return [name for name in GUARDS[connection.vendor] if name not in found]


def grants(role: str) -> str:
    """Return the SQL that lets the application's PostgreSQL role append to the trail and read it, and nothing else.

    Run by the role that ran the migrations and so owns the tables. `role` is quoted as an identifier.
    """
    name = '"' + role.replace('"', '""') + '"'
    return "\n".join(
        (
            f"GRANT USAGE ON SCHEMA public TO {name};",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};",
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name};",
            f"REVOKE ALL ON {TABLE} FROM PUBLIC, {name};",
            f"GRANT SELECT, INSERT ON {TABLE} TO {name};",
        )
    )
