"""Every statement of the catalogue, prepared on the schema that the migrations make, and its plan.

A statement must find its rows through an index and in the order it gives them: no full scan of a
table that grows, no temporary sort.  What is excepted is named here, with the reason.
"""

from __future__ import annotations

import json
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import psycopg
import pytest

import forgedb
from forgedb.drivers.postgres.values import ADAPTERS
from forgedb.migrations import history, marks, repeatable
from forgedb.sql import advisory_locks
from forgedb.sql.catalogue import CATALOGUE, Sql
from forgedb.sql.placeholders import compile_text
from tests.servers.postgres import Databases

SCHEMA_HAS_FEW_ROWS = "SQLite's own table of the schema has a row an index"
SCHEMA_IS_READ = "SQLite's own table of the schema is read whole"

for _module in pkgutil.walk_packages(forgedb.__path__, "forgedb."):
    if not _module.name.endswith(".__main__"):
        import_module(_module.name)

ONE_ROW = {
    **dict.fromkeys(
        (f"forgedb.dao.identity.{name}" for name in ("SELECT", "LOCK", "STANDING")),
        "the table has one row",
    ),
    "forgedb.dao.identity.ANY_REPOSITORY": "the first row that there is will do",
    "forgedb.audit.verify.IDENTITIES": "the table has one row, and this finds out whether it has",
}

EXCEPTIONS = ONE_ROW | {
    "forgedb.migrations.references.PARENTLESS": "each table's foreign keys, around a rebuild",
    "forgedb.migrations.history.SHADOWING": "what is temporary, of one file",
    "forgedb.migrations.rebuild_check.VIEWS": "each view, around a rebuild",
    "forgedb.audit.checkpoint_steps.NOT_YET_ANCHORED": (
        "which heads no checkpoint holds is known only from all heads and all checkpoints"
    ),
    "forgedb.audit.verify.ERAS": "verify walks everything on purpose: any repository may be ahead",
    "forgedb.audit.verify.WITHOUT_ENTRIES": (
        "verify walks everything on purpose: a stream without entries shows only by its row"
    ),
    "forgedb.dao.leases.dao.LIST[(False, True)]": (
        "the leases that end within the time asked for are found by the index on it, and sorted by"
        " id; in the order of ids every open lease would be read"
    ),
    "forgedb.migrations.history.EXIST": SCHEMA_HAS_FEW_ROWS,
    "forgedb.migrations.other_histories.HISTORIES": SCHEMA_HAS_FEW_ROWS,
    "forgedb.migrations.history_move.TABLE_TEXT": SCHEMA_HAS_FEW_ROWS,
    "forgedb.migrations.history.BESIDE_EXISTS": "SQLite's own table of the schema is small",
    "forgedb.migrations.repeatable.SELECT_REPEATABLE": "there are few, and all are read",
    "forgedb.migrations.history.SUSPECT": SCHEMA_HAS_FEW_ROWS,
    "forgedb.schema_check.catalogue.PARTS": SCHEMA_IS_READ,
    "forgedb.schema_check.catalogue.PARTS_OF_SCHEMA": SCHEMA_IS_READ,
    "forgedb.schema_check.catalogue.NAMES": SCHEMA_IS_READ,
    "forgedb.schema_check.catalogue.VERSION": "the history has a row a file, and its last is read",
    "forgedb.migrations.history.SELECT_ALL": "the history has a row a file, and is read whole",
    "forgedb.migrations.history.SELECT_BEGUN": "there is hardly ever a row, and all are read",
    "forgedb.migrations.marks.SELECT_MARKED": "there is hardly ever a row, and all are read",
}
"""By constant: why its plan may scan or sort."""

_is_function_scan = re.compile(r"SCAN \w+ VIRTUAL TABLE INDEX \d+:").match
_is_bare_search = re.compile(r"SEARCH \w+[^(]*").fullmatch
_alias = re.compile(r"SCAN (\w+)").match


