"""What `weave` says and ends with, for people and for programs."""

import io
import json
import re
import stat
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone

from accounts.models import AccessToken, DeviceLogin
from agents.kinds import SyncKind
from approvals import replay
from powerloom.cli.render import console
from powerloom.reconcile.models import SyncState
from tests.archives import GOOD
from tests.declared import make_agent, make_live, make_skill
from tests.held import make_policy
from tests.integration.cli.conftest import URL, Weave
from tests.integration.console.conftest import make_session, tell, text
from tests.world import World, console_of, make_token

pytestmark = pytest.mark.once

MANIFEST = """
kind: OU
metadata: {name: pilots, parent_ou_path: /acme/engineering}
spec: {display_name: Pilots}
---
kind: Group
metadata: {name: leads, ou_path: /acme/engineering/pilots}
spec: {display_name: Leads}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "pilots.yaml"
    path.write_text(MANIFEST)
    return path


# --- Who one is


def test_signing_in_keeps_a_profile_that_its_owner_alone_reads(
    alice: Weave, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stat.S_IMODE((tmp_path / "weave" / "profiles.json").stat().st_mode) == 0o600
    assert "alice@acme.example" in alice("whoami").out
    token = make_token(world.bob)
    said = alice("--profile", "bob", "login", "--token", "--url", URL, given=f"{token}\n")
    assert (said.code, "as bob@acme.example (profile bob)" in said.out) == (0, True)
    assert alice("-p", "bob", "whoami", "-o", "json").out.count("bob@acme.example") == 1
    listed = alice("profile", "list").out
    assert "default" in listed
    assert token not in listed
    assert alice("profile", "use", "bob").code == 0
    assert "bob@acme.example" in alice("whoami").out
    assert alice("profile", "use", "nobody").code == 1
    monkeypatch.setenv("WEAVE_URL", URL)
    monkeypatch.setenv("WEAVE_TOKEN", make_token(world.eve))
    assert "eve@acme.example" in alice("whoami").out


def test_a_browser_confirms_the_code_that_is_shown(
    weave: Weave, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    def confirmed_meanwhile(seconds: float) -> None:
        shown.append(capsys.readouterr().err)
        code = re.search(r"[A-Z]{4}-[A-Z]{4}", shown[0])
        assert code
        form = {"name": "laptop", "days": 30, "user_code": code[0], "verdict": "approve"}
        if len(shown) == 2:
            assert console_of(world.bob).post("/device/decide", form).status_code == 302
        DeviceLogin.objects.update(next_look_at=timezone.now())

    monkeypatch.setattr(time, "sleep", confirmed_meanwhile)
    said = weave("login", "--url", URL)
    assert (said.code, "as bob@acme.example" in said.out) == (0, True)
    assert f"{URL}/device" in shown[0]
    assert weave("doctor").code == 0
    assert weave("logout").code == 0
    assert AccessToken.objects.get().revoked_at
    assert weave("whoami").code == 1


def test_what_is_wrong_with_a_sign_in_is_said(weave: Weave) -> None:
    assert "You are not signed in" in weave("get", "agents").err
    assert weave("login", "--dev", "nobody@acme.example", "--url", URL).code == 1
    assert weave("login", "--token", "--url", URL, given="plm_wrong\n").code == 1
    assert weave("login", "--token", "--url", URL).code == 2
    assert weave("login", "--dev", "--token").code == 2
    assert "no Powerloom" in weave("login", "--dev", "--url", f"{URL}/agents").err
    assert weave("doctor").code == 1


# --- Manifests


def test_a_plan_ends_with_2_until_it_is_applied_and_applying_is_one_set(alice: Weave, manifest: Path) -> None:
    planned = alice("plan", str(manifest))
    assert (planned.code, "2 to create" in planned.out) == (2, True)
    assert alice("apply", str(manifest)).code == 0
    again = alice("plan", str(manifest))
    assert (again.code, "2 unchanged" in again.out) == (0, True)
    changed = alice("plan", "-", given=MANIFEST.replace("{display_name: Leads}", "{display_name: Heads}"))
    assert (changed.code, "display_name: Leads → Heads" in changed.out) == (2, True)
    summary = json.loads(alice("plan", str(manifest), "-o", "json").out)["summary"]
    assert summary == {"noop": 2}


def test_a_set_takes_away_on_request_what_left_it_and_an_export_plans_as_no_change(
    alice: Weave, manifest: Path, tmp_path: Path
) -> None:
    assert alice("apply", str(manifest), "--set", "pilots").code == 0
    exported = tmp_path / "exported.yaml"
    assert alice("export", "/acme/engineering/pilots", "-f", str(exported)).code == 0
    assert exported.read_text() == alice("export", "/acme/engineering/pilots").out
    assert alice("plan", str(exported)).code == 0
    manifest.write_text(MANIFEST.partition("---")[0])
    pruned = alice("plan", str(manifest), "--set", "pilots", "--prune")
    assert (pruned.code, "- delete" in pruned.out) == (2, True)
    assert "leads" in alice("get", "groups").out
    assert alice("apply", str(manifest), "--set", "pilots", "--prune").code == 0
    assert "leads" not in alice("get", "groups").out
    assert alice("destroy", str(manifest), "--set", "pilots", "--yes").code == 0
    assert alice("destroy", str(manifest), "--yes").code == 0
    assert "pilots" not in alice("get", "ous").out


def test_what_is_wrong_in_a_manifest_is_told_by_file_and_line(alice: Weave, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("kind: Group\nmetadata: {name: leads, ou_path: /acme}\nspec: {colour: red}\n")
    said = alice("apply", str(tmp_path))
    assert said.code == 1
    assert f"{tmp_path}/wrong.yaml:3" in said.err
    assert alice("plan", str(tmp_path / "absent.yaml")).code == 2
    assert alice("get", "ous").out.count("pilots") == 0


def test_destroying_asks_and_nobody_answers_for_a_script(alice: Weave, manifest: Path) -> None:
    assert "Say --yes" in alice("destroy", str(manifest)).err


# --- Held


def test_what_is_held_ends_with_3_and_says_how_it_is_let_pass(alice: Weave, world: World) -> None:
    make_policy(world.alice, world.engineering)
    document = """
