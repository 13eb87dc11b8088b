"""A Python program that is loaded once and run many times, each time in a process of its own that is forked from the
loaded one: most of the time of a short command goes into its imports.

    with Forked(Path("bin/weave"), "powerloom.cli.main", environment, seconds=60) as weave:
        weave("login", "--dev").stdout

It runs the program's installed script, as a shell does, with its own interpreter, environment, input and exit status.
That interpreter need not be ours, so this file, which it runs as well, imports nothing but the standard library.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self


class Forked:
    """The script of a program, with the module in which its imports are. `seconds` is the longest a run may last."""

    def __init__(self, script: Path, module: str, environment: Mapping[str, str], *, seconds: int) -> None:
        self._script = script
        self._folder = tempfile.TemporaryDirectory()
        self._loaded = subprocess.Popen(
            [str(script.parent / "python"), __file__, str(script), module, str(seconds)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loaded.communicate()
        self._folder.cleanup()

    def __call__(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end. A run that lasts too long is ended by SIGALRM."""
        assert self._loaded.stdin
        assert self._loaded.stdout
        stdin, stdout, stderr = (Path(self._folder.name, name) for name in ("stdin", "stdout", "stderr"))
        stdin.write_text(given)
        asked = {"arguments": arguments, "files": [str(path) for path in (stdin, stdout, stderr)]}
        self._loaded.stdin.write(f"{json.dumps(asked)}\n")
        self._loaded.stdin.flush()
        answer = self._loaded.stdout.readline()
        assert answer, f"{self._script} does not load: {self._loaded.wait()}"
        return subprocess.CompletedProcess(
            [str(self._script), *arguments], int(answer), stdout.read_text(), stderr.read_text()
        )


def serve(script: str, module: str, seconds: int) -> None:
    """Load the module, then answer each line of standard input with the exit status of the run that it asks for."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    sys.path[0] = str(Path(script).parent)  # as if Python had been given the script and not this file
    signal.alarm(seconds)
    import_module(module)
    signal.alarm(0)
    for line in requests:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            become(asked["files"])
            signal.alarm(seconds)
            sys.argv = [script, *asked["arguments"]]
            runpy.run_path(script, run_name="__main__")
            return
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def become(files: list[str]) -> None:
    """Have these files as standard input, output and error."""
    modes = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC] * 2)
    for number, (path, mode) in enumerate(zip(files, modes, strict=True)):
        opened = os.open(path, mode, 0o600)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
