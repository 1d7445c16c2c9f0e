"""The hosts of a URL, and to which of them a new connection goes: one that takes writes, if any.

libpq would take the first that answers.  Here the primary is looked for, and a primary on a lower
timeline than one seen before is passed over.
"""

from __future__ import annotations

import os
import random
import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, inf
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar

import psycopg
from psycopg.conninfo import (
    conninfo_attempts,
    conninfo_attempts_async,
    conninfo_to_dict,
    make_conninfo,
)
from psycopg.pq import PGconn

from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.drivers.postgres.timelines import OldTimeline, Server, Timelines
from forgedb.drivers.postgres.timeouts import (
    Overdue,
    PatientAsyncConnection,
    PatientConnection,
    is_answered,
)
from forgedb.operations.call_timeout import at_most

C = TypeVar("C", bound=PatientConnection | PatientAsyncConnection)

Params = dict[str, Any]

CONNECT_SECONDS_MIN = 2
"""For one host; libpq doesn't wait less."""

SILENT_SECONDS = 30.0
"""For how long a host that didn't answer is tried after the others."""

_STARTING_UP = ("is starting up", "in recovery mode", "not yet accepting connections")
_STOPPING = ("is shutting down", "terminating connection")
_FULL = ("too many", "connection slots")
"""Parts of the messages with which a server refuses a connection for now: there psycopg has no
SQLSTATE."""

_WRITES = ("read-write", "primary")
"""The values of target_session_attrs that ask for the primary."""


class Host(NamedTuple):
    """One address of a server; ``params`` go in the place of the URL's own hosts."""

    shown: str
    params: Params


class NoHost(psycopg.OperationalError):
    """No host of the URL could be used; ``refused`` has them all, each with its reason."""

    def __init__(self, refused: Sequence[tuple[str, psycopg.Error]]) -> None:
        super().__init__("; ".join(f"{host}: {said(error)}" for host, error in refused))
        self.refused = refused


class Dialer(ABC, Generic[C]):
    """How connections are opened, for threads or for tasks, behind the same coroutines."""

    def __init__(self, connection_class: type[C]) -> None:
        self._class: Any = connection_class

    @abstractmethod
    async def resolve(self, params: Params) -> list[Params]:
        """The parameters, once for each address of the host's name."""

    @abstractmethod
    async def connect(self, url: str, params: Mapping[str, Any]) -> C: ...

    @abstractmethod
    async def ask(self, raw: C, text: LiteralString) -> Any:
        """Send statements in one round trip; returns a cursor."""

    @abstractmethod
    async def close(self, raw: C) -> None: ...


class BlockingDialer(Dialer[PatientConnection]):
    """For threads."""

    async def resolve(self, params: Params) -> list[Params]:
        return conninfo_attempts(params)

    async def connect(self, url: str, params: Mapping[str, Any]) -> PatientConnection:
        raw: PatientConnection = self._class.connect(url, **params)
        return raw

    async def ask(self, raw: PatientConnection, text: LiteralString) -> Any:
        return raw.execute(text)

    async def close(self, raw: PatientConnection) -> None:
        raw.close()


class AwaitedDialer(Dialer[PatientAsyncConnection]):
    """For tasks."""

    async def resolve(self, params: Params) -> list[Params]:
        return await conninfo_attempts_async(params)

    async def connect(self, url: str, params: Mapping[str, Any]) -> PatientAsyncConnection:
        raw: PatientAsyncConnection = await self._class.connect(url, **params)
        return raw

    async def ask(self, raw: PatientAsyncConnection, text: LiteralString) -> Any:
        return await raw.execute(text)

    async def close(self, raw: PatientAsyncConnection) -> None:
        await raw.close()


