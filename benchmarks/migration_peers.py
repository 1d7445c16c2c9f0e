"""The same 200 files by other migration runners, each as its own documentation advises.

Nothing here depends on them: `make bench-peers` installs them in an environment of their own.
On SQLite every runner gets a database in WAL mode, and synchronous FULL as forgedb has it; only
yoyo-migrations takes no such setting, and syncs every commit.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.migrations import check_applied, migrate, written
from benchmarks.places import Files, Place
from benchmarks.processes import run
from benchmarks.timing import Contender, Row, Slice, interleave

NAMES = ("yoyo-migrations", "Alembic", "dbmate")

ALEMBIC_INI = """
[alembic]
script_location = {folder}
"""

# Python's sqlite3 begins no transaction for DDL: begin it by hand, as SQLAlchemy advises.
ALEMBIC_ENV = """
from alembic import context
from sqlalchemy import create_engine, event, pool
engine = create_engine(context.get_x_argument(as_dictionary=True)["url"], poolclass=pool.NullPool)
if engine.dialect.name == "sqlite":
    @event.listens_for(engine, "connect")
    def connected(driver, _):
        driver.isolation_level = None
        driver.execute("PRAGMA synchronous = FULL")
    @event.listens_for(engine, "begin")
    def begun(connection):
        connection.exec_driver_sql("BEGIN")
with engine.connect() as connection:
    context.configure(
        connection=connection, transaction_per_migration=True, transactional_ddl=True
    )
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
    """Makes the command from forgedb's URL and the folder with the files laid out."""


def peers_of(python: Path) -> list[Peer]:
    """The peers installed beside a Python interpreter; dbmate may also be on the PATH."""
    yoyo, alembic = python.with_name("yoyo"), python.with_name("alembic")
    dbmate = _dbmate_beside(python)
    found: list[Peer] = []
    if yoyo.exists():
        found.append(Peer("yoyo-migrations", _copied, partial(_by_yoyo, str(yoyo))))
    if alembic.exists():
        found.append(Peer("Alembic", _as_revisions, partial(_by_alembic, str(alembic))))
    if dbmate is not None:
        found.append(Peer("dbmate", _marked, partial(_by_dbmate, dbmate)))
    return found


def rows(place: Place, peers: list[Peer]) -> Iterator[Row]:
    """Into new databases, and into databases that have all migrations."""
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        yield from _rows(place, peers, Path(folder))


def _fresh(place: Place, kind: str) -> str:
    url = place.empty(kind.lower())
    if isinstance(place, Files):
        with closing(place.connect(url)) as new:
            new.execute("PRAGMA journal_mode = WAL")
    return url


def _rows(place: Place, peers: list[Peer], folder: Path) -> Iterator[Row]:
    """All runners take turns, so that each run of forgedb is compared with one of every peer."""
    scale, database = place.scale, place.words
    files = written(folder / "files", scale.files, 1)
    runners: dict[str, Callable[[str], object]] = {"forgedb": lambda url: migrate(url, files)}
    for peer in peers:
        laid_out = folder / peer.name
        laid_out.mkdir()
        peer.lay_out(files, laid_out)
        runners[peer.name] = partial(_apply, peer, laid_out)
    urls: dict[str, str] = {}

    def anew(kind: str) -> Contender:
        def prepare() -> Slice:
            urls[kind] = _fresh(place, kind)
            return partial(runners[kind], urls[kind])

        return prepare

    def again(kind: str) -> Contender:
        return lambda: partial(runners[kind], urls[kind])

    works = (
        (anew, f"{scale.files} small files, {database}", scale.files),
        (again, f"{scale.files} files, nothing pending, {database}", 1),
    )
    for contender, work, operations in works:
        taken, *theirs = interleave([contender(kind) for kind in runners], scale.bulk_rounds)
        for url in urls.values():
            check_applied(place.connect(url), scale.files)
        for peer, times in zip(peers, theirs, strict=True):
            name = "migrate-files" if isinstance(place, Files) else "postgres-migrate"
            yield Row(name, work, peer.name, operations, None, times, taken)


def _apply(peer: Peer, laid_out: Path, url: str) -> None:
    # Its output is shown only if it fails, in the error.
    run(*peer.command(url, laid_out), is_quiet=True)


def _dbmate_beside(python: Path) -> str | None:
    """The dbmate binary itself: the command that npm installs would start Node first."""
    packages = python.parent.parent / "node_modules" / "@dbmate"
    of_npm = next(packages.glob("*/bin/dbmate"), None)
    return shutil.which("dbmate") if of_npm is None else str(of_npm)


def _copied(files: Path, folder: Path) -> None:
    for file in files.glob("*.sql"):
        shutil.copyfile(file, folder / file.name)


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


def _marked(files: Path, folder: Path) -> None:
    for file in files.glob("*.sql"):
        (folder / file.name).write_text(f"-- migrate:up\n{file.read_text()}\n-- migrate:down\n")


def _by_yoyo(program: str, url: str, folder: Path) -> list[str]:
    return [program, "apply", "--batch", "--no-config-file", "--database", url, str(folder)]


def _by_alembic(program: str, url: str, folder: Path) -> list[str]:
    # Its driver is the one forgedb has; yoyo-migrations' own default is psycopg2.
    url = url.replace("postgresql://", "postgresql+psycopg://")
    return [program, "-c", str(folder / "alembic.ini"), "-x", f"url={url}", "upgrade", "head"]


def _by_dbmate(program: str, url: str, folder: Path) -> list[str]:
    settings = "_synchronous=FULL" if url.startswith("sqlite:") else "sslmode=disable"
    url = f"{url}{'&' if '?' in url else '?'}{settings}"
    return [program, "--url", url, "--migrations-dir", str(folder), "--no-dump-schema", "migrate"]
