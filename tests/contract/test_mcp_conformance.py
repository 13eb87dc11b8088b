"""The official MCP conformance suite against a test build of the fleet, for what applies to tools."""

import subprocess
from pathlib import Path

import pytest

from agents.models import MCPDeployment
from tests.conftest import on_ci
from tests.database import Committed
from tests.fleet import fleet_process, make_caller
from tests.product import environment_for
from tests.world import World

HERE = Path(__file__).parents[1] / "conformance"
MODULES = HERE / "node_modules"
OWN_NODE = MODULES / ".bin" / "node"  # because the suite needs a newer one than many machines have
NODE = str(OWN_NODE) if OWN_NODE.exists() else "node"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSTALL = "npm ci --ignore-scripts --prefix tests/conformance"
PASSED = {
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-error",
    "json-schema-2020-12",
    "dns-rebinding-protection",
}
SECONDS = 60


@pytest.mark.skipif(not SUITE.exists() and not on_ci(), reason=f"the conformance suite is not here: {INSTALL}")
def test_the_fleet_conforms(committed_db: Committed, committed_world: World, tmp_path: Path) -> None:
    assert SUITE.exists(), f"the conformance suite is not here: {INSTALL}"
    caller = make_caller(committed_world.bob, committed_world.platform)
    MCPDeployment.objects.filter(pk=caller.deployment.pk).update(template_kind="conformance")
    environment = environment_for(committed_db.folder, **committed_db.environment, POWERLOOM_DEV="1")
    server = ("-m", "tests.conformance.server", caller.bearer)
    with fleet_process(environment, tmp_path / "fleet.log", server) as running:
        url = f"{running.url}{caller.path}"
        failing, results = str(HERE / "expected-failures.yml"), str(tmp_path / "results")
        options = ["--suite", "all", "--expected-failures", failing, "-o", results]
        suite = subprocess.run(
            [NODE, str(SUITE), "server", "--url", url, *options],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert suite.returncode == 0, suite.stdout[-5000:] + suite.stderr[-2000:]
    for scenario in PASSED:
        assert f"✓ {scenario}: " in suite.stdout
