"""One watch per process: looks once a second at the organizations whose pages are open, and tells the pages what kinds
of things changed there. Nobody rings it, so it hears of every process's writes alike, and a look that fails is made up
for by the next.

Before a page is told anything, its sign-in is asked after, at most every few seconds: once it is over, so is the page's
socket.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError

from powerloom.kernel.refs import Actor
from powerloom.web.threads import DatabaseThread
from sessions.changes import Mark, kinds_between, marks_of
from sessions.queries import still_visible

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SIGN_IN_SECONDS = 5.0
TROUBLE = (OperationalError, InterfaceError)


class Watcher(ABC):
    """A page that wants to know. `actor` is who looks at it, `session_key` the console session by which it came."""

    def __init__(self, organization_id: UUID, actor: Actor, session_key: str) -> None:
        self.organization_id = organization_id
        self.actor = actor
        self.session_key = session_key

    @abstractmethod
    async def tell(self, kinds: Collection[str]) -> None:
        """Things of these kinds changed."""

    @abstractmethod
    async def sign_out(self) -> None:
        """The sign-in is over."""


class Watch:
    """The watch of one event loop; it looks while anybody wants to know."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._marks: dict[UUID, Mark] = {}
        self._good_until: dict[tuple[Actor, str], float] = {}
        self._task: asyncio.Task[None] | None = None
        self._thread = DatabaseThread("pages-watch")
        self._asked = asyncio.Event()

    def add(self, watcher: Watcher) -> None:
        """Tell a page from now on."""
        self._watchers.add(watcher)
        self._asked.set()
        if self._task is None or self._task.done():
            self._thread = DatabaseThread("pages-watch")
            self._task = asyncio.create_task(self._run())

    def remove(self, watcher: Watcher) -> None:
        """Forget a page."""
        self._watchers.discard(watcher)
        self._asked.set()

    async def _run(self) -> None:
        try:
            while self._watchers:
                self._asked.clear()
                try:
                    await self._look()
                except TROUBLE as error:
                    log.warning("The database does not answer the pages' watch: %s", type(error).__name__)
                await self._pause()
        finally:
            self._task = None
            self._marks.clear()
            self._good_until.clear()
            await asyncio.shield(self._thread.close())

    async def _pause(self) -> None:
        """Wait for the next look; not for long when an organization is new, or nobody is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LOOK_SECONDS
        while (left := until - loop.time()) > 0 and self._watchers:
            try:
                async with asyncio.timeout(left):
                    await self._asked.wait()
            except TimeoutError:
                return
            self._asked.clear()
            if any(one.organization_id not in self._marks for one in self._watchers):
                return

    async def _look(self) -> None:
        organizations = {one.organization_id for one in self._watchers}
        marks = await self._thread.run(marks_of, organizations)
        for id_, mark in marks.items():
            before = self._marks.get(id_, mark)
            if mark != before:
                await self._tell(id_, await self._thread.run(kinds_between, id_, before, mark))
        self._marks = marks  # only now: what could not be told is told by the next look

    async def _tell(self, organization_id: UUID, kinds: set[str]) -> None:
        if not kinds:
            return
        for watcher in [one for one in self._watchers if one.organization_id == organization_id]:
            if await self._is_signed_in(watcher):
                await watcher.tell(sorted(kinds))
            else:
                self.remove(watcher)
                await watcher.sign_out()

    async def _is_signed_in(self, watcher: Watcher) -> bool:
        now = asyncio.get_running_loop().time()
        viewer = (replace(watcher.actor, request_id="", address=""), watcher.session_key)
        if self._good_until.get(viewer, now) > now:
            return True
        self._good_until = {known: until for known, until in self._good_until.items() if until > now}
        if await self._thread.run(still_visible, watcher.actor, [], watcher.session_key) is None:
            return False
        self._good_until[viewer] = now + SIGN_IN_SECONDS
        return True


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch() -> Watch:
    """Return the watch of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        _watches[loop] = Watch()
    return _watches[loop]
