"""A real HTTP server that answers as the Slack Web API does, for one workspace whose channels a test sets.

with slack_server() as slack:
slack.channels["C0000001"] = channel("C0000001", "general")
slack.once("conversations.info", status=429, headers={"Retry-After": "1"})
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "xoxb-1234567890-abcdefghijklmnop"


@dataclass
class Said:
    """One request as it came in."""

    method: str
    params: dict[str, Any]
    token: str


@dataclass
class Once:
    """An answer that is given one time instead of the right one."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


@dataclass
class SlackServer:
    """The workspace, what was asked of it, and what goes wrong next."""

    url: str = ""
    page: int = 2  # channels
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    said: list[Said] = field(default_factory=list)
    faults: dict[str, list[Once]] = field(default_factory=lambda: defaultdict(list))

    def once(self, method: str, **fault: Any) -> None:
        """Let the next call of a method go wrong."""
        if "error" in fault:
            fault = {"body": json.dumps({"ok": False, "error": fault["error"]}).encode()}
        self.faults[method].append(Once(**fault))

    def asked(self, method: str) -> list[Said]:
        return [said for said in self.said if said.method == method]

    def answer(self, said: Said) -> dict[str, Any]:
        if said.token != TOKEN:
            return {"ok": False, "error": "invalid_auth" if said.token else "not_authed"}
        if said.method == "auth.test":
            return {"ok": True, "team": "Acme", "user": "powerloom", "bot_id": "B0000001"}
        if said.method == "conversations.list":
            return self._list(said.params)
        return self._in_channel(said, self.channels.get(str(said.params.get("channel"))))

    def _in_channel(self, said: Said, channel: dict[str, Any] | None) -> dict[str, Any]:
        if channel is None:
            return {"ok": False, "error": "channel_not_found"}
        if said.method == "conversations.info":
            return {"ok": True, "channel": channel}
        if not channel["is_member"]:
            return {"ok": False, "error": "not_in_channel"}
        return self._history(said.params) if said.method == "conversations.history" else self._post(said.params)

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        wants_private = "private_channel" in str(params.get("types", "public_channel"))
        found = [channel for channel in self.channels.values() if wants_private or not channel["is_private"]]
        found = [channel for channel in found if not channel["is_archived"]]
        begin = int(params.get("cursor") or 0)
        more = begin + self.page < len(found)
        cursor = str(begin + self.page) if more else ""
        return {"ok": True, "channels": found[begin : begin + self.page], "response_metadata": {"next_cursor": cursor}}

    def _history(self, params: dict[str, Any]) -> dict[str, Any]:
        found = sorted(self.messages[params["channel"]], key=lambda message: message["ts"], reverse=True)
        found = [message for message in found if message["ts"] < params.get("latest", "9")]
        found = [message for message in found if message["ts"] > params.get("oldest", "0")]
        limit = int(params.get("limit", 100))
        return {"ok": True, "messages": found[:limit], "has_more": len(found) > limit}

    def _post(self, params: dict[str, Any]) -> dict[str, Any]:
        messages = self.messages[params["channel"]]
        ts = f"17000000{len(messages):02}.000100"
        messages.append({"ts": ts, "user": "B0000001", "text": params["text"], "thread_ts": params.get("thread_ts")})
        return {"ok": True, "channel": params["channel"], "ts": ts}


def channel(
    id: str, name: str, *, is_private: bool = False, is_archived: bool = False, is_member: bool = True, **more: Any
) -> dict[str, Any]:
    """Make a channel as Slack describes it."""
    facts = {"is_private": is_private, "is_archived": is_archived, "is_member": is_member}
    return {"id": id, "name": name, "is_channel": True, "topic": {"value": f"All about {name}"}, **facts, **more}


@contextmanager
def slack_server() -> Iterator[SlackServer]:
    """Serve a workspace for the length of the block."""
    slack = SlackServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}"))

        def reply(self, params: dict[str, Any]) -> None:
            method = urlsplit(self.path).path.removeprefix("/api/")
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            slack.said.append(Said(method, params, token))
            if faults := slack.faults[method]:
                once = faults.pop(0)
            else:
                once = Once(body=json.dumps(slack.answer(slack.said[-1])).encode())
            if once.drop:
                self.close_connection = True
                return
            self.send_response(once.status)
            for name, value in {"content-type": "application/json", **once.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(once.body)))
            self.end_headers()
            self.wfile.write(once.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: what was asked is in `said`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        slack.url = f"http://127.0.0.1:{server.server_port}/api"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield slack
        finally:
            server.shutdown()
            thread.join()