kind: Agent
metadata: {name: held, ou_path: /acme/engineering}
spec: {model: claude-sonnet-4-6, system_prompt: Wait., owner_principal_ref: "user:alice@acme.example"}
"""
    said = alice("apply", "-", given=document)
    assert said.code == 3, said
    request = re.search(r"weave approval approve (\S+)", said.err)
    assert request
    assert "held" in said.out
    assert alice("approval", "list", "--tab", "mine").out.count(request[1]) == 1
    assert alice("approval", "approve", request[1]).code == 1
    alice("-p", "vera", "login", "--dev", "vera@acme.example", "--url", URL)
    shown = alice("-p", "vera", "approval", "show", request[1])
    assert "Wait." in shown.out
    assert "rejected" in alice("-p", "vera", "approval", "reject", request[1], "-c", "Not today.").out
    waited = alice("approval", "wait", request[1])
    assert (waited.code, "Not today." in waited.err) == (1, True)


def test_waiting_ends_once_somebody_said_yes_and_it_was_applied_as_who_asked(
    alice: Weave, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(world.bob, world.engineering)
    make_policy(world.alice, world.engineering, "agent:update")
    for name in ("bob", "vera"):
        alice("-p", name, "login", "--dev", f"{name}@acme.example", "--url", URL)
    document = f"""
