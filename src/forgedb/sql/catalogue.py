"""The one catalogue of SQL: every statement a DAO can send is a constant registered here.

Tests prepare and EXPLAIN all of them on every database.  The text uses ``:name`` parameters.
"""

from __future__ import annotations

CATALOGUE: list[Sql] = []


class Sql:
    """One statement, with its text for each database; ``own`` if it is forgedb's.

    ``sets_session`` if it may change its session beyond the end of its transaction.
    """

    __slots__ = ("own", "postgres", "sets_session", "sqlite")

    def __init__(
        self, sqlite: str, postgres: str, *, own: bool = False, sets_session: bool = False
    ) -> None:
        self.sqlite = sqlite
        self.postgres = postgres
        self.own = own
        self.sets_session = sets_session

    def __repr__(self) -> str:
        return f"Sql({' '.join(self.sqlite.split())!r})"


def sql(text: str | None = None, *, sqlite: str = "", postgres: str = "") -> Sql:
    """Register a statement: one ``text`` for both databases, or one for each."""
    statement = Sql(text or sqlite, text or postgres, own=True)
    if not (statement.sqlite and statement.postgres):
        raise ValueError("a statement needs one text for both databases, or a text for each")
    CATALOGUE.append(statement)
    return statement
