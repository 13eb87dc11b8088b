"""The suite keeps its promises: nothing leaves the machine, nothing is left out on CI, no server outlives its run."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import OutsideError, fail_a_skip
from tests.servers import servers
from tests.waiting import until

ROOT = Path(__file__).parents[2]
OUTSIDE = "192.0.2.1"  # reserved for documentation, RFC 5737

HOLD_SERVERS = """
from tests.servers import servers
with servers() as private:
    print(private.database_url, private.redis_url, flush=True)
    input()
"""


def listens(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2].split("/")[0]))) == 0


def test_a_test_cannot_connect_outside() -> None:
    with socket.socket() as line, pytest.raises(OutsideError):
        line.connect((OUTSIDE, 80))
    with pytest.raises(OutsideError):
        socket.getaddrinfo("example.com", 443)


async def test_nor_can_async_code() -> None:
    with pytest.raises(OutsideError):
        await asyncio.open_connection(OUTSIDE, 80)


@pytest.mark.parametrize(("ci", "outcome"), [("true", "failed"), ("", "skipped")])
def test_a_skip_fails_on_ci_only(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str) -> None:
    monkeypatch.setenv("CI", ci)
    report = SimpleNamespace(outcome="skipped", skipped=True, longrepr=("file", 1, "no Chromium here"))
    assert fail_a_skip(report).outcome == outcome
    assert "no Chromium here" in str(report.longrepr)


def test_servers_end_with_their_block() -> None:
    with servers() as private:
        addresses = [private.database_url, private.redis_url]
        assert all(listens(address) for address in addresses)
    assert not any(listens(address) for address in addresses)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a death")
def test_servers_end_with_a_run_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_SERVERS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        addresses = run.stdout.readline().split()
        assert len(addresses) == 2
        os.kill(run.pid, signal.SIGKILL)
    until(lambda: not any(listens(address) for address in addresses), what="the servers to end")
