"""The same product as separate processes on PostgreSQL and Redis: web, fleet, worker, beat and two relays, any of which
may be killed.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from django.core.management import call_command
from rich.console import Console

from powerloom.kernel.tls import trust
from powerloom.run import devorg
from powerloom.run.story import Story, StoryFailed
from sessions.models import AgentSession, Relay
from tests.database import Committed
from tests.local_runtime import local_runtime
from tests.product import environment_for
from tests.programs import ROOT, Program, run, start
from tests.servers import free_port
from tests.waiting import until

pytestmark = [pytest.mark.postgres_only, pytest.mark.redis_only]

STOP_SECONDS = 6


class Processes:
    """Each part as operators start it, with what it printed."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self.environment = environment
        self.logs = logs
        self.running: dict[str, Program] = {}

    def start(self, name: str, *command: str, **alone: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as out:
            self.running[name] = start(*command, env=self.environment | alone, out=out)

    def run(self, *command: str) -> None:
        done = run(*command, env=self.environment)
        assert done.returncode == 0, done.stdout + done.stderr

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> dict[str, int]:
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(STOP_SECONDS) for name, process in self.running.items()}

    def output(self) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.logs.iterdir()))


@pytest.fixture
def parts(committed_db: Committed, tmp_path: Path) -> Iterator[tuple[Processes, str]]:
    logs = tmp_path / "logs"
    logs.mkdir()
    with ExitStack() as stack:
        runtime = stack.enter_context(local_runtime(tmp_path / "runtime"))
        port = free_port()
        environment = environment_for(
            committed_db.folder,
            **committed_db.environment,
            REDIS_URL=os.environ["REDIS_URL"],
            POWERLOOM_DEV="1",
            POWERLOOM_SECRET_KEY="only for this test, and long enough for any key",
            POWERLOOM_FLEET_PORT=str(free_port()),
            POWERLOOM_API_URL=f"http://127.0.0.1:{port}/api",
            POWERLOOM_CMA_URL=runtime.url,
            ANTHROPIC_API_KEY=runtime.key,
        )
        processes = Processes(environment, logs)
        try:
            yield processes, f"http://127.0.0.1:{port}"
        finally:
            for process in processes.running.values():
                process.kill()
                process.wait()


def start_all(processes: Processes, url: str) -> None:
    processes.run("manage.py", "create_organization", devorg.NAME, "--admin-email", devorg.ADMIN)
    call_command("grant_file_root", devorg.NAME, str(ROOT), verbosity=0)
    port = url.rpartition(":")[2]
    processes.start("web", "manage.py", "web", "--port", port, POWERLOOM_DELEGATION_KEY="the web processes' own")
    processes.start("fleet", "manage.py", "fleet")
    processes.start("worker", "manage.py", "worker")
    processes.start("beat", "manage.py", "beat")
    processes.start("relay-1", "manage.py", "relay")
    until(lambda: is_ready(url), within=60, what=f"the web process:\n{processes.output()}")
    until(Relay.objects.exists, within=60, what=f"the first relay:\n{processes.output()}")
    processes.start("relay-2", "manage.py", "relay")
    until(lambda: Relay.objects.count() == 2, within=60, what=f"the second relay:\n{processes.output()}")


def relay_of(session_id: str) -> str:
    """Return the name of the process that follows a session: the first to start has the lowest epoch."""
    relays = list(Relay.objects.order_by("epoch").values_list("id", flat=True))
    followed_by = AgentSession.objects.get(pk=session_id).relay_id
    assert followed_by is not None
    return f"relay-{1 + relays.index(followed_by)}"


def tell(processes: Processes, url: str) -> Story:
    """Walk the main job; a failure shows what every process said."""
    log = processes.logs / "story.log"
    with log.open("w") as out:
        story = Story(url, Console(file=out, width=200), sources=ROOT, patience=60)
        try:
            story.tell()
        except StoryFailed as failure:
            pytest.fail(f"{failure.step}: {failure}\n{processes.output()}")
    return story


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, verify=trust()).is_success
    except httpx.HTTPError:
        return False


def test_the_main_job_runs_on_separate_processes_and_outlives_any_of_them(parts: tuple[Processes, str]) -> None:
    processes, url = parts
    start_all(processes, url)
    story = tell(processes, url)
    assert "chain intact" in (processes.logs / "story.log").read_text()
    with httpx.Client(base_url=f"{url}/api", headers=story.headers, trust_env=False, timeout=30) as api:
        meta = api.get("/agents", params={"name": "powerloom-meta"}).json()[0]
        asked = {"prompt": "What agents exist in /dev-org/engineering?", "mode": "sync"}
        inventory = api.post(f"/agents/{meta['id']}/invoke", json=asked).json()
        said = api.get(f"/sessions/{inventory['session_id']}/events", params={"limit": 500}).json()
        results = [str(event["payload"]) for event in said if event["event_type"] == "agent.mcp_tool_result"]
        assert any(devorg.AGENT["name"] in result for result in results), "the fleet trades without the signing key"
        agent = next(row for row in api.get("/agents").json() if row["name"] == devorg.AGENT["name"])
        body = {"prompt": "[events=60 rate=10] count", "mode": "fire_and_forget"}
        invoked = api.post(f"/agents/{agent['id']}/invoke", json=body).json()
        path = f"/sessions/{invoked['session_id']}"
        until(lambda: api.get(path).json()["event_count"] > 5, what="the first events")
        processes.kill("worker")
        processes.kill(relay_of(invoked["session_id"]))
        until(
            lambda: api.get(path).json()["status"] == "idle_end_turn",
            within=90,
            what=f"the end of the session:\n{processes.output()}",
        )
        events = api.get(f"{path}/events", params={"limit": 500}).json()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["event_type"] == "agent.message" for event in events) >= 60
    assert set(processes.stop().values()) == {0}, processes.output()
