"""What a migration's statements would do beyond what they say, as SQLite itself tells it.

While it compiles a statement, SQLite asks an authorizer about each table that the statement would
write to, and about each PRAGMA, by its own reading of the text (https://sqlite.org/c3ref/set_authorizer).
So no spelling gets by, and where nothing is dropped it costs a call or two for each statement.
"""

from __future__ import annotations

from typing import Any

import apsw

from forgedb.drivers.sqlite.errors import RefusedError
from forgedb.sql.pragmas import OF_NO_SESSION, Refused, is_so, refusal_of

# Where foreign keys are checked, SQLite deletes a table's rows before it drops the table, and with
# them, or emptied of their reference, the rows of other tables (https://sqlite.org/lang_droptable).
REFERENCES = """
SELECT id, "from", "to"
FROM pragma_foreign_key_list(:child, :schema)
WHERE lower("table") = lower(:parent) AND on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
ORDER BY id, seq
"""

PRIMARY_KEY = """
SELECT name FROM pragma_table_info(:parent, :schema) WHERE pk > 0 ORDER BY pk
"""
"""What a foreign key refers to that names no column."""

_DROPS = (apsw.SQLITE_DROP_TABLE, apsw.SQLITE_DROP_TEMP_TABLE)
_WRITES = (apsw.SQLITE_DELETE, apsw.SQLITE_UPDATE)
_NO_FILES = (None, "", ":memory:")
_ATTACHMENTS = (apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH)

DETACH = (
    "no database can be detached in a transaction, and this one will be when the file has been"
    " applied: leave it out"
)


ELSEWHERE = (
    "the files are only tried here, on a copy or in a scratch database, and that file would be"
    " written to: stop at the number before, or try the folder on copies of both"
)


class _TakingAlong(Exception):
    """Dropping a table would do something to another one's rows, if it has any that refer to it."""

    def __init__(self, schema: str, parent: str, child: str) -> None:
        super().__init__(schema, parent, child)
        self.schema, self.parent, self.child = schema, parent, child


class _Setting(Exception):
    """A PRAGMA is refused unless it changes nothing."""

    def __init__(self, name: str, value: str, refused: Refused) -> None:
        super().__init__(name, value)
        self.name, self.value, self.refused = name, value, refused


class Guard:
    """In the place of a connection's cursor, while a migration is run on it."""

    def __init__(self, raw: apsw.Connection, *, attaches: bool) -> None:
        self._raw = raw
        self._cursor = raw.cursor()
        self._attaches = attaches
        self.session_changed = False
        """Whether something was changed that is the connection's: a later file would see it."""
        self._dropped: tuple[str, str] | None = None
        """The schema and name of the table that the statement drops."""
        self._allowed: set[str] = set()
        """The tables and PRAGMAs of the statement that were checked, and do no harm."""

    def execute(self, text: str, *parameters: Any) -> apsw.Cursor:
        return self._guarded(self._cursor.execute, text, *parameters)

    def executemany(self, text: str, *parameters: Any) -> apsw.Cursor:
        return self._guarded(self._cursor.executemany, text, *parameters)

    def _guarded(self, run: Any, *arguments: Any) -> apsw.Cursor:
        raw, began = self._raw, False
        self._allowed.clear()
        try:
            while True:
                self._dropped = None
                try:
                    cursor: apsw.Cursor = run(*arguments)
                except _Setting as setting:
                    self._refuse_unless_so(setting)
                except _TakingAlong as found:
                    if not raw.in_transaction:
                        # So that nobody adds a row between the check and the drop.
                        raw.execute("BEGIN IMMEDIATE")
                        began = True
                    self._refuse_taking_along(found)
                else:
                    if began:
                        raw.execute("COMMIT")
                    return cursor
        except BaseException:
            if began and raw.in_transaction:
                raw.execute("ROLLBACK")
            raise

    def authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, _: str | None
    ) -> int:
        """What SQLite asks while it compiles; what is raised here ends the statement there."""
        if action in _DROPS:
            self._dropped = schema or "main", first or ""
        elif action in _WRITES:
            self._ask_of_children(first or "", schema)
        elif action == apsw.SQLITE_PRAGMA:
            self._ask_of_pragma((first or "").lower(), second)
        elif action in _ATTACHMENTS:
            self.session_changed = True
            if action == apsw.SQLITE_DETACH and self._raw.in_transaction:
                raise RefusedError(DETACH)
            if action == apsw.SQLITE_ATTACH and not self._attaches and first not in _NO_FILES:
                raise RefusedError(ELSEWHERE)
        elif schema == "temp" and action == apsw.SQLITE_INSERT:
            self.session_changed = True
        return apsw.SQLITE_OK

    def _ask_of_children(self, table: str, schema: str | None) -> None:
        if self._dropped is None or self._dropped == (schema, table):
            return
        if table not in self._allowed and not table.startswith("sqlite_"):
            raise _TakingAlong(*self._dropped, table)

    def _ask_of_pragma(self, name: str, value: str | None) -> None:
        refused = refusal_of(name, value, in_transaction=self._raw.in_transaction)
        if refused is not None and name not in self._allowed:
            if refused.unless_it_is_so:
                raise _Setting(name, value or "", refused)
            raise RefusedError(refused.why)
        if value is not None and name not in OF_NO_SESSION:
            self.session_changed = True

    def _refuse_unless_so(self, setting: _Setting) -> None:
        if not is_so(setting.name, setting.value, self._raw.pragma(setting.name)):
            raise RefusedError(setting.refused.why)
        self._allowed.add(setting.name)

    def _refuse_taking_along(self, found: _TakingAlong) -> None:
        names = {"schema": found.schema, "parent": found.parent, "child": found.child}
        keys: dict[int, list[tuple[str, str | None]]] = {}
        references: Any = self._raw.execute(REFERENCES, names).fetchall()
        for key, child_column, parent_column in references:
            keys.setdefault(key, []).append((child_column, parent_column))
        for columns in keys.values():
            named = [parent_column for _, parent_column in columns if parent_column is not None]
            primary_key: Any = self._raw.execute(PRIMARY_KEY, names).fetchall()
            named = named or [name for (name,) in primary_key]
            pairs = zip(named, [child_column for child_column, _ in columns], strict=False)
            # The parent's column first: its collation decides.
            same = " AND ".join(
                f"parent.{_quoted(theirs)} = child.{_quoted(own)}" for theirs, own in pairs
            )
            schema, parent, child = (_quoted(name) for name in found.args)
            pairing = f"{schema}.{child} AS child JOIN {schema}.{parent} AS parent ON {same}"
            if self._raw.execute(f"SELECT EXISTS (SELECT 1 FROM {pairing})").get:  # noqa: S608
                raise RefusedError(
                    f"with {found.parent} the rows of {found.child} would go that refer to it, or"
                    " their references: to make a table anew, begin the file with"
                    " `-- forgedb: rebuild`; to be rid of it, first delete what of"
                    f" {found.child} is to go"
                )
        self._allowed.add(found.child)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
