"""Databases restored without a standby: from a backup, a dump, or data of an older version."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from forgedb import every
from forgedb.testing.failover.scene import Scene
from forgedb.testing.history import Fault
from forgedb.testing.servers.cluster import DATABASE, Cluster
from forgedb.testing.servers.programs import installed_programs
from forgedb.testing.servers.server import Server


def dump(scene: Scene, cluster: Cluster) -> None:
    """Dump the database, go on, lose the server, and restore the dump on a new one."""
    with _known_by_itself(scene):
        old = cluster.primary
        file = f"{old.folder}/dump"
        scene.ledger.risk()
        old.programs.run("pg_dump", "--format=custom", f"--file={file}", old.url(DATABASE))
        scene.rest(0.5, 1)
        harmed_at = scene.ledger.harm()
        cluster.kill()
        new = cluster.spare()
        new.create()
        new.start()
        new.query(f"CREATE DATABASE {DATABASE}")
        new.programs.run("pg_restore", "--exit-on-error", f"--dbname={new.url(DATABASE)}", file)
        new.stop()
        _put_in_place(scene, cluster, new, harmed_at)


def upgrade(scene: Scene, cluster: Cluster) -> None:
    """Stop the server, and have pg_upgrade of the newest version take its data over."""
    with _known_by_itself(scene):
        old = cluster.primary
        *_, newest = installed_programs().values()
        harmed_at = scene.ledger.harm()
        new = cluster.spare(newest)
        (checksums,) = old.query("SHOW data_checksums")
        # PostgreSQL 18 enables data checksums by default; pg_upgrade wants both clusters alike.
        new.create(*([] if checksums == "on" else ["--no-data-checksums"]))
        old.stop()
        new.programs.run(
            "pg_upgrade",
            f"--old-bindir={old.programs.folder}",
            f"--new-bindir={new.programs.folder}",
            f"--old-datadir={old.data}",
            f"--new-datadir={new.data}",
            f"--socketdir={new.folder}",
            "--username=postgres",
            "--no-sync",
            cwd=new.folder,
        )
        _put_in_place(scene, cluster, new, harmed_at)


def recover(scene: Scene, cluster: Cluster) -> None:
    """Take a base backup, go on, lose the server, and recover to some time after the backup."""
    new = cluster.spare()
    scene.ledger.risk()
    new.copy_from(cluster.primary.url("postgres"))
    scene.rest(0.5, 1)
    (moment,) = cluster.primary.query("SELECT now()::text")
    scene.rest(0.5, 1)
    harmed_at = scene.ledger.harm()
    killed = cluster.kill()
    log = killed.data / "pg_wal"
    targets: tuple[dict[str, str], ...] = (
        {"recovery_target": "immediate"},
        {"recovery_target_time": moment},
        {},
    )
    new.recover(restore_command=f"cp {log}/%f %p", **scene.chance.choice(targets))
    _put_in_place(scene, cluster, new, harmed_at)


def put_back(scene: Scene, cluster: Cluster) -> None:
    """Put a snapshot back, which forgedb can't notice by itself; so the era is advanced by hand."""
    new = cluster.spare()
    scene.ledger.risk()
    new.copy_from(cluster.primary.url("postgres"))
    scene.rest(0.5, 1)
    harmed_at = scene.ledger.harm()
    cluster.kill()
    new.start()
    with scene.connected(new.url(DATABASE)) as db:
        db.identity.advance_era("a snapshot was put back")
    new.stop()
    _put_in_place(scene, cluster, new, harmed_at)


def _put_in_place(scene: Scene, cluster: Cluster, server: Server, harmed_at: float) -> None:
    """Start the server in the old one's place; its tokens must be above all that clients know."""
    before = scene.highest_tokens()
    count = len(scene.ledger.granted)
    scene.ledger.replace_primary()
    cluster.take_over(server)
    scene.ledger.whole()
    scene.wait_for_grants(harmed_at)
    for granted in scene.ledger.granted[count:]:
        highest = before.get(granted.repository_id, 0)
        if granted.fencing_token <= highest:
            what = f"{granted.fencing_token} was granted by a restored database after {highest}"
            scene.faults.append(Fault("era", granted.repository_id, what))
    scene.rest(0.5, 1)


@contextmanager
def _known_by_itself(scene: Scene) -> Generator[None]:
    """Within the block the era must advance by itself, with an audit entry and a warning."""
    with scene.connected() as db:
        before = db.identity.get()
    heard = _Heard()
    log = logging.getLogger("forgedb")
    log.addHandler(heard)
    try:
        yield
    finally:
        log.removeHandler(heard)
    with scene.connected() as db:
        after = db.identity.get()
        entries = every(db.audit.list, stream=after.id)
        told = [entry for entry in entries if entry.action == "database.advance_era"]
    missing = {
        f"the era is {after.era}, and was {before.era}": after.era > before.era,
        "no entry says that the era advanced": told,
        "no warning says that the era advanced": any("era" in words for words in heard.words),
    }
    scene.faults += [Fault("era", None, what) for what, is_so in missing.items() if not is_so]


class _Heard(logging.Handler):
    """Keeps the logged warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.words.append(record.getMessage())
