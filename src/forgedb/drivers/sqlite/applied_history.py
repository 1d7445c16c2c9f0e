"""What a file's history of migrations says, read past all the rest of the library.

For a start at which nothing is to be done, and which shouldn't take long to say so.
"""

from __future__ import annotations

import apsw

# Whatever bears the name, or begins with it: a view, a trigger, or what is kept beside the history.
TABLES = """
SELECT type, name, tbl_name
FROM sqlite_schema
WHERE (name LIKE 'schema_migrations%' OR tbl_name LIKE 'schema_migrations%')
AND type <> 'index'
"""

RECORDED = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"


def recorded(path: str) -> list[tuple[object, ...]] | None:
    """Number, name and checksum of each migration; None where anything isn't as it mostly is.

    There is the table, and nothing beside it, in a database that can be read at once.
    """
    try:
        # As the command opens it: whoever only reads would leave an empty log beside the file.
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
