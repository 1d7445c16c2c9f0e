"""The attacker of a soak: it starts processes, stops and kills them, sets the clock, and checks.

The seed decides what it chooses, but not how the processes interleave.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import forgedb
from forgedb import Database, InvalidValue, LeaseHeld, SchemaOutdated, Ulid
from forgedb.drivers.url import parse_url
from forgedb.testing.history import MARGIN, Fault, Grant, Lost, Observation, check
from forgedb.testing.soak.clocks import MachineClock
from forgedb.testing.soak.orders import START_SECONDS_MAX, TERM_SECONDS, Orders, Plan
from forgedb.testing.soak.process import Process
from forgedb.testing.soak.worker import Counts, Failed

ROUND: Final = {
    "stop": 8,
    "kill": 4,
    "set clock": 6,
    "set clock far back": 1,
    "kill all": 1,
    "restart server": 1,
}
"""How often each attack is made in a round, where it can be made."""

PAUSE_SECONDS = (0.1, 0.8)
"""The shortest and the longest pause between attacks."""

STOP_SECONDS = (0.02, 0.5)
"""How long processes are stopped: long enough for many leases to expire."""

STEP_SECONDS_MAX = 0.5
"""How far the machine's clock is put from the real time, to either side."""

FAR_BACK = timedelta(seconds=90)
"""More than forgedb accepts of a clock that was set back."""

FAR_BACK_SECONDS = 0.1

END_SECONDS_MAX = 120.0
"""How long processes may take to end after the soak's time."""

SAY_SECONDS = 10.0

READY_SECONDS = 0.02
"""How often to look whether all processes could begin."""


class Result(NamedTuple):
    """The result of a soak: the faults, and how often each kind of event happened."""

    faults: list[Fault]
    counts: dict[str, int]


def attack(
    url: str,
    plan: Plan,
    *,
    restart_server: Callable[[], object] | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Result:
    """Attack the leases of new repositories of a database, and check their history.

    The repositories stay: use a database made for the soak, with forgedb's schema.  On SQLite the
    clock that the soak's processes see is set back and forth.  On PostgreSQL the server's clock
    decides, and is left alone.  ``restart_server`` is called now and then, to stop the server and
    start it again.  ``say`` is called with a line of text every 10 s.

    Raises InvalidValue (a database in memory), SchemaOutdated, Unavailable.
    """
    parsed = parse_url(url)
    if parsed.is_in_memory:
        raise InvalidValue("url", url, "other processes can't see it: name a file, or a server")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="forgedb-soak-")))
        clock = None
        options: dict[str, Any] = {}
        if parsed.dialect == "sqlite":
            clock = MachineClock(folder / "clock")
            options = {"clock": clock.now, "mode": "rw"}
        db = stack.enter_context(forgedb.connect(url, actor="service:soak", **options))
        pending = db.pending_migrations()
        if pending:
            raise SchemaOutdated([str(each) for each in pending])
        attacker = Attacker(db, url, plan, folder, clock)
        with attacker:
            return attacker.run(restart_server, say)


