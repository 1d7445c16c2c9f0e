"""The suite: makes a cluster under load fail several times in one way, and gives the verdict."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from forgedb.testing.failover.kinds import KINDS, Kind
from forgedb.testing.failover.scene import Scene
from forgedb.testing.history import Fault
from forgedb.testing.servers.cluster import Cluster
from forgedb.testing.servers.patroni import PatroniCluster

PATRONI: Final = "patroni"
"""The name of the kind under Patroni."""


class Result(NamedTuple):
    """The result of a kind: the faults, the number of answers of each kind, and the longest
    time without a grant at each failure."""

    faults: list[Fault]
    counts: Counter[str]
    gap_seconds: list[float]


def fail(
    kind: Kind,
    programs: Path,
    *,
    failovers: int,
    seed: int,
    say: Callable[[str], object] = lambda line: None,
) -> Result:
    """Make a cluster from a folder of programs, let it fail in one way several times, and judge.

    ``say`` is called with a line after each failure.  Raises Unavailable if a program of
    PostgreSQL's fails.
    """
    with Cluster(
        programs,
        replication=kind.replication,
        standbys=kind.standbys,
        slow_seconds=kind.slow_seconds,
    ) as cluster:
        scene = Scene(cluster.url(), random.Random(f"{kind.name} {seed}"))
        cluster.wait_for_standbys()
        with ExitStack() as stack:
            if kind.crowded:
                stack.enter_context(scene.crowd("clients"))
                scene.rest(1, 1.5)
            for number in range(failovers):
                kind.make(scene, cluster)
                say(f"{kind.name} {number + 1}: {scene.told()}")
        scene.judge(keeps=kind.keeps)
    return Result(scene.faults, scene.counts(), scene.gap_seconds)


def fail_under_patroni(
    programs: Path,
    *,
    failovers: int,
    seed: int,
    say: Callable[[str], object] = lambda line: None,
) -> Result:
    """Kill the primary of a cluster under Patroni several times; judge as for synchronous standbys.

    Raises Unavailable if a program is missing or fails.
    """
    with PatroniCluster(programs) as cluster:
        scene = Scene(cluster.url(), random.Random(f"{PATRONI} {seed}"))
        with scene.crowd("clients"):
            for number in range(failovers):
                scene.rest(1, 2)
                harmed_at = scene.ledger.harm()
                killed = cluster.kill()
                scene.ledger.replace_primary()
                cluster.wait_for_another(killed)
                scene.wait_for_grants(harmed_at)
                killed.start()
                cluster.wait_for_standbys()
                scene.ledger.whole()
                say(f"{PATRONI} {number + 1}: {scene.told()}")
        scene.judge(keeps=True)
    return Result(scene.faults, scene.counts(), scene.gap_seconds)


RUNS: Final[dict[str, Callable[..., Result]]] = {
    **{name: partial(fail, kind) for name, kind in KINDS.items()},
    PATRONI: fail_under_patroni,
}
"""By the name of each kind, what to call with programs, failovers, seed and say."""
