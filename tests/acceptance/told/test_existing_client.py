"""The published client `weave` 0.7.26 works on this server unchanged: an operator's day with it, sign-in to destroy.

It is somebody else's program, installed beside the tests and never a dependency of the product.
"""

import json
from pathlib import Path

import pytest

from tests.archives import GOOD, zipped
from tests.conftest import on_ci
from tests.product import Product
from tests.published_client import ABSENT, FOLDER, WEAVE, Weave

pytestmark = pytest.mark.once

MANIFEST = FOLDER / "pilots.yaml"
PILOTS = "/dev-org/engineering/pilots"
KINDS = 12


@pytest.mark.skipif(not WEAVE.exists() and not on_ci(), reason=ABSENT)
def test_an_operators_day_with_the_published_client(up: Product, tmp_path: Path) -> None:
    assert WEAVE.exists(), ABSENT
    weave = Weave(up.url, tmp_path / "weave")
    weave("login", "--dev-as", "admin@dev.local")
    with weave.loaded():
        _spend_a_day(weave, tmp_path)


def _spend_a_day(weave: Weave, folder: Path) -> None:
    assert "admin@dev.local" in weave("whoami")
    checks = {check["key"]: check["status"] for check in weave.json("doctor")["checks"]}
    assert checks["server.capabilities"] == checks["auth.whoami"] == "ok"

    assert weave.verbs(MANIFEST) <= {"create", "unknown"}
    applied = weave.json("apply", "-y", str(MANIFEST))
    assert {row["status"] for row in applied} == {"ok"}
    assert len({row["kind"] for row in applied}) == KINDS
    assert weave.verbs(MANIFEST) == {"noop"}

    assert "pilot-reviewer" in weave("get", "agents", "--ou", PILOTS)
    assert json.loads(weave("describe", "agent", f"{PILOTS}/pilot-reviewer"))["name"] == "pilot-reviewer"
    imported = folder / "imported.yaml"
    imported.write_text(weave("import", "agent", f"{PILOTS}/pilot-reviewer"))
    assert weave.verbs(imported) == {"noop"}

    archive = folder / "skill.zip"
    archive.write_bytes(zipped(GOOD))
    weave("skill", "upload-and-activate", f"{PILOTS}/pilot-lint", str(archive))

    # The agent of the first run is live already.
    assert "Done." in weave("ask", "/dev-org/engineering/code-reviewer", "hello")
    sessions = weave.json("get", "sessions")
    newest = max(sessions, key=lambda row: row["started_at"] or "")
    assert "powerloom.session_ended" in weave("session", "tail", newest["id"], "--once")

    assert "admin@dev.local" in weave("audit", "--since", "1h")
    weave("approval", "list", "--tab", "recent")
    made = weave("auth", "pat", "create", "--name", "ci")
    token_id = next(line.partition("id:")[2].strip() for line in made.splitlines() if line.strip().startswith("id:"))
    assert token_id in weave("auth", "pat", "list")
    weave("auth", "pat", "revoke", token_id)

    destroyed = weave.json("destroy", "-y", str(MANIFEST))
    assert {row["status"] for row in destroyed} == {"ok"}
    again = weave("destroy", "-y", str(MANIFEST))
    assert f"{KINDS} noop" in again