def _constants(name: str, value: object) -> Iterator[tuple[str, Sql]]:
    """Every statement in a module's global, also within its dicts, tuples and lists."""
    if isinstance(value, Sql):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _constants(f"{name}[{_shown(key)}]", inner)
    elif isinstance(value, tuple | list) and value is not CATALOGUE:
        for position, inner in enumerate(value):
            yield from _constants(f"{name}[{position}]", inner)


def _shown(key: object) -> str:
    return repr(sorted(key)) if isinstance(key, frozenset) else repr(key)


def _named() -> dict[str, Sql]:
    """The catalogue's statements by the constant that holds each, in its own module."""
    found: dict[int, tuple[str, Sql]] = {}
    for module_name, module in sorted(sys.modules.items()):
        if module_name.split(".")[0] != "forgedb":
            continue
        for name, value in vars(module).items():
            for constant, statement in _constants(f"{module_name}.{name}", value):
                found.setdefault(id(statement), (constant, statement))
    return dict(found.values())


STATEMENTS = _named()

LOADED = Path(__file__).with_name("loaded.sql")

UNPLANNED = {
    "forgedb.migrations.history.CREATE",
    "forgedb.migrations.history.CREATE_BEGUN",
    "forgedb.migrations.marks.CREATE_MARKED",
    "forgedb.migrations.repeatable.CREATE_REPEATABLE",
}
"""PostgreSQL prepares no statement that defines a table, or sets something."""

BESIDE = (history.CREATE_BEGUN, marks.CREATE_MARKED, repeatable.CREATE_REPEATABLE)
"""Tables that most databases never have."""


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """A migrated database without rows or statistics: plans follow from the schema alone."""
    path = tmp_path_factory.mktemp("catalogue") / "forge.db"
    with forgedb.connect(f"sqlite:///{path}") as db:
        db.migrate()
    connection = apsw.Connection(str(path))
    connection.create_scalar_function("forgedb_system_identifier", lambda: "7", 0)
    for beside in BESIDE:
        connection.execute(beside.sqlite)
    assert not connection.table_exists("main", "sqlite_stat1")
    yield connection
    connection.close()


def _params(statement: Sql) -> dict[str, Any]:
    # Lists are the parameters that take part in the plan.
    lists = {
        "oids": apsw.carray((b"\0" * 20,)),
        "ids": apsw.carray(("",)),
        "names": apsw.carray(("",)),
    }
    return {name: lists.get(name) for name in compile_text(statement.sqlite, "sqlite").names}


def plan(connection: apsw.Connection, statement: Sql) -> list[str]:
    """The steps of the statement's plan, in words."""
    text = f"EXPLAIN QUERY PLAN {statement.sqlite}"
    return [str(row[3]) for row in connection.execute(text, _params(statement))]


def faults(steps: list[str]) -> list[str]:
    """What a plan must not have: a scan of stored rows, a sort."""
    made = ("CO-ROUTINE", "MATERIALIZE")
    made_here = {step.split()[1] for step in steps if step.startswith(made)}

    def is_fault(step: str) -> bool:
        # min() and max() without an index are called a search, of everything.
        if "USE TEMP B-TREE" in step or _is_bare_search(step):
            return True
        scanned = _alias(step)
        if scanned is None or step.startswith("SCAN CONSTANT ROW") or _is_function_scan(step):
            return False
        return scanned[1] not in made_here

    return [step for step in steps if is_fault(step)]


@pytest.fixture(scope="module")
def postgres_migrated(postgres: Databases) -> Iterator[psycopg.Connection[Any]]:
    """A migrated database with rows, by which PostgreSQL's planner goes."""
    with (
        postgres.new(migrated=True) as url,
        psycopg.connect(url, autocommit=True, context=ADAPTERS) as connection,
    ):
        connection.execute(LOADED.read_bytes())
        for beside in BESIDE:
            connection.execute(beside.postgres)
        # What is faster for a few rows alone is taken only where there is no other way.
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_sort = off")
        # A plan for any values, as statements that run often get.
        connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection


