"""A process that was told to stop leaves in time, whatever hangs in it and whoever reads no more of what it says."""

import subprocess
import sys

import pytest

HANGING = """
import threading
import django
from powerloom.kernel import leaving
django.setup()
leaving.SECONDS = 0.1
threading.Thread(target=threading.Event().wait, name="stubborn").start()
leaving.leave_in_time({end})
"""
ENDS = {"": 0, "lambda: leaving.leave(4)": 4}
PATIENCE = 60


def begin(end: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", HANGING.format(end=end)], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("end", "status"), ENDS.items())
def test_it_says_what_hangs_and_ends_as_it_should(end: str, status: int) -> None:
    with begin(end) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert "is cut off where it stands" in said
    assert "stubborn" in said


def test_it_ends_though_nobody_reads_what_it_says() -> None:
    with begin("lambda: leaving.leave(4)") as process:
        assert process.stderr
        process.stderr.close()
        assert process.wait(PATIENCE) == 4
