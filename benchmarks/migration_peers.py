"""The same 200 files by other migration runners, each as its own documentation advises.

They are no dependency of anything here: `make bench-peers` installs them in a place of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.migrations import migrate, written
from benchmarks.postgres.server import Server
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave

ALEMBIC_INI = """
[alembic]
script_location = {folder}
"""

ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine(os.environ["BENCHMARK_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

ALEMBIC_VERSION = """
from alembic import op
revision = "{revision:04}"
down_revision = {down}
def upgrade():
{body}
"""


class Peer(NamedTuple):
    """A runner: its name, how it wants the files, and the command that applies them."""

    name: str
    lay_out: Callable[[Path, Path], None]
    command: Callable[[str, Path], list[str]]
    """Of the database's URL, as SQLAlchemy writes it, and the folder that was laid out."""


def peers_of(python: Path) -> list[Peer]:
    """Those that are installed beside an interpreter, and dbmate where it is on the PATH."""
    yoyo, alembic = python.with_name("yoyo"), python.with_name("alembic")
    dbmate = shutil.which("dbmate")
    found: list[Peer] = []
    if yoyo.exists():
        apply = [str(yoyo), "apply", "--batch", "--no-config-file", "--database"]
        found.append(
            Peer("yoyo-migrations", _copied, lambda url, folder: [*apply, url, str(folder)])
        )
    if alembic.exists():
        found.append(
            Peer(
                "Alembic",
                _as_revisions,
                lambda _, folder: [
                    str(alembic),
                    "-c",
                    str(folder / "alembic.ini"),
                    "upgrade",
                    "head",
                ],
            )
        )
    if dbmate is not None:
        found.append(Peer("dbmate", _marked, lambda url, folder: _by_dbmate(dbmate, url, folder)))
    return found


def on_sqlite(scale: Scale, peers: list[Peer]) -> Iterator[Row]:
    """Into new files, and into files that have all migrations."""
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as name:
        folder, made = Path(name), 0

        def fresh() -> str:
            nonlocal made
            made += 1
            return f"sqlite:///{folder}/{made}.db"

        yield from _rows("migrate-peers", scale, peers, folder, "SQLite", lambda _: fresh())


def on_postgres(scale: Scale, server: Server, peers: list[Peer]) -> Iterator[Row]:
    """Into new databases, and into databases that have all migrations."""
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as name:
        rows = _rows("postgres-migrate-peers", scale, peers, Path(name), "PostgreSQL", server.empty)
        yield from rows


def _rows(
    name: str,
    scale: Scale,
    peers: list[Peer],
    folder: Path,
    words: str,
    fresh: Callable[[str], str],
) -> Iterator[Row]:
    files = written(folder / "files", scale.files, 1)
    for peer in peers:
        laid_out = folder / peer.name
        laid_out.mkdir()
        peer.lay_out(files, laid_out)
        last: dict[str, str] = {}

        def theirs(url: str, peer: Peer = peer, laid_out: Path = laid_out) -> Slice:
            dialect_url = url.replace("postgresql://", "postgresql+psycopg://")
            environment = {**os.environ, "BENCHMARK_URL": dialect_url}
            return lambda: _run(peer.command(dialect_url, laid_out), environment)

        def ours(url: str) -> Slice:
            return lambda: migrate(url, files)

        def into(kind: str, run: Callable[[str], Slice], last: dict[str, str] = last) -> Contender:
            def prepare() -> Slice:
                last[kind] = fresh(kind)
                return run(last[kind])

            return prepare

        raw, taken = interleave([into("raw", theirs), into("ours", ours)], scale.bulk_rounds)
        work = f"{scale.files} small files, {words}"
        yield Row(name, work, peer.name, scale.files, None, raw, taken)
        again = [partial(theirs, last["raw"]), partial(ours, last["ours"])]
        raw, taken = interleave(again, scale.bulk_rounds)
        yield Row(name, f"nothing pending, {words}", peer.name, 1, None, raw, taken)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def _copied(files: Path, folder: Path) -> None:
    for file in files.glob("*.sql"):
        shutil.copyfile(file, folder / file.name)


def _marked(files: Path, folder: Path) -> None:
    for file in files.glob("*.sql"):
        (folder / file.name).write_text(f"-- migrate:up\n{file.read_text()}\n-- migrate:down\n")


def _as_revisions(files: Path, folder: Path) -> None:
    (folder / "alembic.ini").write_text(ALEMBIC_INI.format(folder=folder))
    (folder / "env.py").write_text(ALEMBIC_ENV)
    versions = folder / "versions"
    versions.mkdir()
    for number, file in enumerate(sorted(files.glob("*.sql")), start=1):
        # A driver takes one statement at a time.
        statements = file.read_text().rstrip().removesuffix(";").split(";\n")
        body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
        down = f'"{number - 1:04}"' if number > 1 else "None"
        text = ALEMBIC_VERSION.format(revision=number, down=down, body=body)
        (versions / f"{number:04}_step.py").write_text(text)


def _by_dbmate(program: str, url: str, folder: Path) -> list[str]:
    if url.startswith("sqlite:"):
        plain = url.replace("sqlite:///", "sqlite:")
    else:
        plain = url.replace("postgresql+psycopg://", "postgres://") + "?sslmode=disable"
    options = ["--url", plain, "--migrations-dir", str(folder), "--no-dump-schema"]
    return [program, *options, "up"]
