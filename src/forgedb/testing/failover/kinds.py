"""The kinds of failure: what is done to a cluster under load, and what must hold afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from forgedb.testing.failover.restored import dump, put_back, recover, upgrade
from forgedb.testing.failover.scene import Scene
from forgedb.testing.servers.cluster import Cluster, Replication
from forgedb.testing.servers.server import Server

TERMINATE_CLIENTS: Final = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = 'forge' AND pid <> pg_backend_pid()
"""


class Kind(NamedTuple):
    """One kind: ``make`` lets the primary fail once, and leaves a whole cluster.

    ``keeps``: nothing acknowledged may be lost.  ``crowded``: the scene's clients work all
    the time; else the kind starts clients of its own.
    """

    name: str
    what: str
    make: Callable[[Scene, Cluster], None]
    replication: Replication = "asynchronous"
    keeps: bool = False
    standbys: int = 2
    slow_seconds: float = 0.0
    crowded: bool = True


def kill(scene: Scene, cluster: Cluster) -> None:
    """Kill the primary, and promote the most advanced standby."""
    harmed_at = scene.ledger.harm()
    killed = cluster.kill()
    scene.rest(0, 0.3)
    scene.ledger.replace_primary()
    cluster.promote(cluster.most_advanced())
    scene.wait_for_grants(harmed_at)
    _rejoin(scene, cluster, killed)


def kill_while_standbys_lag(scene: Scene, cluster: Cluster) -> None:
    """Let both standbys lag, one more than the other; kill the primary, and promote either."""
    harmed_at = scene.ledger.harm()
    cluster.stop_sending(at_most=1)
    scene.rest(0.1, 0.8)
    cluster.stop_sending()
    scene.rest(0.1, 0.8)
    cluster.kill()
    most, least = cluster.most_advanced(), cluster.least_advanced()
    scene.ledger.replace_primary()
    cluster.promote(scene.chance.choice([most, least]))
    scene.wait_for_grants(harmed_at)
    # A standby that has more than the new primary can't follow it without a rewind.
    _rejoin(scene, cluster, *cluster.standbys)


def split(scene: Scene, cluster: Cluster) -> None:
    """Promote both standbys at once, each with clients of its own; only one side goes on."""
    number = len(scene.ledger.harmed_at)
    with scene.crowd(f"before {number}"):
        scene.rest(1, 1.5)
        harmed_at = scene.ledger.harm()
        killed = cluster.kill()
    scene.ledger.replace_primary()
    sides = cluster.standbys
    scene.chance.shuffle(sides)
    for side in sides:
        side.promote()
    goes_on, ends = sides
    with (
        scene.crowd(f"one side {number}", cluster.url(goes_on), size=2),
        scene.crowd(f"other side {number}", cluster.url(ends), checkpoints=False, size=2),
    ):
        scene.wait_for_grants(harmed_at)
        scene.rest(0.5, 1)
    scene.judge(cluster.url(ends), keeps=False, survivor=False)
    cluster.primary = goes_on
    _rejoin(scene, cluster, killed, ends)


def revive(scene: Scene, cluster: Cluster) -> None:
    """Promote a standby, start the old primary beside it, and end all sessions on the new one."""
    harmed_at = scene.ledger.harm()
    killed = cluster.kill()
    scene.ledger.replace_primary()
    cluster.promote(cluster.most_advanced())
    scene.wait_for_grants(harmed_at)
    killed.start()
    for _ in range(3):
        cluster.primary.query(TERMINATE_CLIENTS)
        scene.rest(0.3, 0.6)
    scene.wait_for_grants()
    _rejoin(scene, cluster, killed)


def freeze(scene: Scene, cluster: Cluster) -> None:
    """Freeze the primary, promote a standby, and thaw the old primary beside it."""
    harmed_at = scene.ledger.harm()
    frozen = cluster.primary
    frozen.freeze()
    scene.rest(0.2, 1)
    scene.ledger.replace_primary()
    cluster.promote(cluster.most_advanced())
    scene.wait_for_grants(harmed_at)
    frozen.thaw()
    scene.rest(0.5, 1)
    cluster.primary.query(TERMINATE_CLIENTS)
    scene.wait_for_grants()
    _rejoin(scene, cluster, frozen)


def cancel_waits(scene: Scene, cluster: Cluster) -> None:
    """Hold both standbys back, cancel each COMMIT that waits for them, and kill the primary."""
    harmed_at = scene.ledger.harm()
    cluster.stop_sending()
    until = time.monotonic() + scene.chance.uniform(0.5, 1)
    while time.monotonic() < until:
        cluster.cancel_waits()
        time.sleep(0.02)
    killed = cluster.kill()
    scene.ledger.replace_primary()
    cluster.promote(cluster.most_advanced())
    scene.wait_for_grants(harmed_at)
    _rejoin(scene, cluster, killed)


def _rejoin(scene: Scene, cluster: Cluster, *servers: Server) -> None:
    for server in servers:
        cluster.rejoin(server, rewind=scene.chance.random() < 0.5)
    cluster.wait_for_standbys()
    scene.ledger.whole()
    scene.rest(0.5, 1)


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("sync", "the primary is killed, synchronous replication", kill, "on", keeps=True),
        Kind("apply", "the same, with remote_apply", kill, "remote_apply", keeps=True),
        Kind(
            "slow",
            "the same, where each message takes 20 ms",
            kill,
            "on",
            keeps=True,
            slow_seconds=0.02,
        ),
        Kind(
            "cancelled",
            "a DBA cancels COMMITs that wait for their standby",
            cancel_waits,
            "on",
            keeps=True,
        ),
        Kind(
            "lagging",
            "the primary is killed while its standbys lag, either is promoted",
            kill_while_standbys_lag,
        ),
        Kind("split", "both standbys are promoted at once", split, crowded=False),
        Kind("revived", "the old primary is started beside the new one", revive),
        Kind("frozen", "the primary is frozen, and thawed beside the new one", freeze),
        Kind(
            "frozen-sync",
            "the same, synchronous replication",
            freeze,
            "on",
            keeps=True,
        ),
        Kind("recovered", "a base backup is recovered to some moment", recover, standbys=0),
        Kind("put-back", "a snapshot is put back, the era advanced by hand", put_back, standbys=0),
        Kind("dumped", "a dump is restored on a new server", dump, standbys=0),
        Kind("upgraded", "pg_upgrade, to the newest version", upgrade, standbys=0, keeps=True),
    )
}
"""By name."""
