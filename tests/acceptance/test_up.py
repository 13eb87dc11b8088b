"""A newcomer's first minutes: the main job is told, told again, stopped and continued."""

import os
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from tests.product import Product, first_run, product
from tests.programs import Process
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
COUNTED = 200  # five a second: enough to be cut in the middle while the story goes on


class Run(NamedTuple):
    """A run that has ended: how and what it told. For one that was stopped: how many children it had, and what still
    was there of it: children, or its port.
    """

    status: int
    told: str
    children: int = 0
    left: tuple[str, ...] = ()


class Cut(NamedTuple):
    """A run that was stopped while it told: the sessions before and after it, and the one that it left unfinished."""

    run: Run
    before: dict[str, str]
    after: dict[str, str]
    session: str


class Again(NamedTuple):
    """The run after that: what there was of its reviewer, the session that it went on with, and who was kept out."""

    run: Run
    reviewers: list[dict[str, Any]]
    sessions: set[str]
    went_on: dict[str, Any]
    events: list[dict[str, Any]]
    kept_out: Run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's data folder."""
    return tmp_path_factory.mktemp("up") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> Run:
    """The main job, told once on an empty folder."""
    with first_run(home, ONCE="1") as up:
        return Run(up.process.wait(TOLD_SECONDS), up.output())


@pytest.fixture(scope="module")
def cut(first: Run, home: Path) -> Cut:
    """The next run, interrupted in the middle of its story and of a session."""
    before = sessions_in(home)
    with product(home) as up:
        up.wait_told("live as")  # its tools are at another port than last time
        with up.client("admin@dev.local") as api:
            [agent] = reviewers(api)
            body = {"prompt": f"[events={COUNTED} rate=5] count", "mode": "fire_and_forget"}
            session = api.post(f"/agents/{agent['id']}/invoke", json=body).json()["session_id"]
            up.wait_told("agent.thinking")
            until(lambda: api.get(f"/sessions/{session}").json()["event_count"] > 5, what="the session's first events")
        run = stopped(up, signal.SIGINT)
    return Cut(run, before, sessions_in(home), session)


@pytest.fixture(scope="module")
def again(cut: Cut, home: Path) -> Again:
    """The run after that, which is left to tell and to serve, keeps a second one out of its folder, and is stopped."""
    path = f"/sessions/{cut.session}"
    with product(home) as up:
        up.wait_told("Serving on")
        told = up.output()  # before the one that is kept out writes to the same file
        with up.client("admin@dev.local") as api:
            agents = reviewers(api)
            rows = api.get("/sessions", params={"agent_id": agents[0]["id"]}).json()
            until(lambda: api.get(path).json()["status"] != "running", within=90, what="the end of the session")
            went_on, events = api.get(path).json(), api.get(f"{path}/events", params={"limit": 500}).json()
        with product(home, "--skip-checks") as second:
            kept_out = Run(second.process.wait(30), second.output())
        run = stopped(up, signal.SIGTERM)._replace(told=told)
    return Again(run, agents, {row["id"] for row in rows}, went_on, events, kept_out)


def stopped(up: Product, number: signal.Signals) -> Run:
    """Stop it with the signal, and look at once at what is left."""
    children, port = children_of(up.process), urlsplit(up.url).port or 0
    status = up.stop(number)
    left = [f"child {pid}" for pid in children if not is_gone(pid)] + [f"port {port}"] * is_open(port)
    return Run(status, up.output(), len(children), tuple(left))


def children_of(process: Process) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def is_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def serves(pid: int) -> bool:
    """Tell whether the local runtime with this id takes calls, by the port in its command line."""
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return "--port" in command and is_open(int(command[command.index("--port") + 1]))


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def reviewers(api: httpx.Client) -> list[dict[str, Any]]:
    return [row for row in api.get("/agents").json() if row["name"] == "code-reviewer"]


