"""Whether a database has the schema that this code needs: checked before its first operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forgedb.errors import SchemaOutdated
from forgedb.migrations.comparison import (
    compare,
    others_files,
    problem_of,
)
from forgedb.migrations.files import load, packaged
from forgedb.migrations.history import (
    TABLE,
    HistoryTable,
)
from forgedb.operations.binding import Mode
from forgedb.operations.steps import Steps

if TYPE_CHECKING:
    from forgedb.sql.lexer import Dialect


def schema_check(dialect: Dialect, mode: Mode) -> Steps[bool]:
    """Whether the database has what this code needs; SchemaOutdated, MigrationError if not.

    Its history is where its tables are: where the search_path leads to.

    Raises MigrationDrift for what isn't a table, before anything is read from it.

    A database that is newer than the code may be read, and warns of it.
    """
    # Imported late: a program that only migrates doesn't need it.
    from forgedb.schema_check.comparison import require_tables

    files = load(packaged(dialect))
    history = yield from HistoryTable().read()
    unknown = others_files(files, history, TABLE, is_own=True)
    if unknown is not None:
        raise unknown
    states = compare(files, history)
    lacking = [each.label for each in states if each.is_pending]
    if lacking:
        raise SchemaOutdated(lacking)
    newer = [each for each in states if each.state == "newer"]
    yield from require_tables(dialect, files[-1].version, may_lack=bool(newer))
    if newer:
        if mode == "write":
            problem = problem_of(newer[0], states)
            assert problem is not None, "a newer database is one"
            raise problem
        import warnings

        warnings.warn(
            f"the database has migration {newer[-1].version}, and this forgedb knows up to"
            f" {files[-1].version}: upgrade forgedb; until then it only reads",
            stacklevel=2,
        )
        return False
    return True
