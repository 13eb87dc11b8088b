"""Becomes another program, as another user if asked, that ends when its parent does, even if the parent is killed.

    python tests/launch.py PARENT UID GID COMMAND...        (UID and GID -1: stay who we are)

A program of its own rather than a function run after fork: the parent may have threads by then.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2), Linux only


def main(parent: int, uid: int, gid: int, command: list[str]) -> None:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # Last, because a change of user clears it. SIGINT is PostgreSQL's fast shutdown and pytest's Ctrl-C.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a background job would otherwise hand down as ignored
    os.execvp(command[0], command)  # noqa: S606 - becoming it is the point, and there is no shell to fool


if __name__ == "__main__":
    parent, uid, gid = map(int, sys.argv[1:4])
    main(parent, uid, gid, sys.argv[4:])
