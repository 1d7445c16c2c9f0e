"""Clients that write under leases: threads that share one handle, and tasks that share another."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from inspect import isawaitable
from typing import Any, Final

import forgedb
from forgedb import (
    AsyncDatabase,
    Database,
    ForgeDbError,
    LeaseHeld,
    LeaseLost,
    NewObject,
    NotFound,
    ObjectType,
    SigningKey,
    Ulid,
    Unavailable,
)
from forgedb.drivers.sync_facade import finish
from forgedb.testing.failover.ledger import Anchored, Ended, Granted, Ledger, Written
from forgedb.testing.history import Fault, Held, Lost, Refused, Write

THREADS: Final = 4
TASKS: Final = 4

TERM_SECONDS: Final = (0.2, 2.0)
"""The shortest and the longest lease: some outlast a failover, some don't."""

PAUSE_SECONDS_MAX: Final = 0.03
CHECKPOINT_SECONDS: Final = 0.3
SAFETY_SECONDS: Final = 0.001

ANSWER_SECONDS_MAX: Final = 10.0
"""The longest that a call may take, whatever happens to a server: ``call_timeout`` and the wait for
a connection of the pool."""

STOP_SECONDS_MAX: Final = 60.0

OPTIONS: Final = "connect_timeout=2&pool_max_size=8&pool_timeout=5&call_timeout=3"


class Client:
    """One client: it acquires a lease, writes, ends the lease, and records the answers.

    It is written once, as a coroutine: ``db`` may be a Database or an AsyncDatabase, and ``sleep``
    fits it.
    """

    def __init__(
        self,
        name: str,
        handle: str,
        db: Database | AsyncDatabase,
        sleep: Callable[[float], Awaitable[None]],
        repository_ids: Sequence[Ulid],
        chance: random.Random,
        ledger: Ledger,
    ) -> None:
        self.name = name
        self._handle = handle
        self._db: Any = db.acting_as(name)
        self._sleep = sleep
        self._repository_ids = repository_ids
        self._chance = chance
        self._ledger = ledger

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Go from lease to lease until it is over."""
        while not is_over():
            try:
                await self._turn(self._chance.choice(self._repository_ids))
            except Unavailable as error:
                if error.outcome != "not_committed":
                    self._ledger.observed.append(Lost(self.name))
                self._ledger.unavailable.append(error.why)
            except (LeaseHeld, LeaseLost, NotFound):
                # The lease is over, or was lost with a server: ask for a new one.
                pass
            except Exception:  # noqa: BLE001 - whatever it is, it has to be reported
                what = f"{self.name} failed: {traceback.format_exc()}"
                self._ledger.faults.append(Fault("answer", None, what))
            await self._sleep(self._chance.uniform(0, PAUSE_SECONDS_MAX))

    async def _turn(self, repository_id: Ulid) -> None:
        term = self._chance.uniform(*TERM_SECONDS)
        asked_at = time.monotonic()
        try:
            lease = await self._answer(
                self._db.leases.acquire, repository_id, duration=timedelta(seconds=term)
            )
        except LeaseHeld as held:
            left = held.retry_after.total_seconds()
            self._ledger.observed.append(
                Refused(repository_id, held.lease.id, asked_at, time.monotonic(), left)
            )
            if self._chance.random() < 0.02:
                await self._force(repository_id, held.lease.id)
            return
        answered_at = self._granted(lease, asked_at)
        try:
            for _ in range(self._chance.randint(0, 3)):
                await self._write(repository_id, lease.fencing_token)
        finally:
            until = min(time.monotonic(), asked_at + term - SAFETY_SECONDS)
            self._ledger.observed.append(
                Held(repository_id, lease.id, answered_at, max(answered_at, until))
            )
        choice = self._chance.random()
        if choice < 0.75:
            await self._release(repository_id, lease.id)
        elif choice < 0.92:
            asked_at = time.monotonic()
            heir = f"{self.name}'s heir"
            given = await self._answer(self._db.leases.handover, lease.id, heir)
            self._granted(given, asked_at)
            self._ledger.ended.append(Ended(repository_id, lease.id, time.monotonic()))
            await self._release(repository_id, given.id, heir)
        elif choice < 0.97:
            await self._force(repository_id, lease.id)

    def _granted(self, lease: forgedb.Lease, asked_at: float) -> float:
        now = time.monotonic()
        self._ledger.grant(
            Granted(
                self._handle,
                self.name,
                lease.repository_id,
                lease.id,
                lease.fencing_token,
                asked_at,
                now,
            )
        )
        return now

    async def _write(self, repository_id: Ulid, fencing_token: int) -> None:
        oid = self._chance.randbytes(20).hex()
        new = NewObject(oid, ObjectType.BLOB, 1)
        await self._answer(self._db.objects.add_many, repository_id, [new], fencing_token)
        self._ledger.written.append(Written(repository_id, oid, time.monotonic()))
        self._ledger.observed.append(Write(repository_id, self.name, fencing_token))

    async def _release(
        self, repository_id: Ulid, lease_id: Ulid, holder: str | None = None
    ) -> None:
        await self._answer(self._db.leases.release, lease_id, holder)
        self._ledger.ended.append(Ended(repository_id, lease_id, time.monotonic()))

    async def _force(self, repository_id: Ulid, lease_id: Ulid) -> None:
        await self._answer(self._db.leases.force_release, lease_id, "it is in the way")
        self._ledger.ended.append(Ended(repository_id, lease_id, time.monotonic()))

    async def _answer(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of a call, awaited if need be; a fault if the call took too long."""
        began_at = time.monotonic()
        try:
            value = call(*args, **kwargs)
            return await value if isawaitable(value) else value
        finally:
            seconds = time.monotonic() - began_at
            if seconds > ANSWER_SECONDS_MAX:
                what = f"{self.name} waited {seconds:.1f} s for {call.__name__}"
                self._ledger.faults.append(Fault("answer", None, what))