def sessions_in(home: Path) -> dict[str, str]:
    """The sessions that the data folder holds while nothing runs on it, and their states."""
    with closing(sqlite3.connect(home / "powerloom.sqlite3")) as database:
        rows = database.execute("SELECT id, status FROM agent_sessions_agentsession")
        return {str(UUID(id_)): status for id_, status in rows}


# --- Told once


def test_it_tells_the_main_job_once_and_exits_with_0(first: Run) -> None:
    assert first.status == 0, first.told
    for frame in FRAMES:
        assert frame in first.told
    assert "chain intact" in first.told
    assert "admin@dev.local" in first.told


def test_the_session_reads_the_products_own_sources_through_the_fleet(first: Run) -> None:
    assert "repo-files is running" in first.told
    assert "repo-files.read_file" in first.told
    assert first.told.count("# Powerloom") == 1, "the beginning of our README"


def test_the_data_folder_is_its_owners_alone(first: Run, home: Path) -> None:
    assert home.stat().st_mode & 0o077 == 0
    assert (home / "powerloom.sqlite3").stat().st_mode & 0o077 == 0


# --- Told again, stopped and continued


def test_a_signal_in_the_middle_of_the_story_is_no_failure(cut: Cut) -> None:
    assert cut.run.status == 0
    assert "Stopped during “invoke and stream”" in cut.run.told
    assert "Failed" not in cut.run.told
    assert cut.run.children, "the local runtime is a child"
    assert cut.run.left == ()


def test_a_later_start_goes_on_with_the_same_data(cut: Cut, again: Again) -> None:
    assert cut.before
    assert set(cut.before) < set(cut.after)
    assert len(cut.after) == len(cut.before) + 2, "the story's and ours"
    assert len(again.reviewers) == 1
    assert set(cut.after) < again.sessions
    assert len(again.sessions) == len(cut.after) + 1
    for run in (cut.run, again.run):
        assert "created" not in run.told.replace("session_created", "")
    assert "repo-files.read_file" in again.run.told


def test_a_session_cut_by_a_stop_loses_nothing(cut: Cut, again: Again) -> None:
    assert cut.after[cut.session] == "running"
    assert again.went_on["status"] == "idle_end_turn"
    assert [event["seq"] for event in again.events] == list(range(1, len(again.events) + 1))
    assert sum(event["event_type"] == "agent.message" for event in again.events) >= COUNTED


def test_two_cannot_serve_from_one_data_folder(again: Again) -> None:
    assert again.kept_out.status == 1
    assert "in use by another" in again.kept_out.told


def test_a_signal_stops_every_process_within_six_seconds_and_frees_the_port(again: Again) -> None:
    assert again.run.status == 0
    assert again.run.children, "the local runtime is a child"
    assert again.run.left == ()


# --- Cut short


def test_the_local_runtime_dies_with_a_killed_parent(tmp_path: Path) -> None:
    with product(tmp_path / "home", "--no-story", "--skip-checks") as up:
        [child] = until(lambda: children_of(up.process), what="the local runtime")
        until(lambda: serves(child), what="the local runtime to take calls")
        up.process.kill()
        until(lambda: is_gone(child), what="the end of the orphan")


def test_a_runtime_that_hangs_holds_up_no_stop(tmp_path: Path) -> None:
    with product(tmp_path / "home", "--no-story", "--skip-checks") as up:
        up.wait_ready()
        [child] = children_of(up.process)
        os.kill(child, signal.SIGSTOP)
        run = stopped(up, signal.SIGTERM)
    assert (run.status, run.left) == (0, ())


def test_it_names_the_step_that_failed_and_exits_with_1(tmp_path: Path) -> None:
    nobody = {"POWERLOOM_CMA_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "none"}
    with product(tmp_path / "home", "--once", "--patience", "2", **nobody) as up:
        assert up.process.wait(90) == 1
    assert "Failed at “reconcile”" in up.output()


def test_it_says_which_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with product(tmp_path / "home", "--skip-checks", "--port", str(taken.getsockname()[1])) as up:
            assert up.process.wait(30) == 1
    assert "is taken" in up.output()
