"""Migrating: 200 files, in whole processes, compared with a bare loop on the same driver."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.databases import path_of
from benchmarks.places import Files, Place
from benchmarks.processes import run
from benchmarks.timing import Row, Slice, interleave

INSTALLED = Path(sys.executable).with_name("forgedb")
OURS = [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, "-m", "forgedb"]

IMPORTS = "import apsw, click, msgspec"
CONNECTS = "import click, msgspec, psycopg, sys; psycopg.connect(sys.argv[1]).close()"

# Only what any runner must do: no lock, no checksum, no look at what is applied already.
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


def rows(place: Place) -> Iterator[Row]:
    """First into a new database each time, then into one that has all files applied."""
    on_file, scale = isinstance(place, Files), place.scale
    name = "migrate-files" if on_file else "postgres-migrate"
    bare, imports = (BARE_SQLITE, IMPORTS) if on_file else (BARE_POSTGRES, CONNECTS)
    url = ""

    def bare_loop() -> Slice:
        new = path_of(place.empty("migrated_raw"))
        return partial(run, sys.executable, "-c", bare, new, str(files))

    def forgedb() -> Slice:
        nonlocal url
        url = place.empty("migrated_ours")
        return partial(migrate, url, files)

    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for words, moved in ROWS.items():
            files = written(Path(folder) / f"files-{moved}", scale.files, moved)
            raw, ours = interleave([bare_loop, forgedb], scale.bulk_rounds)
            _check(place.connect(url), scale.files)
            work, against = (
                f"{scale.files} {words}, {place.words}",
                f"a bare loop in {place.driver}",
            )
            yield Row(name, work, against, scale.files, 1.1, raw, ours)
        least = [sys.executable, "-c", imports, *(() if on_file else (url,))]
        raw, ours = interleave(
            [lambda: partial(run, *least), lambda: partial(migrate, url, files)],
            scale.process_rounds,
        )
    work = f"{scale.files} files, nothing pending, {place.words}"
    against, bound = (IMPORTS, 1.3) if on_file else ("imports, one connection", 1.2)
    yield Row(name, work, against, 1, bound, raw, ours)


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
