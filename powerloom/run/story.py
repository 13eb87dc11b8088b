"""The main job, told while it happens: declare, reconcile, invoke, stream, verify.

The storyteller is an ordinary client: it signs in, and then uses nothing but the public REST API and one WebSocket.
Told twice on the same data it changes nothing the second time and runs one more session.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any  # JSON of the API

import httpx
from rich.console import Console
from rich.markup import escape
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from powerloom.kernel.tls import trust
from powerloom.run import devorg
from powerloom.run.bootstrap import Bootstrap, BootstrapFailed, Wanted
from powerloom.web.text import visible

SILENCE_SECONDS = 60  # between two frames
POLL_SECONDS = 0.25
SKILL_FOLDERS = Path(__file__).parent / "skills"


class StoryFailed(Exception):
    """A step did not end as promised; `step` names it."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message)
        self.step = step


class Story:
    """Walks the main job against a running Powerloom and prints what happens.

    `sources` is a folder of this machine that was granted to the development organization; without one, what serves
    it is left out.
    """

    def __init__(self, url: str, console: Console, *, sources: Path | None, patience: float) -> None:
        self.url = url
        self.sources = sources
        self.patience = patience
        self.console = console
        self._step = "start"
        self._api = httpx.Client(base_url=f"{url}/api", timeout=30, trust_env=False, verify=trust())
        self._ous: dict[str, str] = {}
        self._started = time.monotonic()

    @property
    def headers(self) -> dict[str, str]:
        """What the storyteller's requests carry, for going on where the story ends."""
        return {"Authorization": self._api.headers["Authorization"]}

    def tell(self) -> None:
        """Do every step in order. Raises `StoryFailed` at the first that fails."""
        with self._api:
            with self._chapter("sign in"):
                self._sign_in()
            with self._chapter("declare the organization"):
                self._declare_ous()
                self._declare_cast()
            with self._chapter("declare the agent"):
                skill, *_ = [self._declare_skill(declared, path) for declared, path in devorg.SKILLS]
                agent = self._declare_agent(skill)
            if self.sources:
                with self._chapter("deploy and attach tools"):
                    stand_ins = [self._declare_deployment(declared, path, {}) for declared, path in devorg.STAND_INS]
                    self._attach(agent, self._deploy(self.sources))
                    for stand_in in stand_ins:
                        self._await_running(f"/mcp-deployments/{stand_in['id']}")
            with self._chapter("reconcile"):
                self._await_live(agent)
            if self.sources:  # the runtime reaches the fleet
                with self._chapter("bootstrap the meta-agent"):
                    self._bootstrap()
            with self._chapter("invoke and stream"):
                self._stream(agent)
            with self._chapter("audit"):
                self._verify()
            self._farewell()

    @contextmanager
    def _chapter(self, title: str) -> Iterator[None]:
        self._step = title
        self.console.print(f"\n[bold]{title.capitalize()}[/bold]")
        try:
            yield
        except (httpx.HTTPError, WebSocketException, OSError, LookupError, TypeError, ValueError) as error:
            raise StoryFailed(title, f"{type(error).__name__}: {error}") from error

    def _say(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self.console.print(f"  [dim]{elapsed:5.1f}s[/dim]  {text}", soft_wrap=True)

    def _fail(self, message: str) -> StoryFailed:
        return StoryFailed(self._step, message)

    # The API.

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._api.request(method, path, **options)
        if answer.is_error:
            raise self._fail(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def _ensure(self, what: str, path: str, body: dict[str, Any], *, where: dict[str, str], **query: str) -> Any:
        """Return the row of the list that matches, else create it: so the story may be told again."""
        for row in self._call("GET", path, params=query):
            if all(row[key] == value for key, value in where.items()):
                return row
        row = self._call("POST", path, json=body)
        self._say(f"created {what}")
        return row

    # The chapters.

    def _sign_in(self) -> None:
        tokens = self._call("GET", "/auth/login", params={"as": devorg.ADMIN})["tokens"]
        self._api.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        self.me = self._call("GET", "/me")
        self._say(f"signed in as [bold]{self.me['email']}[/bold] (development sign-in, this machine only)")

    def _declare_ous(self) -> None:
        self._index(self._call("GET", "/ous/tree"), "")
        for parent, name, display_name in devorg.OUS:
            path = f"{parent}/{name}"
            if path not in self._ous:
                body = {"name": name, "display_name": display_name, "parent_id": self._ous[parent]}
                self._ous[path] = self._call("POST", "/ous", json=body)["id"]
                self._say(f"created OU {path}")
        self._say(f"OUs: {', '.join(sorted(self._ous))}")

    def _index(self, nodes: list[dict[str, Any]], above: str) -> None:
        for node in nodes:
            path = f"{above}/{node['name']}"
            self._ous[path] = node["id"]
            self._index(node["children"], path)

    def _declare_cast(self) -> None:
        roles = {role["name"]: role["id"] for role in self._call("GET", "/roles")}
        for person in devorg.CAST:
            body = {"email": person.email, "name": person.name, "home_ou_id": self._ous[person.home]}
            user = self._ensure(f"user {person.email}", "/users", body, where={"email": person.email})
            scope = {"principal_id": user["principal_id"], "scope_ou_id": self._ous[person.scope]}
            binding = {**scope, "role_id": roles[person.role], "decision_type": "allow"}
            self._ensure(
                f"binding {person.role} on {person.scope} for {person.email}",
                "/role-bindings",
                binding,
                where={"role_id": binding["role_id"]},
                **scope,
            )
        self._say("cast: " + ", ".join(f"{p.email} ({p.role})" for p in devorg.CAST))

    def _declare_skill(self, declared: dict[str, str], path: str) -> dict[str, Any]:
        ou_id, name = self._ous[path], declared["name"]
        skill: dict[str, Any] = self._ensure(
            f"skill {name}",
            "/skills",
            {**declared, "ou_id": ou_id},
            where={"name": name},
            ou_id=ou_id,
        )
        upload = {"file": (f"{name}.zip", _zipped(SKILL_FOLDERS / name), "application/zip")}
        version = self._call("POST", f"/skills/{skill['id']}/versions", files=upload)
        if skill["current_version_id"] != version["id"]:
            self._call("PATCH", f"/skills/{skill['id']}", json={"current_version_id": version["id"]})
            self._say(f"uploaded and activated a version of {name}, sha256 {version['sha256'][:12]}…")
        return skill

    def _declare_agent(self, skill: dict[str, Any]) -> dict[str, Any]:
        ou_id = self._ous[devorg.ENGINEERING]
        name = devorg.AGENT["name"]
        body = {**devorg.AGENT, "ou_id": ou_id, "owner_principal_id": self.me["principal_id"]}
        agent: dict[str, Any] = self._ensure(
            f"agent {name} in {devorg.ENGINEERING}", "/agents", body, where={"name": name}, ou_id=ou_id
        )
        self._call("POST", f"/agents/{agent['id']}/skills", json={"skill_id": skill["id"], "skill_version_id": None})
        self._say(f"{name} uses {skill['name']}; id {agent['id']}")
        return agent

    def _deploy(self, sources: Path) -> dict[str, Any]:
        config = {"root": str(sources)}
        deployment = self._declare_deployment(devorg.DEPLOYMENT, devorg.ENGINEERING, config)
        path = f"/mcp-deployments/{deployment['id']}"
        if deployment["config_json"] != config:  # the sources lie elsewhere than last time
            self._call("PATCH", path, json={"config_json": config})
        return self._await_running(path)

    def _declare_deployment(self, declared: dict[str, Any], path: str, config: dict[str, str]) -> dict[str, Any]:
        ou_id, name = self._ous[path], declared["name"]
        body = {"isolation_mode": "shared", "policy_json": {}, **declared, "ou_id": ou_id, "config_json": config}
        deployment: dict[str, Any] = self._ensure(
            " ".join([f"MCP deployment {name}", *(f"over {root}" for root in config.values())]),
            "/mcp-deployments",
            body,
            where={"name": name},
            ou_id=ou_id,
        )
        if deployment["status"] == "failed" and deployment["config_json"] == config:
            self._call("POST", f"/mcp-deployments/{deployment['id']}/retry")
        return deployment

    def _await_running(self, path: str) -> dict[str, Any]:
        told, give_up = "", time.monotonic() + self.patience
        while time.monotonic() < give_up:
            deployment: dict[str, Any] = self._call("GET", path)
            words = f"{deployment['name']} is {deployment['status']}. {deployment['status_reason']}".strip()
            if words != told:
                told = words
                self._say(escape(visible(words)))
            if deployment["status"] == "running":
                tools = ", ".join(tool["name"] for tool in deployment["tools"])
                self._say(f"it serves {tools} at {deployment['endpoint_url']}")
                return deployment
            if deployment["status"] == "failed":
                break
            time.sleep(POLL_SECONDS)
        raise self._fail(told)

    def _attach(self, agent: dict[str, Any], deployment: dict[str, Any]) -> None:
        server = {"mcp_server_registration_id": deployment["mcp_server_registration_id"]}
        self._call("POST", f"/agents/{agent['id']}/mcp-servers", json=server)
        self._say(f"{agent['name']} has {deployment['name']}, with a credential of its own")

    def _bootstrap(self) -> None:
        bootstrap = Bootstrap(self._api, lambda words: self._say(escape(visible(words))), patience=self.patience)
        try:
            meta = bootstrap.run(Wanted(devorg.ENGINEERING))
        except BootstrapFailed as failed:
            raise self._fail(str(failed)) from failed
        self._say(f"talk to [bold]{meta['name']}[/bold]: it does all of this with your rights, and no others")

    def _await_live(self, agent: dict[str, Any]) -> None:
        told, give_up = "", time.monotonic() + self.patience
        while time.monotonic() < give_up:
            sync = self._call("GET", f"/agents/{agent['id']}/sync-status")
            waits_for = sync["why"] or self._unsynced_credential(agent)
            words = waits_for or f"live as {sync['runtime_resource_id']}, version {sync['runtime_version']}"
            if words != told:
                told = words
                self._say(escape(visible(words)))
            if not waits_for:
                return
            time.sleep(POLL_SECONDS)
        raise self._fail(f"not live after {self.patience:g} s: {told}")

    def _unsynced_credential(self, agent: dict[str, Any]) -> str:
        """Say that a credential is on its way: an agent is live without it, and would do without its tools."""
        rows = self._call("GET", "/credentials", params={"agent_id": agent["id"]})
        is_synced = all(row["sync_status"] == "synced" for row in rows)
        return "" if is_synced else "a credential is waiting to be pushed"

    def _stream(self, agent: dict[str, Any]) -> None:
        body = {"prompt": devorg.PROMPT, "mode": "fire_and_forget", "title": devorg.TITLE}
        invoked = self._call("POST", f"/agents/{agent['id']}/invoke", json=body)
        self._say(f"session {invoked['session_id']}: “{devorg.PROMPT}”")
        socket_url = f"{self.url.replace('http', 'ws', 1)}/api{invoked['ws_url']}"
        ended = None
        with connect(socket_url, proxy=None) as socket:
            while ended is None:
                frame = json.loads(socket.recv(timeout=SILENCE_SECONDS))
                self._say(f"[cyan]{frame['type']:<32}[/cyan] {escape(gist(frame))}")
                ended = frame if frame["type"] == "powerloom.session_ended" else None
        session = self._call("GET", f"/sessions/{invoked['session_id']}")
        if session["status"] != "idle_end_turn":
            raise self._fail(f"the session ended as {session['status']}: {session['last_error']}")
        if self.sources and not ended["payload"]["mcp_tool_use_count"]:
            raise self._fail(f"the session called no MCP tool: {session['degradation']}")

    def _verify(self) -> None:
        verdict = self._call("GET", "/audit/verify")
        if not verdict["intact"]:
            raise self._fail(f"the chain is broken: {verdict}")
        self._say(f"chain intact: {verdict['count']} entries, head {verdict['last_hash'][:16]}…")

    def _farewell(self) -> None:
        for line in (
            f"\nConsole: [bold]{self.url}/[/bold]   sign in as [bold]{devorg.ADMIN}[/bold], one click, no password",
            f"API:     {self.url}/api/   readable at {self.url}/api/docs",
            f"Shell:   .venv/bin/weave login --dev --url {self.url}   then .venv/bin/weave --help",
        ):
            self.console.print(line, soft_wrap=True)


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            archive.write(file, file.relative_to(folder).as_posix())
    return buffer.getvalue()


def gist(frame: dict[str, Any]) -> str:
    """Return one line of what a frame says; a terminal shows it and obeys none of it."""
    payload = frame["payload"]
    blocks = payload.get("content") or []
    text = " ".join(block["text"] for block in blocks if isinstance(block, dict) and block.get("type") == "text")
    if text:
        return visible(text.replace("\n", " ")[:160])
    kept = {name: payload[name] for name in ("name", "tool", "input", "stop_reason", "event_count") if name in payload}
    return json.dumps(kept)[:160] if kept else ""  # ASCII only
