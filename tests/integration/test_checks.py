"""What stops the start: a missing step of the write path, a development key or DEBUG outside development."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import Tags
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from powerloom.checks import development_stays_home, head_key_is_out_of_reach, refuse_to_start, write_path_is_whole
from powerloom.kernel.pageless import PagelessCommand

ROOT = Path(__file__).parents[2]
GOOD_KEY = "k3y-" * 12


def ids(found: list[object]) -> list[str]:
    return [str(getattr(error, "id", "")) for error in found]


def test_the_product_as_it_is_passes(tmp_path: Path) -> None:
    with override_settings(AUDIT_KEY=tmp_path / "head.pem"):  # other tests sign with the one in the common folder
        refuse_to_start()


@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"authorize": "accounts.rbac.authorize"},
        {"hold": "approvals.gate.hold"},
        {"authorize": "accounts.rbac.absent", "hold": "approvals.gate.hold"},
        {"authorize": "nowhere.at.all", "hold": "approvals.gate.hold"},
    ],
)
def test_a_write_path_without_a_step_stops_the_start(steps: dict[str, str]) -> None:
    with override_settings(COMMAND_STEPS=steps):
        assert set(ids([*write_path_is_whole()])) == {"powerloom.E001"}
        with pytest.raises(ImproperlyConfigured):
            refuse_to_start()


@pytest.mark.parametrize("key", ["short", "django-insecure-" + "x" * 50, "changeme" * 8, "dev-" + "x" * 50])
def test_a_development_key_stops_the_start(key: str) -> None:
    with override_settings(SECRET_KEY=key, DEV_MODE=False):
        assert ids([*development_stays_home()]) == ["powerloom.E003"]
    with override_settings(SECRET_KEY=key, DEV_MODE=True):
        assert development_stays_home() == []


def test_debug_stops_the_start_outside_development() -> None:
    with override_settings(DEBUG=True, DEV_MODE=False, SECRET_KEY=GOOD_KEY):
        assert ids([*development_stays_home()]) == ["powerloom.E002"]


def test_a_command_without_pages_leaves_out_no_check_but_of_pages_and_of_what_serves_them() -> None:
    asked = set(PagelessCommand.requires_system_checks)
    left_out = {tag for check in registry.get_checks() if asked.isdisjoint(check.tags) for tag in check.tags}
    assert left_out <= {Tags.urls, Tags.admin, Tags.staticfiles, Tags.compatibility, Tags.commands, Tags.database}


def test_distributed_the_secret_key_is_not_made_by_each_process() -> None:
    with override_settings(EMBEDDED=False, DEV_MODE=False, SECRET_KEY_IS_GENERATED=True):
        assert ids([*development_stays_home()]) == ["powerloom.E004"]
    with override_settings(EMBEDDED=False, DEV_MODE=False, SECRET_KEY_IS_GENERATED=False):
        assert development_stays_home() == []


def test_distributed_no_process_that_serves_reads_the_head_key(tmp_path: Path) -> None:
    key = tmp_path / "head.pem"
    with override_settings(EMBEDDED=False, DEV_MODE=False, AUDIT_KEY=key, SECRET_KEY_IS_GENERATED=False):
        refuse_to_start()
        key.write_text("a key that this process can read")
        assert ids([*head_key_is_out_of_reach()]) == ["powerloom.E005"]
        with pytest.raises(ImproperlyConfigured, match="head"):
            refuse_to_start()
    with override_settings(EMBEDDED=True, AUDIT_KEY=key):
        assert head_key_is_out_of_reach() == []


@pytest.mark.parametrize("command", [["manage.py", "verify_audit"], ["-c", "import powerloom.asgi"]])
def test_a_process_with_a_development_key_does_not_start(tmp_path: Path, command: list[str]) -> None:
    environment = {"PATH": os.environ["PATH"], "POWERLOOM_HOME": str(tmp_path), "POWERLOOM_SECRET_KEY": "short"}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode != 0
    assert b"powerloom.E003" in done.stderr
