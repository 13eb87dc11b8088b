"""Sessions through the whole embedded product: its own socket, its log, its sudden death."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.product import product
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only


def frames(url: str) -> list[dict[str, Any]]:
    found = []
    with connect(url, proxy=None) as socket, suppress(ConnectionClosedError):  # a refusal closes with a code
        for text in socket:
            found.append(json.loads(text))  # noqa: PERF401  what came before the refusal is kept
    return found


def test_a_session_streams_to_its_end_and_another_survives_the_death_of_it_all(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        _follow(running, tmp_path)
        path = f"/sessions/{running.invoke('[events=80 rate=20] count')['session_id']}"
        until(lambda: running.api.get(path).json()["event_count"] > 10, what="the first events")
        running.product.process.kill()
        running.product.process.wait()
        _resume(running, tmp_path, path)


def _follow(running: Served, folder: Path) -> None:
    """Read a session to its end, and look for its ticket in every log."""
    invoked = running.invoke("[events=10 rate=50] count")
    url = running.socket_url(invoked)
    seen = frames(url)
    assert [frame["seq"] for frame in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["type"] == "powerloom.session_ended"
    assert frames(url)[0]["payload"]["code"] == "ticket_spent"
    running.api.get("/sessions/none", params={"ticket": invoked["ws_ticket"]})
    for log in [running.product.log, *(folder / "home").rglob("*.log")]:
        text = log.read_text()
        assert invoked["ws_ticket"] not in text
        assert "ticket=tk_" not in text


def _resume(before: Served, folder: Path, path: str) -> None:
    hosted = {
        "POWERLOOM_CMA_URL": before.runtime.url,
        "ANTHROPIC_API_KEY": before.runtime.key,
        "POWERLOOM_DEV": "1",
    }
    with product(folder / "home", "--no-story", **hosted) as after:
        after.wait_ready()
        with after.client("admin@dev.local") as api:
            until(lambda: api.get(path).json()["status"] == "idle_end_turn", what="the end")
            events = api.get(f"{path}/events", params={"limit": 500}).json()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert sum(event["event_type"] == "agent.message" for event in events) == 80
        ids = [event["payload"]["id"] for event in events if "id" in event["payload"]]
        assert len(set(ids)) == len(ids)
        assert after.stop() == 0
