"""Listening for topics: one session for all waiters, open while there are any.

The session belongs to a thread of its own, whether threads or tasks wait.  Where it can't be
opened, or breaks, no waiter gets an error: waiters also check by themselves now and then, and a
notification only wakes them sooner.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from forgedb.drivers import forks
from forgedb.drivers.postgres.hosts import BlockingDialer, Hosts
from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.drivers.postgres.timelines import Server
from forgedb.drivers.postgres.timeouts import PatientConnection
from forgedb.drivers.sync_facade import finish
from forgedb.drivers.waiters import Waiter
from forgedb.operations.topics import Topic

LOCK = b"""
SELECT pg_try_advisory_lock_shared(class, hashtext(key))
FROM unnest(%s::integer[], %s::text[]) WITH ORDINALITY AS topic (class, key, number)
ORDER BY number
"""
"""It doesn't wait: whoever notifies of a topic holds the lock only for one statement."""

UNLOCK = b"""
SELECT pg_advisory_unlock_shared(class, hashtext(key))
FROM unnest(%s::integer[], %s::text[]) AS topic (class, key)
"""

HEARD_MAX = 200
"""How many topics are listened for at most: each takes one of a server's few thousand locks."""

LOCKED_SECONDS = 0.02
"""How soon to try again where another session held the lock."""

IDLE_SECONDS = 5.0
"""How long the session is kept after its last waiter is gone."""

AGAIN_SECONDS = 5.0
"""How soon to try again where the session couldn't be opened, or broke."""

CLOSE_SECONDS = 2.0
CUT_SECONDS = 0.5
NOTICE_SECONDS = 0.002
"""Closing waits CLOSE_SECONDS in all, cuts the connection after CUT_SECONDS, and checks every
NOTICE_SECONDS whether the thread has ended."""