kind: Agent
metadata: {{name: {agent.name}, ou_path: /acme/engineering}}
spec: {{system_prompt: Another.}}
"""
    request = re.search(r"weave approval approve (\S+)", alice("-p", "bob", "apply", "-", given=document).err)
    assert request
    assert request[1] in alice("-p", "vera", "approval", "list").out
    assert alice("-p", "vera", "approval", "approve", request[1]).code == 0
    monkeypatch.setattr(time, "sleep", lambda _: replay.run())
    waited = alice("-p", "bob", "approval", "wait", request[1])
    assert (waited.code, "approved and applied" in waited.out) == (0, True), waited
    assert alice("-p", "bob", "plan", "-", given=document).code == 0
    assert alice("-p", "bob", "agent", "restore", agent.name, "1").code == 3
    assert alice("destroy", "-", "--yes", given=document).code == 0


# --- Things


def test_things_are_found_by_id_path_or_name_and_shown_as_asked(alice: Weave, world: World) -> None:
    agent = make_agent(world.alice, world.engineering)
    make_agent(world.alice, world.sales)
    path = f"/acme/engineering/{agent.name}"
    assert alice("describe", "agent", path).out == alice("describe", "agents", str(agent.id)).out
    assert "More than one agent" in alice("describe", "agent", agent.name).err
    listed = json.loads(alice("get", "agents", "--ou", "/acme/engineering", "-o", "json").out)
    assert [row["id"] for row in listed] == [str(agent.id)]
    assert yaml.safe_load(alice("-o", "yaml", "get", "agent", path).out)[0]["name"] == agent.name
    assert "\x1b" not in alice("get", "agents").out
    assert alice("get", "agents", "--ou", "/zeta").code == 1
    assert "There are no mcp-servers" in alice("get", "mcp-servers").err
    assert alice("get", "nonsense").code == alice("get", "roles", "--ou", "/acme").code == 2


def test_lists_are_read_to_their_end(alice: Weave, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerloom.cli.client.PAGE", 2)
    assert len(json.loads(alice("get", "users", "-o", "json").out)) == 4
    assert len(json.loads(alice("get", "users", "--limit", "3", "-o", "json").out)) == 3


def test_an_agent_says_where_it_stands_and_goes_back_to_a_version(alice: Weave, world: World) -> None:
    agent = make_agent(world.alice, world.engineering)
    document = f"""
