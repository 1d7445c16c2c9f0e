"""Where files are run, and where their history is: two schemas of PostgreSQL's.

They are found once, when a run begins, and the history is named with its schema from then on:
whatever a file does to the search_path, its history stays the same one.
"""

from __future__ import annotations

from shlex import quote

import msgspec

from forgedb.errors import UsageError
from forgedb.limits import POSTGRES_NAME_BYTES_MAX
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql
from forgedb.sql.lexer import Dialect

# Run before anything is known of the database, and so with each function's schema and exact types.
WHERE = sql(
    sqlite="SELECT :table, :schema, :history_schema WHERE false",
    postgres="""
    SELECT
        CAST(pg_catalog.current_schema() AS text),
        (
            SELECT CAST(n.nspname AS text)
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.oid = CAST(pg_catalog.to_regclass(CAST(:table AS text)) AS oid)
        ),
        EXISTS (
            SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = CAST(:schema AS name)
        ),
        EXISTS (
            SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = CAST(:history_schema AS name)
        )
    """,
)
"""The first schema of the search_path, the schema of the table that is found along it, and whether
the given schemas exist."""

# Based on the session's initial search_path, not on what a file has set.
ENTER = sql(
    sqlite="SELECT :schema, :is_local, :is_all WHERE false",
    postgres="""
    SELECT pg_catalog.set_config(
        'search_path',
        pg_catalog.quote_ident(CAST(:schema AS text))
        || CASE
            WHEN s.reset_val = '' OR CAST(:is_all AS boolean) THEN ''
            ELSE ', ' || s.reset_val
        END,
        CAST(:is_local AS boolean))
    FROM pg_catalog.pg_settings AS s
    WHERE s.name = 'search_path'
    """,
)


class Resolved(msgspec.Struct, frozen=True):
    """``history`` is the schema of the history, ``files`` that of what the files make."""

    history: str | None
    files: str | None

    def made_with(self) -> list[str]:
        """The statements that make these schemas in an empty database."""
        named = dict.fromkeys(name for name in (self.history, self.files) if name)
        return [f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}" for name in named]


class Schemas:
    """``schema`` is that of the files, and of their history unless ``history_schema`` is another.

    Where neither is given, both are the search_path's first schema.  With ``along_the_path``, a
    history that is found anywhere along the search_path goes before that.

    Raises UsageError (a name that no schema has, or a database that has no schemas).
    """

    def __init__(
        self,
        dialect: Dialect,
        schema: str | None = None,
        history_schema: str | None = None,
        *,
        along_the_path: bool = False,
    ) -> None:
        for name, option in ((schema, "schema"), (history_schema, "history_schema")):
            if name is not None:
                _check(name, option, dialect)
        self.schema = schema
        self._dialect = dialect
        self._history_schema = history_schema
        self._along_the_path = along_the_path

    @property
    def is_chosen(self) -> bool:
        """Whether a schema was given for the files or the history."""
        return self.schema is not None or self._history_schema is not None

    @property
    def options(self) -> str:
        """What the command line needs to find the same place again."""
        words = "" if self.schema is None else f" --schema {quote(self.schema)}"
        if self._history_schema is not None:
            words += f" --history-schema {quote(self._history_schema)}"
        return words

    def find(self, table: str) -> Steps[Resolved]:
        """In which schemas the history, and what the files make, are to be.

        Raises UsageError (there is no such schema, or none in the search_path).
        """
        if self._dialect == "sqlite":
            return Resolved(None, None)
        given = {"schema": self.schema, "history_schema": self._history_schema}
        ((current, visible, has_files, has_history),) = yield from rows(WHERE, table=table, **given)
        for name, is_there in ((self.schema, has_files), (self._history_schema, has_history)):
            if name is not None and not is_there:
                raise UsageError(
                    f"there is no schema {name}: make it first, with"
                    f" CREATE SCHEMA {quoted(name)}, as the role that is to own it"
                )
        files = self.schema or current
        history = self._history_schema or self.schema
        if history is None:
            history = (visible if self._along_the_path else None) or current
        if history is None or files is None:
            raise UsageError(
                "no schema of the search_path is there, so that nothing can be made: name one"
                " with --schema (a library's Migrator: schema=), or ALTER ROLE … SET search_path"
            )
        return Resolved(history, files)

    def enter(self, *, for_the_transaction: bool = True, alone: bool = False) -> Steps[None]:
        """Let statements find the schema's tables first, and make theirs there.

        The rest of the session's search_path comes behind it, unless it is to be ``alone``.
        """
        if self.schema is not None:
            yield from rows(ENTER, schema=self.schema, is_local=for_the_transaction, is_all=alone)


def quoted(name: str) -> str:
    """The name as SQL takes it, whatever stands in it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def full(schema: str | None, table: str) -> str:
    """A table's name as SQL takes it, with its schema."""
    return table if schema is None else f"{quoted(schema)}.{table}"


def shown(schema: str | None, table: str) -> str:
    """A table's name as people write it."""
    return table if schema is None else f"{schema}.{table}"


def _check(name: str, option: str, dialect: Dialect) -> None:
    word = "--" + option.replace("_", "-")
    if dialect == "sqlite":
        raise UsageError(
            f"{word} is for PostgreSQL: a file of SQLite's has no schemas, and what is attached to"
            " it isn't migrated; give each tenant a file of its own"
        )
    if (
        not isinstance(name, str)
        or not 0 < len(name.encode(errors="replace")) <= POSTGRES_NAME_BYTES_MAX
    ):
        raise UsageError(f"{name!r} is no schema's name ({word}): it has 1 to 63 bytes")
    if "\0" in name or name.startswith("pg_") or name == "information_schema":
        raise UsageError(f"{name!r} is no schema for tables of one's own ({word}): name another")
