"""The ten built-in roles, with the same ids in every installation. Their actions stay in code (`accounts.roles`)."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from accounts.roles import ROLES, builtin_id


def add_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Role = apps.get_model("accounts", "Role")
    Role.objects.bulk_create([Role(id=builtin_id(name), name=name) for name in ROLES], ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(add_roles, migrations.RunPython.noop)]
