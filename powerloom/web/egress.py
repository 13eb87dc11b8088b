"""The way out of the house for every address that a user gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """Where outbound calls may go besides public addresses: private ones of hosts that match a pattern, and this
    machine itself.
    """

    private_hosts: tuple[str, ...] = ()
    loopback: bool = False
