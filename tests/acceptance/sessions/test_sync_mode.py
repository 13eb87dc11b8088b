"""Callers that wait for a session, at the product as it is started: one that is asked, one that is cut by a stop; and
what the logs keep of all that.
"""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only


@dataclass
class Lived:
    """What came of it: both answers, the session that was cut, all that was logged, and the doors it must not hold."""

    asked: dict[str, Any]
    cut: httpx.Response
    cut_session: dict[str, Any]
    logged: str
    ticket: str
    bearer: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """One life of the product."""
    folder = tmp_path_factory.mktemp("sync")
    with served(folder) as running, ThreadPoolExecutor() as callers:
        asked = running.invoke("[ask] list the files", mode="sync")
        ticket = follow(running)
        waiting = callers.submit(invoke_slowly, running)
        cut_session = until(lambda: running_with_title(running, "cut"), what="the session that will be cut")[0]
        running.product.stop(signal.SIGTERM)
        bearer = str(running.api.headers["Authorization"]).removeprefix("Bearer ")
        return Lived(asked, waiting.result(30), cut_session, everything_logged(folder), ticket, bearer)


def follow(running: Served) -> str:
    """Use a ticket, and use it again in vain; both leave their address with the server."""
    invoked = running.invoke("[events=2] count")
    for _ in range(2):
        with connect(running.socket_url(invoked)) as socket:
            socket.recv(timeout=30)
    ticket: str = invoked["ws_ticket"]
    return ticket


def invoke_slowly(running: Served) -> httpx.Response:
    body = {"prompt": "[slow=60] wait", "mode": "sync", "title": "cut"}
    return running.api.post(f"/agents/{running.agent_id}/invoke", json=body)


def running_with_title(running: Served, title: str) -> list[dict[str, Any]]:
    rows = running.api.get("/sessions", params={"status": "running"}).json()
    return [row for row in rows if row["title"] == title]


def everything_logged(folder: Path) -> str:
    """All output, and every log that the product keeps in its data folder."""
    logs = [*folder.glob("*.log"), *folder.glob("home/**/*.log"), *folder.glob("home/logs/**/*")]
    return "\n".join(log.read_text(errors="replace") for log in logs if log.is_file())


def test_a_tool_that_asks_ends_the_wait_not_the_session(lived: Lived) -> None:
    assert (lived.asked["status"], lived.asked["waiting_for"]) == ("running", "confirmation")


def test_a_stop_is_answered_with_the_session_that_goes_on(lived: Lived) -> None:
    assert lived.cut.status_code == 503
    error = lived.cut.json()["error"]
    assert (error["code"], error["detail"]) == ("unavailable", {"session_id": lived.cut_session["id"]})


def test_the_logs_hold_nothing_that_opens_a_door(lived: Lived) -> None:
    assert lived.logged
    assert lived.ticket not in lived.logged
    assert lived.bearer not in lived.logged
    assert not re.search(r"ticket=(?!…)|Bearer (?!…)\S|plm_\w{20}|eyJ\w+\.\w+\.", lived.logged)