def postgres_plan(connection: psycopg.Connection[Any], statement: Sql) -> list[dict[str, Any]]:
    """The nodes of the statement's plan, from the first to the last."""
    text, names = compile_text(statement.postgres, "postgres")
    numbered = {name: f"${position}" for position, name in enumerate(names, 1)}
    prepared = (text % numbered).encode()
    connection.execute(b"PREPARE planned AS " + prepared)
    try:
        nulls = b"(" + b", ".join(b"NULL" for _ in names) + b")" if names else b""
        (found,) = connection.execute(b"EXPLAIN (FORMAT JSON) EXECUTE planned" + nulls).fetchone()
    finally:
        connection.execute(b"DEALLOCATE planned")
    ((plan),) = json.loads(found)
    nodes = [plan["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", ())
    return nodes


def postgres_faults(nodes: list[dict[str, Any]]) -> list[str]:
    """What a plan must not have: a scan of a table or of a whole index, a sort."""

    def is_fault(node: dict[str, Any]) -> bool:
        kind = node["Node Type"]
        if kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan"):
            return "Index Cond" not in node
        return kind in ("Seq Scan", "Sort", "Incremental Sort")

    return [
        f"{node['Node Type']} {node.get('Relation Name', '')}".strip()
        for node in filter(is_fault, nodes)
    ]


POSTGRES_EXCEPTIONS = ONE_ROW | {
    "forgedb.audit.checkpoint_steps.NOT_YET_ANCHORED": (
        "which heads no checkpoint holds is known only from all heads and all checkpoints"
    ),
    "forgedb.audit.verify.ERAS": "verify walks everything on purpose: any repository may be ahead",
    "forgedb.audit.verify.WITHOUT_ENTRIES": (
        "verify walks everything on purpose: a stream without entries shows only by its row"
    ),
    "forgedb.dao.objects.REPOSITORIES_WITH": (
        "those that have the object are found by its oid, and sorted: an index that also holds the"
        " repository would be twice as large"
    ),
    "forgedb.migrations.other_histories.HISTORIES": "it looks at every schema, before a first run",
    "forgedb.migrations.history_move.RULES": "it looks at the rules of one small table, once",
    "forgedb.migrations.transaction.DEFERRABLE": "it looks at every constraint of the database",
    "forgedb.migrations.rehearsal.LABELS": "it looks at every enum, in a rehearsal",
    "forgedb.migrations.history.STRANGERS": "it looks at every function and role, once a run",
    "forgedb.migrations.history.SUSPECT": "it looks at what was hung onto the history's tables",
    "forgedb.schema_check.catalogue.NO_TABLES": "it looks at the tables of the schema",
    "forgedb.schema_check.catalogue.PARTS": "it looks at every part of the schema",
    "forgedb.schema_check.catalogue.PARTS_OF_SCHEMA": "it looks at every part of the schema",
    "forgedb.schema_check.catalogue.NAMES": "it looks at all that there is",
    "forgedb.schema_check.catalogue.EXTENSIONS": "it looks at every extension",
    "forgedb.schema_check.catalogue.VERSION": "the history has a row a file, and its last is read",
    "forgedb.migrations.history.SELECT_ALL": "the history has a row a file, and is read whole",
    "forgedb.migrations.history.SELECT_BEGUN": "there is hardly ever a row, and all are read",
    "forgedb.migrations.marks.SELECT_MARKED": "there is hardly ever a row, and all are read",
    "forgedb.migrations.repeatable.SELECT_REPEATABLE": "there are few, and all are read",
    "forgedb.migrations.invalid_indexes.INVALID_INDEXES": "it looks at every index of the database",
}


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - UNPLANNED))
def test_the_statement_can_be_prepared_on_postgres(
    postgres_migrated: psycopg.Connection[Any], name: str
) -> None:
    nodes = postgres_plan(postgres_migrated, STATEMENTS[name])
    if name not in POSTGRES_EXCEPTIONS:
        assert postgres_faults(nodes) == []


