"""Sessions through the whole embedded product, in two lives of it: one ends in sudden death, the next in order. Its own
socket, callers that wait, and what the logs keep of all that.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from powerloom.run import devorg
from tests.product import product
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

COUNTED = 80


@dataclass
class First:
    """What came of the life that was killed: a session that was followed, and then with the same ticket again; the
    answer to a caller whose tool asks; the address of a session in the middle; and all that was logged.
    """

    seen: list[dict[str, Any]]
    seen_again: list[dict[str, Any]]
    asked: dict[str, Any]
    left: str
    doors: tuple[str, str]
    logged: str


@dataclass
class Second:
    """What came of the next one: the session that it went on with, the caller whose answer was cut by the stop, and
    that caller's session; how it ended, and all that was logged.
    """

    went_on: list[dict[str, Any]]
    cut: httpx.Response
    cut_session: str
    status: int
    door: str
    logged: str


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[First, Second]:
    folder = tmp_path_factory.mktemp("lives")
    with served(folder) as running:
        first = live(running, folder)
        with started_again(running, folder) as again:
            return first, live_on(again, first.left, folder)


def live(running: Served, folder: Path) -> First:
    """Use the product, and kill it."""
    invoked = running.invoke("[events=10 rate=50] count")
    url, ticket = running.socket_url(invoked), invoked["ws_ticket"]
    seen, seen_again = frames(url), frames(url)
    running.api.get("/sessions/none", params={"ticket": ticket})
    asked = running.invoke("[ask] list the files", mode="sync")
    left = f"/sessions/{running.invoke(f'[events={COUNTED} rate=20] count')['session_id']}"
    until(lambda: running.api.get(left).json()["event_count"] > 10, what="the first events")
    running.product.process.kill()
    running.product.process.wait()
    return First(seen, seen_again, asked, left, (ticket, bearer_of(running.api)), everything_logged(folder))


@contextmanager
def started_again(before: Served, folder: Path) -> Iterator[Served]:
    hosted = {
        "POWERLOOM_CMA_URL": before.runtime.url,
        "ANTHROPIC_API_KEY": before.runtime.key,
        "POWERLOOM_DEV": "1",
    }
    with product(folder / "home", "--no-story", **hosted) as after:
        after.wait_ready()
        with after.client(devorg.ADMIN) as api:
            yield replace(before, product=after, api=api)


def live_on(running: Served, left: str, folder: Path) -> Second:
    """Wait for the session that was left, and stop the product while a caller waits."""
    until(lambda: running.api.get(left).json()["status"] == "idle_end_turn", what="the end")
    went_on = running.api.get(f"{left}/events", params={"limit": 500}).json()
    with ThreadPoolExecutor() as callers:
        waiting = callers.submit(invoke_slowly, running)
        [cut_session] = until(lambda: running_with_title(running, "cut"), what="the session that will be cut")
        status = running.product.stop()
        cut = waiting.result(30)
    return Second(went_on, cut, cut_session["id"], status, bearer_of(running.api), everything_logged(folder))


def frames(url: str) -> list[dict[str, Any]]:
    found = []
    with connect(url, proxy=None) as socket, suppress(ConnectionClosedError):  # a refusal closes with a code
        for text in socket:
            found.append(json.loads(text))  # noqa: PERF401 - what came before the refusal is kept
    return found


def invoke_slowly(running: Served) -> httpx.Response:
    body = {"prompt": "[slow=60] wait", "mode": "sync", "title": "cut"}
    return running.api.post(f"/agents/{running.agent_id}/invoke", json=body)


def running_with_title(running: Served, title: str) -> list[dict[str, Any]]:
    rows = running.api.get("/sessions", params={"status": "running"}).json()
    return [row for row in rows if row["title"] == title]


def bearer_of(api: httpx.Client) -> str:
    return str(api.headers["Authorization"]).removeprefix("Bearer ")


def everything_logged(folder: Path) -> str:
    """All output, and every log that the product keeps in its data folder."""
    logs = [*folder.glob("*.log"), *folder.glob("home/**/*.log"), *folder.glob("home/logs/**/*")]
    return "\n".join(log.read_text(errors="replace") for log in logs if log.is_file())


def test_a_session_streams_to_its_end_and_a_ticket_opens_once(lives: tuple[First, Second]) -> None:
    seen = lives[0].seen
    assert [frame["seq"] for frame in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["type"] == "powerloom.session_ended"
    assert lives[0].seen_again[0]["payload"]["code"] == "ticket_spent"


def test_a_session_survives_the_death_of_it_all(lives: tuple[First, Second]) -> None:
    events = lives[1].went_on
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["event_type"] == "agent.message" for event in events) == COUNTED
    ids = [event["payload"]["id"] for event in events if "id" in event["payload"]]
    assert len(set(ids)) == len(ids)


def test_a_tool_that_asks_ends_the_wait_not_the_session(lives: tuple[First, Second]) -> None:
    asked = lives[0].asked
    assert (asked["status"], asked["waiting_for"]) == ("running", "confirmation")


def test_a_stop_is_answered_with_the_session_that_goes_on(lives: tuple[First, Second]) -> None:
    life = lives[1]
    assert life.status == 0
    assert life.cut.status_code == 503
    error = life.cut.json()["error"]
    assert (error["code"], error["detail"]) == ("unavailable", {"session_id": life.cut_session})


def test_the_logs_hold_nothing_that_opens_a_door(lives: tuple[First, Second]) -> None:
    for logged in (life.logged for life in lives):
        assert logged
        for door in (*lives[0].doors, lives[1].door):
            assert door not in logged
        assert not re.search(r"ticket=(?!…)|Bearer (?!…)\S|plm_\w{20}|eyJ\w+\.\w+\.", logged)
