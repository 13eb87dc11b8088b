"""The trail's own processes: the signer, the verifier and the export, as operators start them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from powerloom.audit.models import Entry
from powerloom.audit.verification import links_of
from tests.database import Committed
from tests.integration.audit.trails import ACME, append, as_owner
from tests.product import ROOT, STOP_SECONDS, environment_for
from tests.waiting import until

pytestmark = pytest.mark.once


@pytest.fixture
def environment(committed_db: Committed) -> dict[str, str]:
    return environment_for(committed_db.folder, **committed_db.environment)


def manage(environment: dict[str, str], *command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def start_signer(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "manage.py", "sign_heads", "--every", "0.05"], cwd=ROOT, env=environment)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_signer_signs_what_comes_until_it_is_told_to_stop(
    committed_db: Committed, environment: dict[str, str], number: signal.Signals
) -> None:
    heads = committed_db.folder / "audit" / "heads.jsonl"
    append(2)
    with start_signer(environment) as signer:
        until(lambda: heads.exists() and '"seq":2' in heads.read_text(), what="the first signature")
        append(1)
        until(lambda: '"seq":3' in heads.read_text(), what="the second signature")
        signer.send_signal(number)
        assert signer.wait(STOP_SECONDS) == 0


def test_a_signer_that_is_killed_leaves_a_log_that_the_next_one_goes_on_with(
    committed_db: Committed, environment: dict[str, str]
) -> None:
    heads = committed_db.folder / "audit" / "heads.jsonl"
    append(1)
    with start_signer(environment) as signer:
        until(lambda: heads.exists() and heads.read_text().endswith("\n"), what="a signature")
        signer.kill()
    append(1)
    assert manage(environment, "sign_heads")[0] == 0
    assert manage(environment, "verify_audit")[0] == 0


def test_verify_and_export_end_as_their_status_says(
    committed_db: Committed, environment: dict[str, str], tmp_path: Path
) -> None:
    append(3)
    assert manage(environment, "sign_heads")[0] == 0
    status, said = manage(environment, "verify_audit")
    assert status == 0, said
    assert f"acme ({ACME}): 3 entries, intact, signed up to 3" in said
    export = tmp_path / "trail.jsonl"
    assert manage(environment, "export_audit", "--output", str(export))[0] == 0
    public = committed_db.folder / "audit" / "head.pub"
    offline = [sys.executable, "-m", "powerloom.audit.offline", str(export), "--public-key", str(public)]
    assert subprocess.run(offline, cwd=ROOT, env={}, check=False).returncode == 0

    as_owner("UPDATE control_plane_audit SET target_name = 'x' WHERE seq = 2")
    status, said = manage(environment, "verify_audit")
    assert status == 1
    assert f"acme ({ACME}): entry 2: its column target_name does not say what its body says" in said
    assert len(list(links_of(ACME))) == Entry.objects.count() == 3
