"""The trail's own processes: the signer, the verifier and the export, as operators start them."""

import fcntl
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from powerloom.audit.models import Entry
from powerloom.audit.verification import links_of
from tests.database import Committed
from tests.integration.audit.trails import ACME, append, as_owner
from tests.product import STOP_SECONDS, environment_for
from tests.programs import by_command_line, run
from tests.waiting import until

pytestmark = pytest.mark.once

STDERR = 2


@pytest.fixture
def environment(committed_db: Committed) -> Iterator[dict[str, str]]:
    """That of processes which sign and verify what this test appends; its own commands do so too."""
    with override_settings(AUDIT_HEADS=committed_db.folder / "audit"):
        yield environment_for(committed_db.folder, **committed_db.environment)


def manage(environment: dict[str, str], *command: str) -> tuple[int, str]:
    done = run("manage.py", *command, env=environment)
    return done.returncode, done.stdout + done.stderr


def start_signer(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return by_command_line("manage.py", "sign_heads", "--every", "0.05", env=environment, out=STDERR)


def test_each_signer_goes_on_where_one_that_was_stopped_or_killed_left_the_log(
    committed_db: Committed, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    heads = committed_db.folder / "audit" / "heads.jsonl"

    def is_signed(seq: int) -> bool:
        return heads.exists() and f'"seq":{seq}' in heads.read_text() and heads.read_text().endswith("\n")

    append(2)
    for number, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 0)):
        with start_signer(environment) as signer:
            before = Entry.objects.count()
            until(partial(is_signed, before), what="what came while nobody signed")
            append(1)
            until(partial(is_signed, before + 1), what="what came since")
            signer.send_signal(number)
            assert signer.wait(STOP_SECONDS) == status
        append(1)
    call_command("sign_heads")
    call_command("verify_audit")
    assert f"acme ({ACME}): 8 entries, intact, signed up to 8" in capsys.readouterr().out


def test_a_signer_stops_in_time_though_another_holds_the_log(
    committed_db: Committed, environment: dict[str, str]
) -> None:
    append(1)
    heads = committed_db.folder / "audit" / "heads.jsonl"
    with start_signer(environment) as signer:
        until(heads.exists, what="the log")
        with heads.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            until(partial(waits_for_a_lock, signer.pid), what="the signer at the log")
            signer.terminate()
            assert signer.wait(STOP_SECONDS) == 0


def waits_for_a_lock(pid: int) -> bool:
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in lock and str(pid) in lock.split() for lock in locks)


def test_verify_and_export_end_as_their_status_says(
    committed_db: Committed, environment: dict[str, str], tmp_path: Path
) -> None:
    append(3)
    call_command("sign_heads")
    status, said = manage(environment, "verify_audit")
    assert status == 0, said
    assert f"acme ({ACME}): 3 entries, intact, signed up to 3" in said
    export = tmp_path / "trail.jsonl"
    assert manage(environment, "export_audit", "--output", str(export))[0] == 0
    public = committed_db.folder / "audit" / "head.pub"
    offline = ("-m", "powerloom.audit.offline", str(export), "--public-key", str(public))
    checked = run(*offline, env={})
    assert checked.returncode == 0, checked.stdout + checked.stderr

    as_owner("UPDATE control_plane_audit SET target_name = 'x' WHERE seq = 2")
    status, said = manage(environment, "verify_audit")
    assert status == 1
    assert f"acme ({ACME}): entry 2: its column target_name does not say what its body says" in said
    assert len(list(links_of(ACME))) == Entry.objects.count() == 3