kind: Agent
metadata: {{name: {agent.name}, ou_path: /acme/engineering}}
spec: {{system_prompt: Another.}}
"""
    assert alice("apply", "-", given=document).code == 0
    assert "pending" in alice("agent", "status", agent.name).out
    assert "version 3" in alice("agent", "restore", agent.name, "1").out
    assert alice("agent", "versions", agent.name).out.count("user:alice@acme.example") == 3
    SyncState.objects.filter(object_id=agent.id).update(parked_at=timezone.now(), last_error="the model is refused")
    waited = alice("agent", "status", agent.name, "--wait")
    assert (waited.code, "weave sync reset agent" in waited.err) == (1, True)
    assert alice("sync", "reset", "agent", agent.name).code == 0
    drift = [{"field": "model", "before": "a", "after": "b"}]
    SyncState.objects.filter(object_id=agent.id).update(drift=drift)
    assert alice("sync", "diff", "agent", agent.name).code == 2
    late = alice("agent", "status", agent.name, "--wait", "--timeout", "0")
    assert (late.code, "is being put right" in late.err) == (1, True)
    SyncState.objects.update(drift=None)
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    assert alice("agent", "status", agent.name, "--wait").code == 0


def test_a_folder_becomes_a_version_of_a_skill(alice: Weave, world: World, tmp_path: Path) -> None:
    skill, folder = make_skill(world.alice, world.engineering), tmp_path / "skill"
    for name, content in GOOD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert alice("skill", "upload", skill.name, str(folder)).code == 0
    archive = tmp_path / "again.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in {**GOOD, "more.txt": b"more"}.items():
            file.writestr(name, content)
    assert alice("skill", "upload", skill.name, str(archive), "--activate").code == 0
    skill.refresh_from_db()
    assert skill.current_version
    assert skill.current_version.number == 2
    assert alice("skill", "activate", skill.name, "1").code == 0
    assert alice("skill", "activate", skill.name, "9").code == 1


def test_a_secret_comes_from_standard_input_and_is_never_said(alice: Weave) -> None:
    path = "/acme/engineering/database"
    kept = [alice("secret", "set", path, given=value) for value in ("s3cr3t-one\n", "s3cr3t-two\n", "")]
    assert [said.code for said in kept] == [0, 0, 2]
    assert "version 2" in kept[1].out
    assert "s3cr3t" not in "".join(said.out + said.err for said in kept) + alice("get", "secrets", "-o", "yaml").out
    assert alice("secret", "set", "database", given="x").code == 2


# --- Access and audit


def test_access_and_audit_answer(alice: Weave, world: World, tmp_path: Path) -> None:
    assert alice("access", "can", "agent:create", "/acme").code == 0
    assert alice("access", "can", "agent:create", "/acme/sales", "--as", "bob@acme.example").code == 1
    explained = alice("access", "explain", "agent:create", "/acme/sales", "--as", "user:bob@acme.example").out
    assert "What would help" in explained
    refused = alice("access", "can", "agent:fly", "/acme")
    assert (refused.code, "no such action" in refused.err) == (1, True)
    assert "Intact" in alice("audit", "verify").out
    assert "user:sign_in" in alice("audit", "list", "--since", "1h").out
    assert alice("audit", "list", "--since", "yesterday").code == 2
    assert alice("audit", "export", "-f", str(tmp_path / "audit.jsonl")).code == 0
    assert (tmp_path / "audit.jsonl").read_text().count("\n") > 1


# --- Sessions


def test_a_session_is_read_to_its_rest_and_nothing_in_it_reaches_the_terminal(alice: Weave, world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    session = make_session(agent, world.bob)
    hostile: list[tuple[str, dict[str, Any]]] = [
        ("user.message", text("Review it.")),
        ("agent.message", text("\x1b]0;owned\x07I read \x1b[31mit\x1b[0m now.")),
        ("agent.mcp_tool_use", {"id": "c1", "tool": "files.read", "name": "read", "input": {"path": "\x1b[2Ja"}}),
        ("agent.mcp_tool_result", {"mcp_tool_use_id": "c1", **text("There is nothing.")}),
        ("powerloom.session_ended", {"status": "idle_end_turn", "degradation_flagged": True}),
    ]
    tell(session, *hostile)
    tailed = alice("session", "tail", str(session.id))
    assert tailed.code == 0
    assert tailed.out.startswith("> Review it.\nI read it now.\n→ files.read ")
    assert "\x1b" not in tailed.out
    assert "← files.read: There is nothing." in tailed.out
    assert "never called its MCP tools" in tailed.out
    lines = [
        json.loads(line)
        for line in alice("session", "tail", str(session.id), "--after", "3", "-o", "json").out.splitlines()
    ]
    assert [line["seq"] for line in lines] == [4, 5]
    assert len(yaml.safe_load(alice("session", "events", str(session.id), "-o", "yaml").out)) == 5
    assert alice("session", "close", str(session.id)).code == 0
    assert alice("session", "interrupt", str(session.id)).code == 1


# --- The program itself


def test_it_helps_completes_and_says_what_it_is(weave: Weave, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weave("--version").out.startswith("weave ")
    assert "Exit" not in weave("plan", "--help").err
    assert weave("unknown").code == weave("get").code == 2
    for words, found in (("weave ap", ["apply", "approval"]), ("weave get sk", ["skills"])):
        monkeypatch.setenv("_WEAVE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        assert weave().out.split() == found


def test_colour_is_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for file, coloured in ((io.StringIO(), False), (Terminal(), True)):
        console(file).print("words", style="red")
        assert ("\x1b[" in file.getvalue()) == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    console(file := Terminal()).print("words", style="red")
    assert "\x1b[31m" not in file.getvalue()