CONNECTING = {
    "fallback_application_name": "forgedb, listening",
    # The session is mostly idle, and an idle connection may get lost without an error.
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""How to connect, unless the URL says otherwise."""


class Listener:
    """Wakes the waiters of a topic at its notifications."""

    def __init__(self, options: PostgresOptions, hosts: Hosts | None = None) -> None:
        self._options = options
        self._hosts = hosts or Hosts(options)
        self._lock = threading.Lock()
        self._waiters: dict[Topic, set[Waiter]] = {}
        self._heard: set[Topic] = set()
        """The topics whose lock is held, so that none of their notifications is missed; only the
        thread changes it."""
        self._over = False
        self._running = False
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None
        """A byte that is sent here wakes the thread."""
        self._raw: PatientConnection | None = None
        forks.watch(self)

    def add(self, topic: Topic, waiter: Waiter) -> None:
        """Wake the waiter at each notification from now on, and once when listening has begun."""
        with self._lock:
            if self._over or (self._running and waiter in self._waiters.get(topic, ())):
                return
            self._waiters.setdefault(topic, set()).add(waiter)
            if topic in self._heard:
                waiter.wake()
            elif self._running:
                self._wake_thread()
            else:
                self._start()

    def remove(self, topic: Topic, waiter: Waiter) -> None:
        """Wake it no more."""
        with self._lock:
            waiters = self._waiters.get(topic, set())
            waiters.discard(waiter)
            if not waiters and self._waiters.pop(topic, None) is not None:
                self._wake_thread()

    async def close(self, sleep: Callable[[float], Coroutine[Any, Any, None]]) -> None:
        """End the session and the thread, and wait for that, but not for a server that is stuck."""
        with self._lock:
            self._over = True
            self._wake_thread()
        began = time.monotonic()
        while self._thread is not None and self._thread.is_alive():
            passed = time.monotonic() - began
            if passed > CLOSE_SECONDS:
                return
            if passed > CUT_SECONDS:
                self._cut()
            await sleep(NOTICE_SECONDS)

    def forked(self) -> None:
        """Leave the session to the parent, in a child process; the thread isn't here."""
        self._lock = threading.Lock()
        self._over = True
        self._running = False
        self._waiters = {}
        self._waker = None
        if self._raw is not None and not self._raw.closed:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self._raw.pgconn.socket)
            os.close(nothing)

    def _start(self) -> None:
        try:
            wakeups, waker = socket.socketpair()
        except OSError:
            return
        for end in (wakeups, waker):
            end.setblocking(False)
        thread = threading.Thread(
            target=self._run, args=(wakeups,), name="forgedb-listener", daemon=True
        )
        self._waker, self._thread, self._running = waker, thread, True
        try:
            thread.start()
        except RuntimeError:
            # There are too many threads, or the interpreter is about to end.
            self._running, self._thread, self._waker = False, None, None
            wakeups.close()
            waker.close()

    def _wake_thread(self) -> None:
        if self._waker is not None:
            # If the socket is full, the thread has bytes to read, and wakes anyway.
            with suppress(BlockingIOError):
                self._waker.send(b"!")

    def _cut(self) -> None:
        """Cut the connection of the thread, which waits for the server."""
        with self._lock:
            if self._raw is None or self._raw.closed:
                return
            self._raw.cut()

    def _run(self, wakeups: socket.socket) -> None:
        with wakeups:
            while self._is_needed():
                try:
                    with self._connected() as (raw, server):
                        self._listen(raw, wakeups, server)
                except (psycopg.Error, OSError):
                    self._rest(wakeups)

    def _is_needed(self) -> bool:
        """Whether the thread is to go on; if not, it counts as ended from now on."""
        with self._lock:
            if self._waiters and not self._over:
                return True
            self._running = False
            waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()
        return False

    def _rest(self, wakeups: socket.socket) -> None:
        until = time.monotonic() + AGAIN_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(wakeups, selectors.EVENT_READ)
            while not self._over and (left := until - time.monotonic()) > 0:
                if selector.select(left):
                    _drain(wakeups)

    @contextmanager
    def _connected(self) -> Generator[tuple[PatientConnection, Server]]:
        given = conninfo_to_dict(self._options.conninfo)
        more: dict[str, Any] = {key: CONNECTING[key] for key in CONNECTING if key not in given}
        raw, server = finish(
            self._hosts.connect(
                BlockingDialer(PatientConnection),
                "",
                {"autocommit": True, "client_encoding": "UTF8", "prepare_threshold": None, **more},
            )
        )
        raw.call_seconds = self._options.call_timeout_seconds
        try:
            with self._lock:
                self._raw = raw
            yield raw, server
        finally:
            with self._lock:
                self._raw = None
                self._heard.clear()
            raw.close()

    def _listen(self, raw: psycopg.Connection[Any], wakeups: socket.socket, server: Server) -> None:
        """Listen while there are waiters, and IDLE_SECONDS longer."""
        if _is_pooled(raw):
            # A pooler may give this session to another client the next moment.
            self._over = True
            return
        raw.add_notify_handler(lambda notify: self._tell({(notify.channel, notify.payload)}))
        channels: set[str] = set()
        needed_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(raw.pgconn.socket, selectors.EVENT_READ)
            selector.register(wakeups, selectors.EVENT_READ)
            # An old primary gets no notification of what is done on the new one.
            while not (self._over or server.is_overtaken):
                is_complete = self._follow(raw, channels)
                now = time.monotonic()
                if self._waiters:
                    needed_at = now
                elif now - needed_at >= IDLE_SECONDS:
                    return
                self._tell(_notices(raw))
                selector.select(IDLE_SECONDS if is_complete else LOCKED_SECONDS)
                _drain(wakeups)
                raw.pgconn.consume_input()

    def _follow(self, raw: psycopg.Connection[Any], channels: set[str]) -> bool:
        """Listen for the topics that have waiters now; returns whether all locks were taken.

        ``channels`` are those that the session listens to already.
        """
        with self._lock:
            wanted = set(self._waiters)
            gone = self._heard - wanted
            self._heard -= gone
        if gone:
            raw.execute(UNLOCK, _locks(gone))
        new = [*(wanted - self._heard)][: HEARD_MAX - len(self._heard)]
        if not new:
            return True
        for channel in {topic.channel for topic in new} - channels:
            raw.execute(SQL("LISTEN {}").format(Identifier(channel)))
            channels.add(channel)
        tried = raw.execute(LOCK, _locks(new)).fetchall()
        locked = [topic for topic, (is_locked,) in zip(new, tried, strict=True) if is_locked]
        with self._lock:
            self._heard.update(locked)
        # Their waiters check once more: there was no notification of what ended before this.
        self._tell({(topic.channel, topic.key) for topic in locked})
        return len(locked) == len(new)

    def _tell(self, notices: Collection[tuple[str, str]]) -> None:
        """Wake the waiters of these notifications, each a channel and a payload."""
        if not notices:
            return
        with self._lock:
            for topic, waiters in self._waiters.items():
                if (topic.channel, topic.key) in notices:
                    for waiter in waiters:
                        waiter.wake()


def _is_pooled(raw: psycopg.Connection[Any]) -> bool:
    """Whether a pooler is in between: then it gave another process id than the server has."""
    row = raw.execute(b"SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != raw.info.backend_pid


def _notices(raw: psycopg.Connection[Any]) -> set[tuple[str, str]]:
    """The notifications since the last call: channels and payloads."""
    found: set[tuple[str, str]] = set()
    while (notify := raw.pgconn.notifies()) is not None:
        found.add((notify.relname.decode(), notify.extra.decode()))
    return found


def _locks(topics: Collection[Topic]) -> list[list[Any]]:
    """The two keys of each topic's lock, as two columns."""
    return [[topic.lock_class for topic in topics], [topic.key for topic in topics]]


def _drain(wakeups: socket.socket) -> None:
    with suppress(BlockingIOError):
        while wakeups.recv(1024):
            pass
