"""`weave` as it is installed, against the product as it is started: from signing in to taking everything away."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forked import Forked
from tests.product import Product
from tests.programs import ROOT

pytestmark = pytest.mark.once

WEAVE = Path(sys.executable).parent / "weave"
INSTALL = "weave is not installed here: make up"
SECONDS = 180
CREWS = "/dev-org/flight/crews"
MANIFEST = f"""
kind: OU
metadata: {{name: flight, parent_ou_path: /dev-org}}
spec: {{display_name: Flight}}
---
kind: OU
metadata: {{name: crews, parent_ou_path: /dev-org/flight}}
spec: {{display_name: Crews}}
---
kind: Agent
metadata: {{name: pilot, ou_path: {CREWS}}}
spec:
  model: claude-sonnet-4-6
  system_prompt: Review code.
  owner_principal_ref: user:admin@dev.local
"""
GATE = f"""
kind: ApprovalPolicy
metadata: {{name: crew-gate, scope_ou_path: {CREWS}}}
spec: {{action_pattern: "agent:update", approver_role: Approver}}
---
kind: RoleBinding
metadata: {{principal_ref: "user:vera@dev.local", role: Approver, scope_ou_path: /dev-org}}
---
kind: RoleBinding
metadata: {{principal_ref: "user:erin@dev.local", role: OUAdmin, scope_ou_path: /dev-org/flight}}
"""


def environment(home: Path) -> dict[str, str]:
    """That of a shell with its own folder of profiles."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEAVE_", "POWERLOOM_"))}
    # The sources under test, wherever the environment was installed from.
    return {**kept, "WEAVE_HOME": str(home), "PYTHONPATH": str(ROOT)}


class Shell:
    """Somebody's shell, without a terminal."""

    def __init__(self, program: Forked) -> None:
        self._program = program

    def __call__(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Run the program, which has to end with the code, and return all that it said."""
        done = self._program(*arguments, given=given)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"weave {' '.join(arguments)} ended with {done.returncode}:\n{said}"
        assert "\x1b" not in said
        return said

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))


def test_an_agents_life_from_a_shell(up: Product, tmp_path: Path) -> None:
    assert WEAVE.exists(), INSTALL
    shell = Forked(WEAVE, "powerloom.cli.main", environment(tmp_path / "shell"), seconds=SECONDS)
    with shell as program:
        weave = Shell(program)
        weave("login", "--dev", "--url", up.url)
        _declare(weave, tmp_path)
        _talk(weave)
        _ask_for_a_yes(weave, up.url)
        assert "Intact" in weave("audit", "verify")
        weave("destroy", "-", "--yes", given=MANIFEST.rpartition("---")[2])
        assert weave.json("get", "agents", "--ou", CREWS) == []


def _declare(weave: Shell, folder: Path) -> None:
    manifest, exported = folder / "crews.yaml", folder / "exported.yaml"
    manifest.write_text(MANIFEST)
    assert "3 to create" in weave("plan", str(manifest), code=2)
    assert "All of it is live" in weave("apply", str(manifest), "--wait")
    weave("plan", str(manifest))
    assert CREWS in weave("get", "agents", "--ou", CREWS)
    assert "system_prompt: Review code." in weave("describe", "agent", f"{CREWS}/pilot")
    assert "live: yes" in weave("agent", "status", "pilot")
    weave("export", "/dev-org/flight", "-f", str(exported))
    assert "unchanged" in weave("plan", str(exported))
    checks = {check["check"]: check["status"] for check in weave.json("doctor")}
    assert checks["server"] == checks["sign-in"] == checks["tokens"] == "ok"


def _talk(weave: Shell) -> None:
    assert "message 6 of 6" in weave("ask", "pilot", "[events=6] hello")
    talked = weave("chat", "pilot", given="one\n\ntwo\nexit\n")
    assert talked.count("Done.") == 2
    assert re.search(r"→ \w+ \{", talked)
    session = weave.json("invoke", "pilot", "hello")["session_id"]
    assert "Done." in weave("session", "tail", session)
    events = weave.json("session", "events", session)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    weave("session", "close", session)


def _ask_for_a_yes(weave: Shell, url: str) -> None:
    """Erin's change is held, Vera says yes, and it is applied as Erin. Neither has her right from the other."""
    weave("apply", "-", given=GATE)
    for name in ("erin", "vera"):
        weave("--profile", name, "login", "--dev", f"{name}@dev.local", "--url", url)
    another = MANIFEST.rpartition("---")[2].replace("Review code.", "Review code twice.")
    held = weave("-p", "erin", "apply", "-", given=another, code=3)
    request = re.search(r"weave approval approve (\S+)", held)
    assert request
    weave("plan", "-", given=another, code=2)
    assert request[1] in weave("-p", "vera", "approval", "list")
    weave("-p", "vera", "approval", "approve", request[1])
    assert "applied" in weave("-p", "erin", "approval", "wait", request[1])
    weave("plan", "-", given=another)
    weave("-p", "erin", "agent", "restore", "pilot", "1", code=3)
