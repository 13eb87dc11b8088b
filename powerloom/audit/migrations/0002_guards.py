"""The installation names itself, and the trail becomes append-only."""

from django.apps.registry import Apps as StateApps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from powerloom.audit import guards


def name_the_installation(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    installation = apps.get_model("audit", "Installation")
    if not installation.objects.exists():
        installation.objects.create()


def guard_the_trail(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for statement in guards.statements(schema_editor.connection.vendor):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunPython(name_the_installation, migrations.RunPython.noop, elidable=False),
        migrations.RunPython(guard_the_trail, elidable=False),
    ]
