"""The client: the caller's own SQL, with ``:name`` parameters on every database.

Like the DAOs, it is made of operations without I/O, so it works the same on every handle.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from forgedb.errors import NAMES_MAX, UsageError, named
from forgedb.operations.binding import AsyncRunner, Context, Dao, H_co, Operation, SyncRunner
from forgedb.operations.steps import Change, Select, Steps
from forgedb.sql.catalogue import Sql
from forgedb.sql.lexer import Dialect, tokens
from forgedb.sql.placeholders import compile_text
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D", bound="Dao[Any]")
T = TypeVar("T")

Params = Mapping[str, Any]

COMPILED_MAX = 1000

_READING = {"select", "values", "explain", "pragma", "show", "table", "with"}
_WRITING = {"insert", "update", "delete", "replace", "merge"}

_SETTING = {"reset", "listen", "unlisten", "load", "prepare", "deallocate", "declare", "do"}
_SETTING_FUNCTIONS = {
    "set_config",
    "setseed",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
}
_TEMPORARY = {"temp", "temporary", "pg_temp"}


class Prepared:
    """A caller's SQL text: its statement, its parameters' names, and whether it only reads."""

    __slots__ = ("names", "reads", "statement")

    def __init__(self, text: str, dialect: Dialect) -> None:
        if not isinstance(text, str):
            raise UsageError(f"SQL is text, not {type(text).__name__}")
        self.names = compile_text(text, dialect).names
        statement = _only_statement(text, dialect)
        self.statement = Sql(text, text, sets_session=_sets_session(statement, text, dialect))
        self.reads = _only_reads(statement, text, dialect)

    def bind(self, params: Params | None) -> dict[str, Any]:
        """The parameters, all of them and no others.  Raises UsageError."""
        if params is not None and not isinstance(params, Mapping):
            raise UsageError(
                f"parameters are named: give a mapping for {self._wanted()},"
                f" not {type(params).__name__}"
            )
        given: dict[str, Any] = {} if params is None else {**params}
        if set(given) != set(self.names):
            raise UsageError(
                f"the statement takes {self._wanted()}, and was given {_listed(given)}"
            )
        return given

    def _wanted(self) -> str:
        return ", ".join(f":{name}" for name in self.names) or "no parameters"


_prepared: dict[tuple[str, Dialect], Prepared] = {}


def prepared(text: str, dialect: Dialect) -> Prepared:
    """The parsed text; it is cached, since programs send the same few texts again and again."""
    try:
        found = _prepared.get((text, dialect))
    except TypeError:
        # It can't be hashed, so it is no text: Prepared raises the error.
        found = None
    if found is None:
        found = Prepared(text, dialect)
        if len(_prepared) >= COMPILED_MAX:
            _prepared.clear()
        _prepared[text, dialect] = found
    return found


class _Free(Operation[P, R]):
    """An operation on any schema, forgedb's or not; a query's text says whether it writes."""

    def _bind(self, dao: Dao[Any]) -> Callable[..., Any]:
        function, runner = self.function, dao._runner
        write = runner.bound(function, dao, "write", on_any_schema=True)
        if self.mode == "write":
            return self._shown(write)
        query = runner.bound(function, dao, "query", on_any_schema=True)

        def bound(*args: Any, **kwargs: Any) -> Any:
            return (query if _reads_only(dao, args, kwargs) else write)(*args, **kwargs)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await bound(*args, **kwargs)

        return self._shown(awaited if isinstance(runner, AsyncRunner) else bound)


def _asks(function: Callable[Concatenate[D, P], Steps[R]]) -> Operation[P, R]:
    return _Free(function, "query", needs_actor=False)


def _runs(function: Callable[Concatenate[D, P], Steps[R]]) -> Operation[P, R]:
    return _Free(function, "write", needs_actor=False)


class DbClient(Dao[H_co]):
    """The caller's own statements; ``:name`` parameters get their values from a mapping.

    Every method raises UsageError for invalid text or parameters, and forgedb's own errors for
    what the database refuses.
    """

    @property
    def dialect(self) -> Dialect:
        """``"sqlite"`` or ``"postgres"``."""
        return self._runner.dialect

    @_asks
    def query(self, sql: str, params: Params | None = None) -> Steps[list[tuple[Any, ...]]]:
        """Every row, as a tuple of the driver's own values."""
        return _select(self, sql, params)

    @_asks
    def query_one(self, sql: str, params: Params | None = None) -> Steps[tuple[Any, ...] | None]:
        """The first row, or None."""
        return _first(self, sql, params)

    @_asks
    def query_value(self, sql: str, params: Params | None = None) -> Steps[Any]:
        """The first column of the first row, or None."""
        return _single(self, sql, params)

    @_asks
    def query_as(self, model: type[T], sql: str, params: Params | None = None) -> Steps[list[T]]:
        """Every row as a ``model``, a msgspec Struct whose fields the columns fill in order."""
        return _select(self, sql, params, model)

    @_runs
    def execute(self, sql: str, params: Params | None = None) -> Steps[int]:
        """Run a statement; returns how many rows it changed."""
        return _change(self, sql, params)

    @_runs
    def execute_many(self, sql: str, params: Iterable[Params]) -> Steps[int]:
        """Run a statement once for each mapping, all or none; returns how many rows changed."""
        return _change_many(self, sql, params)

    def prepare(self, sql: str) -> Statement[H_co]:
        """The statement, checked now, to run again and again.  Raises UsageError."""
        return Statement(self._runner, self.context, sql)


