"""Writes what is generated: schema.sql, each version's parts, the data model, the audit's actions.

``make schema`` runs it; a test compares what it would write with what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forgedb
from forgedb.admin.ddl import schema_sql
from forgedb.admin.schema import Table, mermaid, read_schema
from forgedb.audit.kinds import KINDS
from forgedb.migrations.files import load, packaged
from forgedb.schema_check import versions
from forgedb.schema_check.catalogue import PARTS
from tests.servers.postgres import Databases, PostgresServer, embedded_programs

ROOT = Path(__file__).parents[2]
DATA_MODEL = ROOT / "docs" / "data-model.md"
AUDIT = ROOT / "docs" / "audit.md"

_diagram = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_columns = re.compile(r"^\| column \|.*?\n\n", re.MULTILINE | re.DOTALL)
_actions = re.compile(r"(?<=^\| kind \| rows \| stream \| actions \|\n)(?:\|.*\n)+", re.MULTILINE)
_row = re.compile(r"^\| `(\w+)` \|(?:.*\|)? (.*) \|$", re.MULTILINE)


def path_of(dialect: str) -> Path:
    return ROOT / "schema" / dialect / "schema.sql"


NAMES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table'",
    "postgres": """
        SELECT relname::text FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind NOT IN ('i', 'I')
        UNION
        SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        UNION
        SELECT typname::text FROM pg_type
        WHERE typnamespace = current_schema()::regnamespace AND typtype = 'd'
    """,
}
"""Of all that is there: of a schema that the migrations alone have made."""


def live_parts(db: forgedb.Database) -> bytes:
    """The parts of the whole schema, as the file of its version has them."""
    dialect = db.client.dialect
    names = tuple(str(name) for (name,) in db.client.query(NAMES[dialect]))
    found = db.client.query(getattr(PARTS, dialect), {"names": names})
    return versions.written(versions.as_read(*row) for row in found)


def data_model(page: str, on_sqlite: list[Table], on_postgres: list[Table]) -> str:
    """The page with the diagram and the columns of the schema; what each column is stays."""
    page = _diagram.sub(lambda _: mermaid(on_sqlite), page)
    others = {table.name: table for table in on_postgres}
    for one in on_sqlite:
        other = others[one.name]
        before, heading, rest = page.partition(f"\n## {one.name}\n")
        assert heading, f"the page has no section {one.name}"
        table = _columns.search(rest)
        assert table, f"the section {one.name} has no table of columns"
        drawn = _drawn(one, other, table[0])
        page = before + heading + rest[: table.start()] + drawn + rest[table.end() :]
    return page


def _drawn(on_sqlite: Table, on_postgres: Table, before: str) -> str:
    meanings = dict(_row.findall(before))
    rows = [
        f"| `{one.name}` | {one.type} | {other.type} | {meanings.get(one.name, '')} |\n"
        for one, other in zip(on_sqlite.columns, on_postgres.columns, strict=True)
    ]
    heading = "| column | SQLite | PostgreSQL | what it is |\n| --- | --- | --- | --- |\n"
    return "".join((heading, *rows, "\n"))


def audit_page(page: str) -> str:
    """The page with the table of what is recorded, as ``audit/kinds.py`` has it."""
    rows = [
        f"| `{kind.name}` | [{kind.table}](data-model.md#{kind.table}) | `{kind.stream}` |"
        f" {' '.join(f'`{kind.name}.{verb}`' for verb in kind.verbs)} |\n"
        for kind in KINDS
    ]
    return _actions.sub("".join(["| --- | --- | --- | --- |\n", *rows]), page)


@contextmanager
def databases() -> Iterator[tuple[forgedb.Database, forgedb.Database]]:
    """One on SQLite and one on PostgreSQL, both empty."""
    with (
        PostgresServer(embedded_programs()) as server,
        Databases(server.url("postgres")) as databases,
        databases.new() as url,
        forgedb.connect(url) as on_postgres,
        forgedb.connect("sqlite://") as on_sqlite,
    ):
        yield on_sqlite, on_postgres


def main() -> None:
    with databases() as both:
        for db in both:
            dialect = db.client.dialect
            for migration in load(packaged(dialect)):
                db.migrate(migration.version)
                Path(versions.path_of(dialect, migration.version)).write_bytes(live_parts(db))
            path = path_of(dialect)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(schema_sql(db))
        page = data_model(DATA_MODEL.read_text(), *map(read_schema, both))
        DATA_MODEL.write_text(page)
    AUDIT.write_text(audit_page(AUDIT.read_text()))


if __name__ == "__main__":
    main()
