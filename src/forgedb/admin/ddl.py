"""The schema of a live database as SQL that makes it again: one text for one schema.

SQLite keeps each object's text as it was written.  PostgreSQL's is put together from its catalogue
(``ddl_postgres``), in a fixed order, so that the text doesn't depend on the history of the
schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from textwrap import dedent

from forgedb.admin.ddl_postgres import BELONGS, DEPENDENCIES, FIRST, SEQUENCES, STATEMENTS, WITHIN
from forgedb.client import SyncClient
from forgedb.database import Database
from forgedb.sql.lexer import tokens

# A virtual table's shadow tables are made along with it, and so are left out.
SQLITE = """
SELECT sql
FROM sqlite_schema
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND tbl_name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
ORDER BY instr('table index view trigger', type), rowid
"""

Key = tuple[int, int]
"""An object of PostgreSQL's catalogue: the oid of the catalogue's table, and its own."""


def schema_sql(db: Database) -> str:
    """The statements that make the schema of the database, as it is now, in an empty one.

    On PostgreSQL it is the schema that comes first in search_path, with its extensions; without
    owners, privileges, storage settings and the names of NOT NULL constraints.  A comment at the
    top names the objects that can't be written, such as an aggregate.  Where two objects need each
    other, such as a table and a function of its rows that gives a default, both are written, but
    the statements don't load.
    """
    with db.transaction(read_only=True) as tx:
        client = tx.client
        if client.dialect == "sqlite":
            statements = [_as_written(text) for (text,) in client.query(SQLITE)]
        else:
            statements = list(_of_postgres(client))
    return "".join(f"{statement}\n\n" for statement in statements).removesuffix("\n")


def _as_written(text: str) -> str:
    """The statement with its semicolon, and without the indentation of the file that it is from."""
    text = text.rstrip()
    read = list(tokens(text, "sqlite"))
    # White space in a string is part of the schema.
    if not any(token.kind == "quoted" and "\n" in token.text for token in read):
        first, line_end, rest = text.partition("\n")
        # The last line stands at the statement's left edge: its indentation is common to all lines.
        text = first + line_end + dedent(rest)
    return text + ("\n;" if read[-1].text.startswith("--") else ";")


def _of_postgres(client: SyncClient) -> Iterator[str]:
    depends = [
        ((catalogue, oid), (other_catalogue, other), kind)
        for catalogue, oid, other_catalogue, other, kind in client.query(DEPENDENCIES)
    ]
    of_extensions = {key for key, _, kind in depends if kind == "e"}
    steps = sorted(
        (rank, name, text, (catalogue, oid))
        for rank, query in enumerate(STATEMENTS)
        for catalogue, oid, name, text in client.query(query)
        if (catalogue, oid) not in of_extensions
    )
    makers: dict[Key, int] = {}
    """By object, the position of the step that makes it; other steps on the object come later."""
    for position, (_, _, _, key) in enumerate(steps):
        makers.setdefault(key, position)
    parts = {key for key, _, kind in depends if kind in BELONGS}
    for what, catalogue, oid in sorted(client.query(WITHIN)):
        if (catalogue, oid) not in makers.keys() | parts:
            # A line end in a name would end the comment.
            yield f"-- not written: {' '.join(what.split())}"
    if steps:
        yield FIRST
    for position in _in_order(_needs(steps, makers, depends)):
        yield steps[position][2].rstrip("; \n") + ";"


def _needs(
    steps: list[tuple[int, str, str, Key]],
    makers: dict[Key, int],
    depends: list[tuple[Key, Key, str]],
) -> dict[int, set[int]]:
    """By step, the steps that must come before it."""
    needs = {position: {makers[key]} - {position} for position, (*_, key) in enumerate(steps)}
    wholes = {key: other for key, other, kind in depends if kind in BELONGS}

    def maker_of(key: Key) -> int | None:
        seen: set[Key] = set()
        while key not in makers and key in wholes and key not in seen:
            seen.add(key)
            key = wholes[key]
        return makers.get(key)

    for key, other, kind in depends:
        one, before = maker_of(key), maker_of(other)
        if one is None or before is None or one == before:
            continue
        # A sequence that a column owns is made before it, for the column's default.
        if kind != "a" or steps[one][0] != SEQUENCES:
            needs[one].add(before)
    return needs


def _in_order(needs: dict[int, set[int]]) -> Iterator[int]:
    """Each step after those it needs, else the lowest first; a cycle is cut at one edge."""
    while True:
        order = TopologicalSorter(needs)
        try:
            order.prepare()
        except CycleError as error:
            before, after, *_ = error.args[1]
            needs[after].discard(before)
        else:
            break
    ready: list[int] = []
    while order.is_active():
        for position in order.get_ready():
            heappush(ready, position)
        position = heappop(ready)
        yield position
        order.done(position)
