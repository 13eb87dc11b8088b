"""Whether a port can be had, asked before anything is started."""

from __future__ import annotations

import socket


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
