"""The schema as the live database has it: tables, columns, keys; and as a Mermaid diagram."""

from __future__ import annotations

import msgspec

from forgedb.database import Database
from forgedb.errors import SchemaOutdated

TABLES = {
    "sqlite": """
    SELECT name
    FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
      AND name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
    ORDER BY rowid
    """,
    "postgres": """
    SELECT relname
    FROM pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace
      AND relkind IN ('r', 'p') AND NOT relispartition
    ORDER BY oid
    """,
}

COLUMNS = {
    "sqlite": """
    SELECT name, type, "notnull", pk FROM pragma_table_info(:table) ORDER BY cid
    """,
    "postgres": """
    SELECT a.attname,
        replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
        a.attnotnull, coalesce(array_position(k.conkey, a.attnum), 0)
    FROM pg_attribute AS a
    LEFT JOIN pg_constraint AS k ON k.conrelid = a.attrelid AND k.contype = 'p'
    WHERE a.attrelid = quote_ident(:table)::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
    """,
}

REFERENCES = {
    "sqlite": """
    SELECT "from", "table", coalesce(
        "to",
        (SELECT name FROM pragma_table_info(k."table") AS parent WHERE parent.pk = k.seq + 1))
    FROM pragma_foreign_key_list(:table) AS k
    ORDER BY id DESC, seq
    """,
    "postgres": """
    SELECT a.attname, p.relname, f.attname
    FROM pg_constraint AS k
    JOIN pg_class AS p ON p.oid = k.confrelid
    CROSS JOIN unnest(k.conkey, k.confkey) AS pair (own, other)
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = pair.own
    JOIN pg_attribute AS f ON f.attrelid = k.confrelid AND f.attnum = pair.other
    WHERE k.conrelid = quote_ident(:table)::regclass AND k.contype = 'f' AND k.conparentid = 0
    ORDER BY k.oid
    """,
}
"""By dialect: a row for each column of a key."""


class Column(msgspec.Struct, frozen=True):
    """A column; ``references`` is ``table.column`` of the key that it refers to."""

    name: str
    type: str
    nullable: bool
    in_primary_key: bool
    references: str | None


class Table(msgspec.Struct, frozen=True):
    name: str
    columns: list[Column]


def read_schema(db: Database) -> list[Table]:
    """Every table, in the order in which they were made.

    Raises SchemaOutdated if there are no tables yet.
    """
    with db.transaction(read_only=True) as tx:
        names = [str(name) for (name,) in tx.client.query(TABLES[tx.client.dialect])]
        if not names:
            raise SchemaOutdated(["every migration"])
        return [Table(name, _columns(tx, name)) for name in names]


def mermaid(tables: list[Table]) -> str:
    """An entity diagram of the tables, in Mermaid's language."""
    lines = ["erDiagram"]
    for table in tables:
        for column in table.columns:
            if column.references is not None:
                parent = column.references.partition(".")[0]
                least = "o|" if column.nullable else "||"
                lines.append(f"    {parent} {least}--o{{ {table.name} : {column.name}")
    for table in tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            keys = [
                key
                for key, holds in (
                    ("PK", column.in_primary_key),
                    ("FK", column.references is not None),
                )
                if holds
            ]
            mark = f" {', '.join(keys)}" if keys else ""
            lines.append(f"        {column.type.lower()} {column.name}{mark}")
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _columns(db: Database, table: str) -> list[Column]:
    client, of_table = db.client, {"table": table}
    parents = {
        column: f"{parent}.{key}"
        for column, parent, key in client.query(REFERENCES[client.dialect], of_table)
    }
    return [
        Column(name, kind, not required and not key, key > 0, parents.get(name))
        for name, kind, required, key in client.query(COLUMNS[client.dialect], of_table)
    ]
