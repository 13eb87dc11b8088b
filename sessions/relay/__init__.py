"""The relay: one asyncio process that follows thousands of sessions on CMA and stores their events.

    membership   who this relay is: its row, epoch and heartbeat; in embedded mode a lock on the data folder
    claims       which sessions it follows: those without a living relay
    follower     one session, from its claim until it comes to rest
    launch       making the session on CMA, or finding the one whose answer was lost
    inputs       what goes in, in order
    endings      telling CMA that a session is over
    accounts     one client for each CMA account; `backoff`, how long to wait when it does not answer
    writer       what comes out: one transaction for all streams at a time, without a timer

`run(stop)` is all that the rest of the product knows of it. It may be killed at any time: another goes on where the
rows stand.
"""

from sessions.relay.process import run

__all__ = ["run"]