class Hosts:
    """What is known of a URL's hosts; threads share it."""

    def __init__(self, options: PostgresOptions, timelines: Timelines | None = None) -> None:
        self.timelines = timelines or Timelines()
        self.are_several = False
        self.seeks_primary = False
        """Whether there are several hosts, and the primary is wanted."""
        self.has_primary = False
        """Whether a primary was found at the last search."""
        self.passed_over = ""
        """Why each of the others isn't the primary, where none was found."""
        self._options = options
        self._looked = False
        """Whether all hosts were tried since a connection was last lost."""
        self._last = ""
        """The host of the last connection."""
        self._silent: dict[str, float] = {}
        """When a host last didn't answer, by its name."""

    def look_again(self) -> None:
        """Try all hosts for the next connection, since a connection was lost."""
        self._looked = False

    async def connect(
        self, dialer: Dialer[C], settings: LiteralString, given: Mapping[str, Any]
    ) -> tuple[C, Server]:
        """A new connection, and which server it leads to; ``settings`` are made on it.

        Raises psycopg.Error: NoHost where each of several was refused.
        """
        named = _expanded(self._options.conninfo)
        hosts, refused = await self._resolved(dialer, named)
        seconds = self._share(len(hosts))
        if "connect_timeout" not in named:
            given = {**given, "connect_timeout": seconds}
        looks_at_all = not self._looked
        found: list[tuple[C, Server]] = []
        chosen: C | None = None
        try:
            for host in self._in_order(hosts):
                has_primary = any(_takes_writes(server) for _, server in found)
                if has_primary and (not looks_at_all or self._is_silent(host)):
                    continue
                try:
                    with at_most(seconds):
                        raw, server = await self._reached(dialer, host, settings, given)
                except psycopg.Error as error:
                    refused.append((host.shown, error))
                    # The last connection's host fails now: another may be the primary.
                    looks_at_all = looks_at_all or host.shown == self._last
                    continue
                found.append((raw, server))
                if not (self.seeks_primary or server.is_overtaken):
                    break
            chosen, server = self._choice(found, refused)
            if server.in_recovery or looks_at_all:
                self._looked = not server.in_recovery
            server.has_others = self.seeks_primary
            return chosen, server
        finally:
            for raw, _ in found:
                if raw is not chosen:
                    await dialer.close(raw)

    async def _resolved(
        self, dialer: Dialer[C], named: Params
    ) -> tuple[list[Host], list[tuple[str, psycopg.Error]]]:
        """Each address of each host, and the hosts that have none."""
        target = named.get("target_session_attrs", "any")
        hosts: list[Host] = []
        refused: list[tuple[str, psycopg.Error]] = []
        several = False
        split = _split(named)
        for params in split:
            # It has nothing to do with a name's addresses; left out, the environment's would apply.
            asked = {**params, "target_session_attrs": "any"}
            try:
                resolved = await dialer.resolve(asked)
            except psycopg.OperationalError as error:
                refused.append((_shown(params), error))
                continue
            addresses = [each.get("hostaddr", "") for each in resolved]
            # One IPv4 and one IPv6 address are mostly one machine.
            kinds = Counter(":" in address for address in addresses)
            several = several or max(kinds.values()) > 1
            for address in addresses:
                there = {**params, "hostaddr": address} if address else params
                hosts.append(Host(_shown(there), there))
        self.are_several = several or len(split) > 1
        self.seeks_primary = self.are_several and (
            target in _WRITES or (target == "any" and not _is_asked_for(self._options.conninfo))
        )
        if named.get("load_balance_hosts") == "random":
            random.shuffle(hosts)
        if target == "prefer-standby":
            # As libpq does: any host, where no standby is found.
            hosts = [
                Host(host.shown, {**host.params, "target_session_attrs": target})
                for target in ("standby", "any")
                for host in hosts
            ]
        return hosts, refused

    def _share(self, count: int) -> int:
        """How many seconds each of the hosts may take to answer."""
        seconds = self._options.pool_timeout_seconds
        return ceil(seconds) if count < 2 else max(CONNECT_SECONDS_MIN, int(seconds / count))

    def _in_order(self, hosts: Sequence[Host]) -> list[Host]:
        return sorted(hosts, key=self._is_silent)

    def _is_silent(self, host: Host) -> bool:
        return time.monotonic() - self._silent.get(host.shown, -inf) < SILENT_SECONDS

    async def _reached(
        self, dialer: Dialer[C], host: Host, settings: LiteralString, given: Mapping[str, Any]
    ) -> tuple[C, Server]:
        try:
            raw = await dialer.connect(self._options.conninfo, {**given, **host.params})
            try:
                # A pooler may accept the connection, and have no server for its first statement.
                server = await self._asked(dialer, raw, host, settings)
            except BaseException:
                await dialer.close(raw)
                raise
        except (psycopg.errors.ConnectionTimeout, Overdue):
            self._silent[host.shown] = time.monotonic()
            raise
        self._silent.pop(host.shown, None)
        return raw, server

    async def _asked(
        self, dialer: Dialer[C], raw: C, host: Host, settings: LiteralString
    ) -> Server:
        """Make the settings, and learn in the same round trip which server this is."""
        questions = self.timelines.questions
        last, _ = questions[-1]
        for number, question in questions:
            try:
                cursor = await dialer.ask(raw, f"{settings}; {question}" if settings else question)
            except psycopg.Error as error:
                if number == last or raw.closed or isinstance(error, Overdue):
                    raise
                self.timelines.refused(number, error)
            else:
                while cursor.nextset():
                    pass
                row = [cursor.pgresult.get_value(0, column) for column in range(3)]
                return self.timelines.see(host.shown, row)
        raise AssertionError("the last question's answer is returned, or raised")

    def _choice(
        self, found: Iterable[tuple[C, Server]], refused: list[tuple[str, psycopg.Error]]
    ) -> tuple[C, Server]:
        """The first primary that isn't on an old timeline, or else a standby."""
        fit: list[tuple[C, Server]] = []
        for raw, server in found:
            if server.is_overtaken:
                refused.append((server.host, OldTimeline(server)))
            else:
                fit.append((raw, server))
        if not fit:
            self.has_primary = False
            self._last = ""
            if len(refused) == 1:
                raise refused[0][1].with_traceback(None)
            raise NoHost(refused)
        raw, server = min(fit, key=lambda each: each[1].in_recovery)
        self.has_primary = not server.in_recovery
        self._last = server.host
        standbys = [f"{each.host}: in recovery" for _, each in fit if each.in_recovery]
        others = [f"{host}: {said(error)}" for host, error in refused]
        self.passed_over = "; ".join([*standbys, *others])
        return raw, server


