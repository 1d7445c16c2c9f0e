"""Migrating: 200 files, whole processes, beside a bare loop in the same driver."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.postgres.server import Server
from benchmarks.processes import run
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave

INSTALLED = Path(sys.executable).with_name("forgedb")
OURS = [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, "-m", "forgedb"]

IMPORTS = "import apsw, click, msgspec"
CONNECTS = "import click, msgspec, psycopg, sys; psycopg.connect(sys.argv[1]).close()"

# What any runner has to do, and nothing else: no lock, no checksum, no look at what is there.
BARE_SQLITE = """
import sys, apsw
from pathlib import Path
connection = apsw.Connection(sys.argv[1])
connection.pragma("journal_mode", "wal")
connection.pragma("synchronous", "FULL")
execute = connection.execute
execute("CREATE TABLE history (name TEXT PRIMARY KEY, applied_at TEXT)")
for file in sorted(Path(sys.argv[2]).glob("*.sql")):
    execute("BEGIN IMMEDIATE")
    execute(file.read_text())
    execute("INSERT INTO history VALUES (?, datetime())", (file.name,))
    execute("COMMIT")
"""

BARE_POSTGRES = """
import sys, psycopg
from pathlib import Path
with psycopg.connect(sys.argv[1]) as connection:
    execute = connection.execute
    execute("CREATE TABLE history (name text PRIMARY KEY, applied_at timestamptz)")
    connection.commit()
    for file in sorted(Path(sys.argv[2]).glob("*.sql")):
        execute(file.read_bytes())
        execute("INSERT INTO history VALUES (%s, now())", (file.name,))
        connection.commit()
"""


ROWS = {
    "small files": 1,
    "files that move 5,000 rows": 5_000,
    "files that move 20,000 rows": 20_000,
}
"""What is done by each: what a runner adds is the same for both."""


def on_sqlite(scale: Scale, folder: Path) -> Iterator[Row]:
    """Into a new file each time; then into one that has them all."""
    name, made = "migrate-files", 0

    def fresh(run: Callable[[str], object]) -> Contender:
        def prepare() -> Slice:
            nonlocal made
            made += 1
            path = str(folder / f"migrated-{made}.db")
            return lambda: run(path)

        return prepare

    for words, rows in ROWS.items():
        files = written(folder / f"files-{rows}", scale.files, rows)
        contenders = [
            fresh(lambda path, of=files: run(sys.executable, "-c", BARE_SQLITE, path, str(of))),
            fresh(lambda path, of=files: migrate(f"sqlite:///{path}", of)),
        ]
        raw, taken = interleave(contenders, scale.bulk_rounds)
        _check(sqlite3.connect(folder / f"migrated-{made}.db"), scale.files)
        work = f"{scale.files} {words}, SQLite"
        yield Row(name, work, "a bare loop in apsw", scale.files, 1.1, raw, taken)
    url = f"sqlite:///{folder}/migrated-{made}.db"
    raw, taken = interleave(
        [
            lambda: lambda: run(sys.executable, "-c", IMPORTS),
            lambda: lambda: migrate(url, files),
        ],
        scale.process_rounds,
    )
    yield Row(name, f"{scale.files} files, nothing pending, SQLite", IMPORTS, 1, 1.3, raw, taken)


def on_postgres(scale: Scale, server: Server) -> Iterator[Row]:
    """Into a new database each time; then into one that has them all."""
    name = "postgres-migrate"

    def fresh(database: str, run: Callable[[str], object]) -> Contender:
        def prepare() -> Slice:
            url = server.empty(database)
            return lambda: run(url)

        return prepare

    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for words, rows in ROWS.items():
            files = written(Path(folder) / f"files-{rows}", scale.files, rows)
            contenders = [
                fresh(
                    "raw",
                    lambda url, of=files: run(sys.executable, "-c", BARE_POSTGRES, url, str(of)),
                ),
                fresh("ours", lambda url, of=files: migrate(url, of)),
            ]
            raw, taken = interleave(contenders, scale.bulk_rounds)
            _check(psycopg.connect(server.url_of("ours")), scale.files)
            work = f"{scale.files} {words}, PostgreSQL"
            yield Row(name, work, "a bare loop in psycopg", scale.files, 1.1, raw, taken)
        url = server.url_of("ours")
        raw, taken = interleave(
            [
                lambda: lambda: run(sys.executable, "-c", CONNECTS, url),
                lambda: lambda: migrate(url, files),
            ],
            scale.process_rounds,
        )
        against = "imports, one connection"
        yield Row(name, f"{scale.files} files, nothing pending", against, 1, 1.2, raw, taken)


def written(folder: Path, count: int, rows: int) -> Path:
    """Files that each make a table with an index, and move some rows into it."""
    folder.mkdir(exist_ok=True)
    for number in range(1, count + 1):
        last = number + rows - 1
        (folder / f"{number:04}_step.sql").write_text(
            f"CREATE TABLE step_{number} (\n"
            "    id INTEGER PRIMARY KEY,\n"
            "    name TEXT NOT NULL DEFAULT 'a;b'\n"
            ");\n"
            f"CREATE INDEX step_{number}_by_name ON step_{number} (name);\n"
            f"WITH RECURSIVE moved (id) AS (\n"
            f"    SELECT {number} UNION ALL SELECT id + 1 FROM moved WHERE id < {last}\n"
            ")\n"
            f"INSERT INTO step_{number} (id) SELECT id FROM moved;\n"
        )
    return folder


def migrate(url: str, files: Path) -> None:
    """Run forgedb on them, as a whole process."""
    run(*OURS, "--url", url, "migrate", "--quiet", "--dir", str(files))


def _check(connection: sqlite3.Connection | psycopg.Connection, count: int) -> None:
    assert connection.execute("SELECT count(*) FROM app_schema_migrations").fetchone() == (count,)
    check_applied(connection, count)


def check_applied(connection: sqlite3.Connection | psycopg.Connection, count: int) -> None:
    """See that the first and the last file have done their work, and close the connection."""
    with connection:
        for number in (1, count):
            found = connection.execute(f"SELECT min(id) FROM step_{number}").fetchone()
            assert found == (number,), "all files were applied"
    connection.close()
