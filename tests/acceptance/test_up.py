"""A newcomer's first minutes: the main job is told, told again, stopped and continued."""

import json
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from websockets.sync.client import connect

from tests.product import Product, first_run, product
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

TOLD_SECONDS = 300  # a patience, no promise: a busy machine tells slowly
FRAMES = (
    "powerloom.session_created",
    "agent.message",
    "agent.mcp_tool_use",
    "agent.mcp_tool_result",
    "session.status_idle",
    "powerloom.session_ended",
)


class First(NamedTuple):
    """A newcomer's first run: where, how it ended, and what it told."""

    home: Path
    status: int
    told: str


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """The main job, told once, on a data folder that the other tests go on with."""
    with first_run(tmp_path_factory.mktemp("up") / "home", ONCE="1") as up:
        return First(up.home, up.process.wait(TOLD_SECONDS), up.output())


@pytest.fixture
def home(first: First) -> Path:
    """A data folder in which the main job was told before."""
    return first.home


def children_of(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def is_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def code_reviewer(up: Product) -> dict[str, str]:
    with up.client("admin@dev.local") as api:
        rows = [row for row in api.get("/agents").json() if row["name"] == "code-reviewer"]
        assert len(rows) == 1
        agent: dict[str, str] = rows[0]
        return agent


def sessions_of_the_reviewer(up: Product) -> set[str]:
    agent = code_reviewer(up)
    with up.client("admin@dev.local") as api:
        return {session["id"] for session in api.get("/sessions", params={"agent_id": agent["id"]}).json()}


def sessions_in(home: Path) -> set[str]:
    """The sessions that the data folder holds while nothing runs on it."""
    with closing(sqlite3.connect(home / "powerloom.sqlite3")) as database:
        return {str(UUID(row[0])) for row in database.execute("SELECT id FROM agent_sessions_agentsession")}


def test_it_tells_the_main_job_once_and_exits_with_0(first: First) -> None:
    assert first.status == 0, first.told
    for frame in FRAMES:
        assert frame in first.told
    assert "chain intact" in first.told
    assert "admin@dev.local" in first.told


def test_the_session_reads_the_products_own_sources_through_the_fleet(first: First) -> None:
    assert "repo-files is running" in first.told
    assert "repo-files.read_file" in first.told
    assert first.told.count("# Powerloom") == 1, "the beginning of our README"


def test_the_data_folder_is_its_owners_alone(home: Path) -> None:
    assert home.stat().st_mode & 0o077 == 0
    assert (home / "powerloom.sqlite3").stat().st_mode & 0o077 == 0


def test_a_second_start_goes_on_with_the_same_data(home: Path) -> None:
    before = sessions_in(home)
    assert before
    with product(home) as up:
        up.wait_told("Serving on")
        after = sessions_of_the_reviewer(up)
        assert before < after
        assert len(after) == len(before) + 1
        assert "created" not in up.output().replace("session_created", "")
        assert "repo-files.read_file" in up.output()
        assert up.stop() == 0


def test_a_signal_stops_every_process_within_six_seconds_and_frees_the_port(home: Path) -> None:
    with product(home, "--no-story") as up:
        up.wait_ready()
        children = children_of(up.process)
        assert children, "the local runtime is a child"
        assert up.stop(signal.SIGTERM) == 0
    until(lambda: all(is_gone(pid) for pid in children), what="the end of every child")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(up.url).port or 0)) != 0


def test_the_local_runtime_dies_with_a_killed_parent(home: Path) -> None:
    with product(home, "--no-story") as up:
        up.wait_ready()
        children = children_of(up.process)
        up.process.kill()
        until(lambda: all(is_gone(pid) for pid in children), what="the end of every orphan")


def test_a_session_cut_by_a_stop_loses_nothing(home: Path) -> None:
    with product(home, "--no-story") as up:
        up.wait_ready()
        agent = code_reviewer(up)
        with up.client("admin@dev.local") as api:
            standing = f"/agents/{agent['id']}/sync-status"  # its tools are at another port than last time
            until(lambda: api.get(standing).json()["live"], what="the agent with its tools where they are now")
            body = {"prompt": "[events=60 rate=15] count", "mode": "fire_and_forget"}
            invoked = api.post(f"/agents/{agent['id']}/invoke", json=body).json()
            path = f"/sessions/{invoked['session_id']}"
            with connect(f"{up.url.replace('http', 'ws')}/api{invoked['ws_url']}", proxy=None) as stream:
                while json.loads(stream.recv(timeout=30))["type"] != "agent.message":
                    pass
        assert up.stop() == 0
    with product(home, "--no-story") as up:
        up.wait_ready()
        with up.client("admin@dev.local") as api:
            until(lambda: api.get(path).json()["status"] == "idle_end_turn", within=60, what="the end of the session")
            events = api.get(f"{path}/events", params={"limit": 500}).json()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert sum(event["event_type"] == "agent.message" for event in events) >= 60
        assert up.stop() == 0


def test_it_names_the_step_that_failed_and_exits_with_1(home: Path) -> None:
    nobody = {"POWERLOOM_CMA_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "none"}
    fresh = home.parent / "unreachable"
    with product(fresh, "--once", "--patience", "5", **nobody) as up:
        assert up.process.wait(90) == 1
    assert "Failed at “reconcile”" in up.output()


def test_a_signal_in_the_middle_of_the_story_is_no_failure(home: Path) -> None:
    with product(home) as up:
        up.wait_told("agent.thinking")
        children = children_of(up.process)
        assert up.stop(signal.SIGINT) == 0
        assert "Stopped during “invoke and stream”" in up.output()
        assert "Failed" not in up.output()
    until(lambda: all(is_gone(pid) for pid in children), what="the end of every child")


def test_it_says_which_port_is_taken(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with product(home.parent / "unused", "--port", str(taken.getsockname()[1])) as up:
            assert up.process.wait(30) == 1
    assert "is taken" in up.output()


def test_two_cannot_serve_from_one_data_folder(home: Path) -> None:
    with product(home, "--no-story") as first:
        first.wait_ready()
        with product(home, "--no-story") as second:
            second.process.wait(30)
            assert second.process.returncode == 1
            assert "in use by another" in second.output()
        assert first.stop() == 0