class Statement(Dao[H_co]):
    """A prepared statement: it has the client's methods without the text, with the same errors."""

    def __init__(self, runner: H_co, context: Context, text: str) -> None:
        super().__init__(runner, context)
        self.text = text
        self.names = prepared(text, runner.dialect).names

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"

    @_asks
    def query(self, params: Params | None = None) -> Steps[list[tuple[Any, ...]]]:
        """Every row, as a tuple of the driver's own values."""
        return _select(self, self.text, params)

    @_asks
    def query_one(self, params: Params | None = None) -> Steps[tuple[Any, ...] | None]:
        """The first row, or None."""
        return _first(self, self.text, params)

    @_asks
    def query_value(self, params: Params | None = None) -> Steps[Any]:
        """The first column of the first row, or None."""
        return _single(self, self.text, params)

    @_runs
    def execute(self, params: Params | None = None) -> Steps[int]:
        """Run it; returns how many rows it changed."""
        return _change(self, self.text, params)

    @_runs
    def execute_many(self, params: Iterable[Params]) -> Steps[int]:
        """Run it once for each mapping, all or none; returns how many rows it changed."""
        return _change_many(self, self.text, params)


class SyncClient(DbClient[SyncRunner]):
    """A client for threads."""

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SyncClient]:
        """A client on one connection: committed at the block's end, rolled back if it raises.

        A transaction inside another is a savepoint.  ``read_only`` reads see one snapshot.
        """
        with self._runner.transaction(read_only=read_only) as runner:
            yield SyncClient(runner, self.context)

    def close(self) -> None:
        """Close the database's connections."""
        self._runner.close()


class AsyncClient(DbClient[AsyncRunner]):
    """A client for tasks."""

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncGenerator[AsyncClient]:
        """Like SyncClient's: committed at the block's end, rolled back if it raises."""
        async with self._runner.transaction(read_only=read_only) as runner:
            yield AsyncClient(runner, self.context)

    async def close(self) -> None:
        """Close the database's connections."""
        await self._runner.close()


def _select(
    dao: Dao[Any], text: str, params: Params | None, model: type[Any] | None = None
) -> Steps[list[Any]]:
    found = prepared(text, dao._runner.dialect)
    rows: list[Any] = yield Select(found.statement, found.bind(params), model)
    return rows


def _first(dao: Dao[Any], text: str, params: Params | None) -> Steps[tuple[Any, ...] | None]:
    rows = yield from _select(dao, text, params)
    return rows[0] if rows else None


def _single(dao: Dao[Any], text: str, params: Params | None) -> Steps[Any]:
    first = yield from _first(dao, text, params)
    return first[0] if first else None


def _change(dao: Dao[Any], text: str, params: Params | None) -> Steps[int]:
    found = prepared(text, dao._runner.dialect)
    changed: int = yield Change(found.statement, found.bind(params))
    return changed


def _change_many(dao: Dao[Any], text: str, params: Iterable[Params]) -> Steps[int]:
    found = prepared(text, dao._runner.dialect)
    changed = 0
    several: object = params
    if not isinstance(several, Iterable) or isinstance(several, str | bytes | Mapping):
        kind: type[object] = type(params)
        raise UsageError(f"parameters of many are mappings in a list, not {kind.__name__}")
    # One by one: a single count for many would include rows that triggers changed.
    for given in params:
        changed += yield Change(found.statement, found.bind(given))
    return changed


def _listed(names: Iterable[object]) -> str:
    """The first few of the names that were given, and how many more."""
    first = [*map(named, names)]
    more = [f"{len(first) - NAMES_MAX} more"] if len(first) > NAMES_MAX else []
    return ", ".join([*first[:NAMES_MAX], *more]) or "none"


def _reads_only(dao: Dao[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if isinstance(dao, Statement):
        text = dao.text
    else:
        text = next((given for given in (kwargs.get("sql"), *args) if isinstance(given, str)), "")
    return prepared(text, dao._runner.dialect).reads


def _only_statement(text: str, dialect: Dialect) -> ScriptStatement:
    """The text's one statement.  Raises UsageError."""
    try:
        statements = split(text, dialect)
    except ScriptError as error:
        raise UsageError(f"SQL text, {error}") from error
    if len(statements) != 1:
        raise UsageError(
            f"the text holds {len(statements)} statements: send one at a time, in a transaction"
            " where they belong together"
        )
    (statement,) = statements
    keyword = transaction_control(statement)
    if keyword is not None:
        raise UsageError(f"{keyword} is refused: use transaction() for a block of statements")
    return statement


def _only_reads(statement: ScriptStatement, text: str, dialect: Dialect) -> bool:
    """Whether it only reads; if in doubt, False, so that it gets a write transaction."""
    first = statement.opening[0].lower() if statement.opening else ""
    if first not in _READING:
        return False
    if first == "pragma":
        return "=" not in text
    if first != "with":
        return True
    return _WRITING.isdisjoint(_words(text, dialect))


def _sets_session(statement: ScriptStatement, text: str, dialect: Dialect) -> bool:
    """Whether it may change the state of a PostgreSQL session, as far as the text shows."""
    if dialect == "sqlite" or not statement.opening:
        return False
    first, *rest = (word.lower() for word in statement.opening)
    if first == "set":
        return rest[:1] not in (["local"], ["constraints"], ["transaction"])
    words = _words(text, dialect)
    if first in ("create", "select", "with") and not _TEMPORARY.isdisjoint(words):
        return first == "create" or "into" in words
    return first in _SETTING or not _SETTING_FUNCTIONS.isdisjoint(words)


def _words(text: str, dialect: Dialect) -> set[str]:
    return {token.text.lower() for token in tokens(text, dialect) if token.kind == "word"}
