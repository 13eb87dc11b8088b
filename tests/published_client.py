"""The published client `weave` 0.7.26 (`loomcli`), run as an operator's shell runs it.

It is somebody else's program under a licence of its own, installed beside the tests and never a dependency.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.forked import Forked

FOLDER = Path(__file__).parent / "foreign_client"
WEAVE = FOLDER / ".venv" / "bin" / "weave"
INSTALL = "python3 -m venv tests/foreign_client/.venv && tests/foreign_client/.venv/bin/pip install loomcli==0.7.26"
ABSENT = f"the published client is not here: {INSTALL}"
SECONDS = 600


class Weave:
    """The client as an operator's shell has it: its own folder, its own sign-in, JSON where it can be read."""

    def __init__(self, url: str, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POWERLOOM_")}
        self._environment = {
            **kept,
            "PATH": f"{WEAVE.parent}{os.pathsep}{os.environ['PATH']}",
            "POWERLOOM_HOME": str(home),
            "POWERLOOM_API_BASE_URL": f"{url}/api",
            "POWERLOOM_FORMAT": "table",
            "POWERLOOM_QUIET_AUTO_JSON": "1",
            "COLUMNS": "400",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        self._loaded: Forked | None = None

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Load the client once for all commands of the block."""
        with Forked(WEAVE, "loomcli.cli", self._environment, seconds=SECONDS) as loaded:
            self._loaded = loaded
            try:
                yield
            finally:
                self._loaded = None

    def __call__(self, *arguments: str) -> str:
        """Run one command that must succeed, and return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"weave {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        if self._loaded:
            return self._loaded(*arguments)
        return subprocess.run(
            [str(WEAVE), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self("-o", "json", *arguments))

    def verbs(self, manifest: Path) -> set[str]:
        """Return what a plan would do."""
        return {action["verb"] for action in self.json("plan", str(manifest))["actions"]}