class Crowd:
    """A context manager: clients of one URL, as threads on one handle and tasks on another.

    One more thread takes checkpoints and keeps their lines.
    """

    def __init__(
        self,
        name: str,
        url: str,
        ledger: Ledger,
        repository_ids: Sequence[Ulid],
        chance: random.Random,
        *,
        threads: int = THREADS,
        tasks: int = TASKS,
        key: SigningKey | None = None,
    ) -> None:
        self.name = name
        self._url = f"{url}?{OPTIONS}"
        self._ledger = ledger
        self._repository_ids = repository_ids
        self._seeds = [chance.getrandbits(32) for _ in range(threads + tasks)]
        self._tasks = tasks
        self._key = key
        self._over = threading.Event()
        self._running: list[threading.Thread] = []
        self._db = forgedb.connect(self._url, actor=f"service:{name}")

    def __enter__(self) -> Crowd:
        work: list[tuple[str, Callable[[], object]]] = []
        for number, seed in enumerate(self._seeds[self._tasks :]):
            name = f"{self.name}:thread:{number}"
            client = self._client(name, f"{self.name}'s threads", self._db, _sleep, seed)
            work.append((name, partial(self._live_by_thread, client)))
        if self._tasks:
            work.append((f"{self.name}:tasks", lambda: asyncio.run(self._live_by_tasks())))
        if self._key is not None:
            work.append((f"{self.name}:checkpoints", self._take_checkpoints))
        self._running = [
            threading.Thread(target=target, name=name, daemon=True) for name, target in work
        ]
        for thread in self._running:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Tell the clients to end; a fault for each that doesn't end in time."""
        self._over.set()
        give_up_at = time.monotonic() + STOP_SECONDS_MAX
        for thread in self._running:
            thread.join(max(0.0, give_up_at - time.monotonic()))
            if thread.is_alive():
                what = f"{thread.name} still waits for an answer, {STOP_SECONDS_MAX:g} s later"
                self._ledger.faults.append(Fault("answer", None, what))
        self._running = []
        self._db.close()

    def _client(
        self,
        name: str,
        handle: str,
        db: Database | AsyncDatabase,
        sleep: Callable[[float], Awaitable[None]],
        seed: int,
    ) -> Client:
        chance = random.Random(seed)
        return Client(name, handle, db, sleep, self._repository_ids, chance, self._ledger)

    def _live_by_thread(self, client: Client) -> None:
        finish(client.live(self._over.is_set))

    async def _live_by_tasks(self) -> None:
        async with (
            await forgedb.connect_async(self._url, actor=f"service:{self.name}") as db,
            asyncio.TaskGroup() as group,
        ):
            for number, seed in enumerate(self._seeds[: self._tasks]):
                name = f"{self.name}:task:{number}"
                client = self._client(name, f"{self.name}'s tasks", db, asyncio.sleep, seed)
                group.create_task(client.live(self._over.is_set))

    def _take_checkpoints(self) -> None:
        assert self._key is not None
        while not self._over.wait(CHECKPOINT_SECONDS):
            asked_at = time.monotonic()
            try:
                taken = self._db.audit.checkpoint(self._key)
            except Unavailable as error:
                self._ledger.unavailable.append(error.why)
                continue
            except ForgeDbError as error:
                what = f"a checkpoint failed: {error}"
                self._ledger.faults.append(Fault("answer", None, what))
                continue
            if taken is not None:
                self._ledger.anchored.append(
                    Anchored(self.name, taken.line, asked_at, time.monotonic())
                )


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)
