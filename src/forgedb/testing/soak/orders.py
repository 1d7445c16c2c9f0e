"""The plan of a soak, and the orders that it gives to each of its processes."""

from __future__ import annotations

import msgspec

from forgedb import InvalidValue, Ulid

CLIENTS_MAX = 10_000
MINUTES_MAX = 7 * 24 * 60.0

CLIENTS_A_PROCESS = 25
PROCESSES_MIN = 2
PROCESSES_MAX = 8
CLIENTS_A_REPOSITORY = 10

TERM_SECONDS = (0.005, 1.0)
"""The shortest and the longest lease."""


START_SECONDS_MAX = 60.0
"""How long processes may take to begin."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A soak: how long, how many clients, and the seed of their and the attacker's choices."""

    minutes: float
    clients: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.minutes <= MINUTES_MAX:
            raise InvalidValue("minutes", self.minutes, f"more than 0, at most {MINUTES_MAX:g}")
        if not PROCESSES_MIN <= self.clients <= CLIENTS_MAX:
            raise InvalidValue(
                "clients", self.clients, f"from {PROCESSES_MIN} to {CLIENTS_MAX} can be run"
            )

    @property
    def seconds(self) -> float:
        return 60 * self.minutes

    @property
    def processes(self) -> int:
        return max(PROCESSES_MIN, min(PROCESSES_MAX, self.clients // CLIENTS_A_PROCESS))

    @property
    def repositories(self) -> int:
        return max(2, self.clients // CLIENTS_A_REPOSITORY)


class Orders(msgspec.Struct, frozen=True):
    """What a process is to do; until when, it is told later, by ``time.monotonic()``.

    ``log`` is the file for its clients' answers.  ``clock`` is the file of the machine's clock, if
    leases depend on that.
    """

    url: str
    name: str
    seed: int
    clients: int
    repository_ids: list[Ulid]
    log: str
    clock: str | None

    def client(self, number: int) -> str:
        """The name of one of its clients."""
        return f"{self.name}.{number}"