def _takes_writes(server: Server) -> bool:
    return not (server.in_recovery or server.is_overtaken)


def said(error: psycopg.Error) -> str:
    """The message of the server or of libpq on one line, without libpq's prefix."""
    words = " ".join(str(error).split())
    return re.sub(r"^connection failed: connection to server (?:at|on) .+? failed: ", "", words)


def may_pass(error: psycopg.Error) -> bool:
    """Whether a connection that was refused may succeed later, to one host at least."""
    if isinstance(error, NoHost):
        return any(may_pass(each) for _, each in error.refused)
    return not is_answered(error) or _says(str(error), *_STARTING_UP, *_STOPPING, *_FULL)


def is_starting(error: psycopg.Error) -> bool:
    """Whether the server is starting up."""
    return _says(str(error), *_STARTING_UP)


def _says(words: str, *reasons: str) -> bool:
    return any(reason in words for reason in reasons)


def _expanded(url: str) -> Params:
    """What libpq makes of the URL, the environment and a service file."""
    # libpq tells it of an attempt to connect; the wrong sslmode ends this one before it begins.
    attempt = PGconn.connect_start(make_conninfo(url, sslmode="none such").encode())
    try:
        options = [(each.keyword, each.val) for each in attempt.info]
    finally:
        attempt.finish()
    return {keyword.decode(): value.decode() for keyword, value in options if value}


def _is_asked_for(url: str) -> bool:
    """Whether target_session_attrs was given, and isn't libpq's default."""
    return "target_session_attrs" in conninfo_to_dict(url) or "PGTARGETSESSIONATTRS" in os.environ


def _split(named: Params) -> list[Params]:
    """The parameters of each host; lists of different lengths are left for libpq to refuse."""
    hosts, addresses, ports = (
        named[each].split(",") if each in named else [""] for each in ("host", "hostaddr", "port")
    )
    count = max(len(hosts), len(addresses))
    lists = (
        hosts if "host" in named else [""] * count,
        addresses if "hostaddr" in named else [""] * count,
        ports if len(ports) > 1 else ports * count,
    )
    if any(len(each) != count for each in lists):
        return [{}]
    return [
        {"host": host, "hostaddr": address, "port": port}
        for host, address, port in zip(*lists, strict=True)
    ]


def _shown(params: Params) -> str:
    host, address, port = (params.get(each, "") for each in ("host", "hostaddr", "port"))
    name = host or address or "the server's own socket"
    if address and address != host and host:
        name = f"{host} ({address})"
    return f"{name}:{port}" if port else name
