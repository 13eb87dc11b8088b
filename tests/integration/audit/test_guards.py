import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from psycopg.sql import SQL, Identifier

from powerloom.audit import guards
from powerloom.audit.models import Entry, Installation
from tests.database import Committed
from tests.integration.audit.trails import append, as_owner


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE control_plane_audit SET body = 'x'",
        "UPDATE control_plane_audit SET target_name = 'x' WHERE seq = 1",
        "DELETE FROM control_plane_audit",
        "DELETE FROM control_plane_audit WHERE seq = 2",
        pytest.param("TRUNCATE control_plane_audit", marks=pytest.mark.postgres_only),
        pytest.param("TRUNCATE control_plane_audit CASCADE", marks=pytest.mark.postgres_only),
        pytest.param(
            "INSERT OR REPLACE INTO control_plane_audit SELECT * FROM control_plane_audit WHERE seq = 1",
            marks=pytest.mark.sqlite_only,
        ),
    ],
)
def test_the_database_refuses_to_change_the_trail(db: None, statement: str) -> None:
    append(2)
    before = list(Entry.objects.order_by("seq").values())
    with pytest.raises(IntegrityError, match="append-only"):
        run(statement)
    assert list(Entry.objects.order_by("seq").values()) == before


@pytest.mark.postgres_only
def test_a_replica_session_is_refused_too(db: None) -> None:
    append(1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
    with pytest.raises(IntegrityError, match="append-only"):
        run("DELETE FROM control_plane_audit")


def test_two_entries_cannot_take_one_place(db: None) -> None:
    append(1)
    copy = Entry.objects.get()
    copy.pk = None
    copy.id = Entry().id
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save(force_insert=True)


def test_missing_guards_are_noticed(db: None) -> None:
    assert guards.missing(connection) == []
    as_owner("DELETE FROM control_plane_audit")
    assert guards.missing(connection) == list(guards.GUARDS[connection.vendor])


def test_an_installation_names_itself_once(db: None) -> None:
    assert Installation.objects.count() == 1


@pytest.mark.postgres_only
def test_the_applications_role_need_not_own_the_trail(committed_db: Committed) -> None:
    append(1)
    address, role = connection.settings_dict, "powerloom_app_test"
    places = {"host": address["HOST"], "port": address["PORT"], "dbname": address["NAME"]}
    owner = psycopg.connect(**places, user=address["USER"], password=address["PASSWORD"], autocommit=True)
    with owner:
        owner.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(role)))
        owner.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 'app'").format(Identifier(role)))
        owner.execute(guards.grants(role).encode())
    try:
        with psycopg.connect(**places, user=role, password="app", autocommit=True) as app:
            assert app.execute("SELECT count(*) FROM control_plane_audit").fetchone() == (1,)
            for statement in (
                "UPDATE control_plane_audit SET body = 'x'",
                "DELETE FROM control_plane_audit",
                "TRUNCATE control_plane_audit",
                "ALTER TABLE control_plane_audit DISABLE TRIGGER ALL",
                "DROP TRIGGER control_plane_audit_append_only ON control_plane_audit",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(statement.encode())
    finally:
        with psycopg.connect(**places, user=address["USER"], password=address["PASSWORD"], autocommit=True) as owner:
            owner.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(role)).as_string().encode())


def test_the_grants_quote_the_role() -> None:
    assert '"app""; DROP TABLE x"' in guards.grants('app"; DROP TABLE x')


def test_entries_reach_the_database_as_they_are_said(db: None) -> None:
    append(1)
    entry = Entry.objects.get()
    assert entry.actor_ref == "user:alice@acme.com"
    assert entry.action == "agent:update"
    assert entry.ou_path == "/acme/platform/"
    assert entry.decision == "recorded"


def test_an_entry_that_cannot_be_written_undoes_its_change(db: None) -> None:
    def change() -> None:
        with transaction.atomic():
            Installation.objects.create()
            run("INSERT INTO control_plane_audit (id) VALUES (NULL)")

    with pytest.raises(DatabaseError):
        change()
    assert Installation.objects.count() == 1
