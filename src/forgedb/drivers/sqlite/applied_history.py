"""An SQLite file's history of migrations, read without the rest of the library.

For a start at which nothing is pending, which should be quick.
"""

from __future__ import annotations

import apsw

# All whose name begins so: also a view, a trigger, or a table that is kept beside the history.
TABLES = """
SELECT type, name, tbl_name
FROM sqlite_schema
WHERE (name LIKE 'schema_migrations%' OR tbl_name LIKE 'schema_migrations%')
AND type <> 'index'
"""

RECORDED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"


def recorded(path: str) -> list[tuple[object, ...]] | None:
    """Number, name and checksum of each migration; None in any but the usual case.

    The usual case: the table alone, nothing beside it, in a database that can be read at once.
    """
    try:
        # As the command opens it: a read-only connection would leave an empty log beside the file.
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            return _read(connection)
        finally:
            connection.close()
    except apsw.Error:
        return None


def _read(connection: apsw.Connection) -> list[tuple[object, ...]] | None:
    connection.pragma("query_only", True)
    connection.execute("BEGIN")
    tables = connection.execute(TABLES).fetchall()
    if tables != [("table", "schema_migrations", "schema_migrations")]:
        return None
    if connection.pragma("encoding") != "UTF-8":
        return None
    return [tuple(row) for row in connection.execute(RECORDED)]
