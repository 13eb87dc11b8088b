"""The socket under a connection, cut when a block takes too long or is sent too much."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any  # rows of any shape

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

LOOK = 0.02  # seconds between looks at how much has come
RECEIVED = 128  # where Linux keeps the count of received bytes in TCP_INFO


class Flooded(Exception):
    """A block was sent more than it may be."""


@contextmanager
def cut_after(seconds: float, connection: Connection) -> Iterator[None]:
    """End a connection under a block that takes too long.

    Cancelling a task is not enough: psycopg then waits until the server has confirmed, and not every server does.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _cut, connection)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def cut_beyond(most: int, connection: Connection) -> Iterator[Flood]:
    """End a connection under a block that is sent more bytes than this.

    A value comes as a whole and may have a gigabyte, made of a short statement; so they are counted where they arrive.
    """
    flood = Flood(connection, most)
    try:
        yield flood
    finally:
        flood.timer.cancel()


@contextmanager
def refused_beyond(most: int, connection: Connection) -> Iterator[None]:
    """As `cut_beyond`, and raises `Flooded`: also when all of it came between two looks."""
    with cut_beyond(most, connection) as flood:
        try:
            yield
        except psycopg.Error:
            if flood.is_over:
                raise Flooded from None
            raise
        if flood.is_over or flood.is_beyond():
            raise Flooded


class Flood:
    """Looks again and again until there was too much, or its timer is cancelled."""

    def __init__(self, connection: Connection, most: int) -> None:
        self.connection = connection
        self.most = _received(connection) + most
        self.is_over = False
        self._wait()

    def _wait(self) -> None:
        self.timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def is_beyond(self) -> bool:
        """Tell whether there was too much."""
        return not self.connection.closed and _received(self.connection) > self.most

    def _look(self) -> None:
        if self.connection.closed:
            return
        if self.is_beyond():
            self.is_over = True
            _cut(self.connection)
        else:
            self._wait()


def _received(connection: Connection) -> int:
    """Return how many bytes have come on a connection, where the system counts them."""
    if sys.platform != "linux":
        return 0
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RECEIVED + 8)
    count: int = struct.unpack_from("=Q", told, RECEIVED)[0] if len(told) == RECEIVED + 8 else 0
    return count


def _cut(connection: Connection) -> None:
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.fileno())) as line, suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
