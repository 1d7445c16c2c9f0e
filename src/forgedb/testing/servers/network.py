"""A network between a program and a server that can be made to fail: a TCP relay on loopback.

It knows no protocol, but can delay what it carries, and cut a connection where certain bytes pass.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Network"]

T = TypeVar("T")

Side = Literal["client", "server"]

CHUNK_BYTES = 65536

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, and data under way is lost."""

STEP_SECONDS_MAX = 30.0


class _Line(NamedTuple):
    """One relayed connection."""

    client: socket.socket
    server: socket.socket

    def side(self, end: socket.socket) -> Side:
        return "client" if end is self.client else "server"

    def other(self, end: socket.socket) -> socket.socket:
        return self.server if end is self.client else self.client


class _Parcel(NamedTuple):
    """Bytes under way on a slow network; ``end`` is the socket that they came from."""

    due_at: float
    line: _Line
    end: socket.socket
    data: bytes


class Network:
    """A context manager: a relay to the server of a URL, whose methods make it fail.

    One thread owns all sockets and carries out the methods; when a method returns, it has taken
    effect.
    """

    def __init__(self, server_url: str) -> None:
        self._parts = urlsplit(server_url)
        assert self._parts.hostname is not None
        assert self._parts.port is not None
        self._server = (self._parts.hostname, self._parts.port)
        self._listener = _listening(0)
        self.port: int = self._listener.getsockname()[1]
        self._lines: list[_Line] = []
        self._delay_seconds = 0.0
        self._under_way: deque[_Parcel] = deque()
        self._stalled = False
        self._refusing = False
        self._said_instead: list[bytes] = []
        self._cut_instead: tuple[Side, bytes] | None = None
        self._cut_after: tuple[Side, int] | None = None
        self._selector = selectors.DefaultSelector()
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waker, self._wakeups = socket.socketpair()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="network")

    def __enter__(self) -> Network:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wakeups, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ordered(self._end)
        self._thread.join()
        self._selector.close()
        self._waker.close()
        self._wakeups.close()

    def url(self, url: str) -> str:
        """The URL, of a database of the server, through this network."""
        user = url.partition("//")[2].rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{self.port}" if user else f"127.0.0.1:{self.port}"
        return urlunsplit(urlsplit(url)._replace(netloc=netloc))

    def cut(self) -> None:
        """Reset every connection."""
        self._ordered(self._cut_all)

    def delay(self, seconds: float) -> None:
        """Delay everything from now on by so much, in both directions."""

        def order() -> None:
            self._delay_seconds = seconds

        self._ordered(order)

    def stall(self) -> None:
        """Carry nothing any more, with the connections left open."""
        self._ordered(lambda: self._flow(stalled=True))

    def flow(self) -> None:
        """Carry everything again, what was held back by ``stall`` included."""
        self._ordered(lambda: self._flow(stalled=False))

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._ordered(self._refuse)

    def accept(self) -> None:
        """Take new connections again."""
        self._ordered(self._accept_again)

    def say_instead(self, *messages: bytes) -> None:
        """Answer each of the next connections with one of these messages, and close it."""
        self._ordered(lambda: self._said_instead.extend(messages))

    def cut_instead_of(self, side: Side, message: bytes) -> None:
        """Lose the next message from that side that has these bytes, and cut its connection."""

        def order() -> None:
            self._cut_instead = (side, message)

        self._ordered(order)

    def cut_after(self, side: Side, count: int) -> None:
        """Carry so many more bytes from that side, over all connections; then cut the last one."""

        def order() -> None:
            self._cut_after = (side, count)

        self._ordered(order)

    def mend(self) -> bool:
        """Cancel the cuts that were ordered; return whether one had not happened yet."""

        def order() -> bool:
            to_come = self._cut_after is not None or self._cut_instead is not None
            self._cut_after = self._cut_instead = None
            return to_come

        return self._ordered(order)

    def _ordered(self, order: Callable[[], T]) -> T:
        """Run the order in the relay's thread, and return its result."""
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(order())
            except BaseException as error:  # noqa: BLE001 - raised where it was ordered
                done.set_exception(error)

        self._orders.put(call)
        self._waker.send(b"!")
        return done.result(STEP_SECONDS_MAX)

    def _run(self) -> None:
        while not self._over:
            for key, _ in self._selector.select(self._deliver()):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._wakeups:
                    self._wakeups.recv(1)
                    self._orders.get()()
                elif end is self._listener:
                    self._connect()
                elif key.data in self._lines:
                    self._carry(key.data, end)

    def _deliver(self) -> float | None:
        """Deliver the delayed bytes that are due; return the seconds until the next, or None."""
        while self._under_way:
            seconds = self._under_way[0].due_at - time.monotonic()
            if seconds > 0:
                return seconds
            parcel = self._under_way.popleft()
            if parcel.line in self._lines:
                self._hand_over(parcel.line, parcel.end, parcel.data)
        return None

    def _connect(self) -> None:
        client, _ = self._listener.accept()
        if self._said_instead:
            with client:
                client.recv(CHUNK_BYTES)
                client.sendall(self._said_instead.pop(0))
            return
        try:
            server = socket.create_connection(self._server, STEP_SECONDS_MAX)
        except OSError:
            client.close()
            return
        line = _Line(client, server)
        for end in line:
            end.settimeout(STEP_SECONDS_MAX)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._stalled:
                self._selector.register(end, selectors.EVENT_READ, line)
        self._lines.append(line)

    def _carry(self, line: _Line, end: socket.socket) -> None:
        try:
            data = end.recv(CHUNK_BYTES)
        except OSError:
            data = b""
        if self._delay_seconds or self._under_way:
            due_at = time.monotonic() + self._delay_seconds
            self._under_way.append(_Parcel(due_at, line, end, data))
            if not data:
                self._selector.unregister(end)
            return
        self._hand_over(line, end, data)

    def _hand_over(self, line: _Line, end: socket.socket, data: bytes) -> None:
        carried = self._carried(line.side(end), data)
        try:
            line.other(end).sendall(data[:carried])
        except OSError:
            carried = -1
        if not data or carried < len(data):
            self._cut(line)

    def _carried(self, side: Side, data: bytes) -> int:
        """How many of the bytes are to be carried before a cut."""
        if self._cut_instead is not None:
            from_side, message = self._cut_instead
            if side == from_side and message in data:
                self._cut_instead = None
                return 0
        if self._cut_after is not None:
            from_side, count = self._cut_after
            if side == from_side and len(data) > count:
                self._cut_after = None
                return count
            if side == from_side:
                self._cut_after = (side, count - len(data))
        return len(data)

    def _cut(self, line: _Line) -> None:
        self._lines.remove(line)
        for end in line:
            if end in self._selector.get_map():
                self._selector.unregister(end)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()

    def _cut_all(self) -> None:
        for line in list(self._lines):
            self._cut(line)

    def _flow(self, *, stalled: bool) -> None:
        if stalled == self._stalled:
            return
        self._stalled = stalled
        for line in self._lines:
            for end in line:
                if stalled:
                    if end in self._selector.get_map():
                        self._selector.unregister(end)
                else:
                    self._selector.register(end, selectors.EVENT_READ, line)

    def _refuse(self) -> None:
        if not self._refusing:
            self._refusing = True
            self._selector.unregister(self._listener)
            self._listener.close()
        self._cut_all()

    def _accept_again(self) -> None:
        if self._refusing:
            self._refusing = False
            self._listener = _listening(self.port)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _end(self) -> None:
        self._refuse()
        self._over = True


def _listening(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port))
    listener.listen(100)
    return listener