class Attacker:
    """A context manager: none of its processes outlives it."""

    def __init__(
        self, db: Database, url: str, plan: Plan, folder: Path, clock: MachineClock | None
    ) -> None:
        self._db = db
        self._url = url
        self._plan = plan
        self._folder = folder
        self._clock = clock
        self._chance = random.Random(plan.seed)
        self._counts: Counter[str] = Counter()
        self._observed: list[Observation] = []
        self._faults: list[Fault] = []
        self._processes: list[Process] = []
        self._processes_made = 0
        self._repository_ids: list[Ulid] = []
        self._until = 0.0
        self._far_back_seconds = 0.0
        """The longest time for which the clock was too far back to be accepted."""

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()

    def run(
        self, restart_server: Callable[[], object] | None, say: Callable[[str], object]
    ) -> Result:
        """Attack for as long as planned, and check."""
        project = self._db.projects.create(
            f"soak-{forgedb.new_ulid().lower()}", f"Soak with seed {self._plan.seed}"
        )
        self._repository_ids = [
            self._db.repositories.create(project.id, f"repository-{number}").id
            for number in range(self._plan.repositories)
        ]
        while len(self._processes) < self._plan.processes:
            self._start()
        self._begin()
        self._attack(restart_server, say)
        self._end()
        self._acquire_each()
        faults = [*self._faults, *self._check()]
        return Result(faults, dict(self._counts))

    def _begin(self) -> None:
        """Start all clients together, when the last process is ready."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not all(process.is_ready() for process in self._processes):
            if time.monotonic() > give_up_at:
                self._unanswered(f"not all processes began within {START_SECONDS_MAX:g} s")
                break
            time.sleep(READY_SECONDS)
        self._until = time.monotonic() + self._plan.seconds
        for process in self._processes:
            process.begin(self._until)

    def _start(self) -> None:
        self._processes_made += 1
        share, rest = divmod(self._plan.clients, self._plan.processes)
        number = self._processes_made
        orders = Orders(
            url=self._url,
            name=f"client:{number}",
            seed=self._chance.getrandbits(32),
            clients=share + (len(self._processes) < rest),
            repository_ids=self._repository_ids,
            log=str(self._folder / f"{number}.log"),
            clock=None if self._clock is None else str(self._folder / "clock"),
        )
        self._processes.append(Process(orders))

    def _attack(
        self, restart_server: Callable[[], object] | None, say: Callable[[str], object]
    ) -> None:
        attacks: dict[str, Callable[[], object]] = {
            "stop": self._stop,
            "kill": self._kill,
            "kill all": self._kill_all,
        }
        if self._clock is not None:
            attacks["set clock"] = self._set_clock
            attacks["set clock far back"] = self._set_clock_far_back
        if restart_server is not None:
            attacks["restart server"] = restart_server
        coming: list[str] = []
        began_at = said_at = time.monotonic()
        while True:
            left = self._until - time.monotonic()
            time.sleep(max(0.0, min(left, self._chance.uniform(*PAUSE_SECONDS))))
            now = time.monotonic()
            if now >= self._until:
                return
            self._read()
            if now > said_at + SAY_SECONDS:
                said_at = now
                say(f"{now - began_at:.0f} s: {told(self._counts)}")
            if not coming:
                coming = self._round(attacks)
            attacks[coming[0]]()
            self._counts[coming.pop(0)] += 1

    def _round(self, attacks: Iterable[str]) -> list[str]:
        """The attacks of a round: each once, so that a short soak has them all; then the rest."""
        once = [*attacks]
        again = [each for each in once for _ in range(ROUND[each] - 1)]
        self._chance.shuffle(once)
        self._chance.shuffle(again)
        return once + again

    def _read(self) -> None:
        for process in self._processes:
            self._take(process)
            if process.popen.poll() is not None and time.monotonic() < self._until:
                self._unanswered(f"process {process.orders.name} ended: {process.errors()}")
                self._replace([process])

    def _take(self, process: Process) -> None:
        for line in process.lines():
            if isinstance(line, Counts):
                self._counts.update(line.of)
            elif isinstance(line, Failed):
                self._unanswered(f"{line.client} failed: {line.error}")
            else:
                self._observed.append(line)

    def _unanswered(self, what: str) -> None:
        self._faults.append(Fault("answer", None, what))

    # What is done to the processes and to the clock.

    def _stop(self) -> None:
        """Stop some processes for a while, at any point of their work, and let them go on."""
        count = self._chance.randint(1, len(self._processes))
        stopped = self._chance.sample(self._processes, count)
        for process in stopped:
            process.popen.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(*STOP_SECONDS))
        for process in stopped:
            process.popen.send_signal(signal.SIGCONT)

    def _kill(self) -> None:
        self._replace([self._chance.choice(self._processes)])

    def _kill_all(self) -> None:
        self._replace([*self._processes])

    def _replace(self, processes: list[Process]) -> None:
        for process in processes:
            process.popen.kill()
        for process in processes:
            self._bury(process)
            self._processes.remove(process)
            self._start()
            self._processes[-1].begin(self._until)

    def _bury(self, process: Process) -> None:
        """Read the rest of a killed process's log; the outcome of its last calls is unknown."""
        process.wait()
        self._take(process)
        self._observed += map(Lost, process.clients())

    def _set_clock(self) -> None:
        assert self._clock is not None
        seconds = self._chance.uniform(-STEP_SECONDS_MAX, STEP_SECONDS_MAX)
        self._clock.set(timedelta(seconds=seconds))

    def _set_clock_far_back(self) -> None:
        assert self._clock is not None
        before, began_at = self._clock.offset, time.monotonic()
        self._clock.set(before - FAR_BACK)
        time.sleep(FAR_BACK_SECONDS)
        self._clock.set(before)
        self._far_back_seconds = max(self._far_back_seconds, time.monotonic() - began_at)

    # After the soak's time.

    def _end(self) -> None:
        give_up_at = time.monotonic() + END_SECONDS_MAX
        for process in self._processes:
            try:
                process.wait(max(0.0, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._unanswered(f"process {process.orders.name} didn't end")
                process.kill()
                self._bury(process)
            else:
                self._take(process)
                if process.popen.returncode != 0:
                    self._unanswered(f"process {process.orders.name}: {process.errors()}")

    def _acquire_each(self) -> None:
        """Take every repository once more: by then the last lease of each is over."""
        give_up_at = time.monotonic() + TERM_SECONDS[1] + self._margin_seconds()
        for repository_id in self._repository_ids:
            wait = timedelta(seconds=max(0.0, give_up_at - time.monotonic()))
            try:
                with self._db.leases.hold(repository_id, wait=wait) as lease:
                    self._observed.append(_told_of(lease))
            except LeaseHeld as held:
                self._faults.append(Fault("stuck", repository_id, str(held)))

    def _margin_seconds(self) -> float:
        """How much longer than its term a lease may last, with the steps of the clock included."""
        if self._clock is None:
            return MARGIN.total_seconds()
        return MARGIN.total_seconds() + 2 * STEP_SECONDS_MAX + self._far_back_seconds

    def _check(self) -> list[Fault]:
        return check(
            self._db,
            self._repository_ids,
            self._observed,
            complete=True,
            margin=timedelta(seconds=self._margin_seconds()),
        )


def told(counts: Counter[str] | dict[str, int]) -> str:
    """The counts as one line."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _told_of(lease: forgedb.Lease) -> Observation:
    return Grant(lease.repository_id, lease.holder, lease.id, lease.fencing_token)
