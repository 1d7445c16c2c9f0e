"""A process of a soak, from the attacker's side: its orders, its log, and why it ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from forgedb.testing.soak.orders import Orders
from forgedb.testing.soak.worker import Line

_decode = msgspec.json.Decoder(Line).decode


class Process:
    """A process of clients; remembers how far its log was read."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self._log = Path(orders.log)
        self._errors = self._log.with_suffix(".errors")
        with self._errors.open("wb") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "forgedb.testing.soak.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self._bytes_read = 0
        # Not as an argument: a URL may hold a password.
        self._tell(msgspec.json.encode(orders))

    def begin(self, until: float) -> None:
        """Have its clients begin as soon as it is ready, and end at ``until``."""
        self._tell(msgspec.json.encode(until))

    def _tell(self, line: bytes) -> None:
        assert self.popen.stdin is not None
        # The process may have died already; whoever waits for it finds out.
        with suppress(BrokenPipeError):
            self.popen.stdin.write(line + b"\n")
            self.popen.stdin.flush()

    def is_ready(self) -> bool:
        """Whether it has begun its log, or has ended."""
        return self._log.exists() or self.popen.poll() is not None

    def clients(self) -> list[str]:
        """The names of its clients."""
        return [self.orders.client(number) for number in range(self.orders.clients)]

    def lines(self) -> Iterator[Line]:
        """The lines that were added to its log since the last call."""
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._bytes_read)
            text = file.read()
        whole, newline, _ = text.rpartition(b"\n")
        self._bytes_read += len(whole) + len(newline)
        yield from map(_decode, whole.splitlines())

    def kill(self) -> None:
        """Send SIGKILL, which nothing in the process notices, and wait for its end."""
        self.popen.kill()
        self.wait()

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status.  Raises subprocess.TimeoutExpired."""
        status = self.popen.wait(seconds)
        assert self.popen.stdin is not None
        with suppress(BrokenPipeError):
            self.popen.stdin.close()
        return status

    def errors(self) -> str:
        """What it wrote to its standard error."""
        return self._errors.read_text(errors="replace").strip()