@pytest.mark.parametrize("name", POSTGRES_EXCEPTIONS)
def test_the_exception_is_still_needed_on_postgres(
    postgres_migrated: psycopg.Connection[Any], name: str
) -> None:
    assert postgres_faults(postgres_plan(postgres_migrated, STATEMENTS[name])) != []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT * FROM leases WHERE purpose = :p", "leases"),
        ("SELECT r.id FROM repositories AS r WHERE r.slug = :s", "repositories"),
        ("SELECT id FROM projects WHERE id > :id ORDER BY name", "Sort"),
        ("SELECT DISTINCT holder FROM leases", "leases"),
        ("SELECT count(*) FROM object_metadata", "Index Scan"),
    ],
)
def test_a_scan_and_a_sort_would_be_seen_on_postgres(
    postgres_migrated: psycopg.Connection[Any], text: str, fault: str
) -> None:
    faults_found = postgres_faults(postgres_plan(postgres_migrated, Sql(text, text)))
    assert fault in " / ".join(faults_found)


def test_every_statement_of_the_catalogue_is_a_constant_with_a_name() -> None:
    named = {id(statement) for statement in STATEMENTS.values()}
    assert [statement for statement in CATALOGUE if id(statement) not in named] == []
    assert len(STATEMENTS) == len(CATALOGUE)


def test_every_statement_that_a_module_holds_is_in_the_catalogue() -> None:
    registered = {id(statement) for statement in CATALOGUE}
    assert [name for name, sql in STATEMENTS.items() if id(sql) not in registered] == []


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_statement_can_be_prepared(migrated: apsw.Connection, name: str) -> None:
    statement = STATEMENTS[name]
    prepared = apsw.ext.query_info(migrated, statement.sqlite, explain=True)
    assert prepared.explain
    assert prepared.query_remaining is None


@pytest.mark.parametrize("name", STATEMENTS)
def test_both_databases_are_sent_the_same_parameters(name: str) -> None:
    statement = STATEMENTS[name]
    names = set(compile_text(statement.sqlite, "sqlite").names)
    assert names == set(compile_text(statement.postgres, "postgres").names)


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - set(EXCEPTIONS)))
def test_the_statement_neither_scans_a_table_that_grows_nor_sorts(
    migrated: apsw.Connection, name: str
) -> None:
    assert faults(plan(migrated, STATEMENTS[name])) == []


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_the_exception_is_still_needed(migrated: apsw.Connection, name: str) -> None:
    assert name in STATEMENTS, "there is no such constant any more: take it out of EXCEPTIONS"
    assert faults(plan(migrated, STATEMENTS[name])) != []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT * FROM leases WHERE purpose = :p", "SCAN leases"),
        ("SELECT r.id FROM repositories AS r WHERE r.slug = :s", "SCAN r"),
        ("SELECT id FROM projects ORDER BY name", "USE TEMP B-TREE FOR ORDER BY"),
        ("SELECT DISTINCT holder FROM leases", "USE TEMP B-TREE FOR DISTINCT"),
        ("SELECT count(*) FROM object_metadata", "SCAN object_metadata"),
        ("SELECT max(size) FROM object_metadata", "SEARCH object_metadata USING PRIMARY KEY"),
    ],
)
def test_a_scan_and_a_sort_would_be_seen(migrated: apsw.Connection, text: str, fault: str) -> None:
    assert fault in " / ".join(faults(plan(migrated, Sql(text, text))))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT value FROM carray(:oids)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT i FROM n",
        "SELECT 1",
    ],
)
def test_what_reads_no_table_is_no_fault(migrated: apsw.Connection, text: str) -> None:
    assert faults(plan(migrated, Sql(text, text))) == []


def test_every_advisory_lock_has_its_key_from_the_one_list_of_them() -> None:
    keys = [
        str(key)
        for name, key in vars(advisory_locks).items()
        if name.isupper() and name != "FORGEDB"
    ]
    assert len({*keys}) == len(keys)
    takes = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?lock\(\s*")
    texts = [statement.postgres for statement in CATALOGUE]
    taken = [text[found.end() :] for text in texts for found in takes.finditer(text)]
    assert taken, "no statement takes a lock"
    assert [text for text in taken if not text.startswith(tuple(keys))] == []
