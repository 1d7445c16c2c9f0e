"""The client: SQL of the caller's own, with named parameters, the same on every database."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forgedb import (
    AlreadyExists,
    Conflict,
    Database,
    DbClient,
    ForgeDbError,
    InvalidValue,
    Project,
    Unavailable,
    UsageError,
    Visibility,
)
from tests.conformance.conftest import START
from tests.conformance.reaching import Connect, on_every_pair

pytestmark = on_every_pair

BLOB = {"sqlite": "BLOB", "postgres": "bytea"}


@pytest.fixture
def client(connect: Connect) -> Any:
    """A client on a schema of its own: a table of notes, with three of them."""
    client = connect().client
    client.execute(
        f"""
        CREATE TABLE notes (
            id   INTEGER NOT NULL PRIMARY KEY,
            body TEXT NOT NULL UNIQUE CHECK (body <> 'bad'),
            size DOUBLE PRECISION,
            data {BLOB[client.dialect]}
        )
        """
    )
    client.execute_many(
        "INSERT INTO notes (id, body) VALUES (:id, :body)",
        [{"id": 1, "body": "one"}, {"id": 2, "body": "two"}, {"id": 3, "body": "three"}],
    )
    return client


def bodies(client: Any) -> list[str]:
    return [body for (body,) in client.query("SELECT body FROM notes ORDER BY id")]


def test_a_query_gives_every_row_as_a_tuple(client: Any) -> None:
    assert client.query(
        "SELECT id, body FROM notes WHERE id <= :last ORDER BY id", {"last": 2}
    ) == [
        (1, "one"),
        (2, "two"),
    ]
    assert client.query("SELECT id FROM notes WHERE id > 9") == []


def test_the_first_row_or_value_or_none_can_be_asked_for(client: Any) -> None:
    text = "SELECT id, body FROM notes WHERE id >= :id ORDER BY id"
    assert client.query_one(text, {"id": 2}) == (2, "two")
    assert client.query_value(text, {"id": 2}) == 2
    assert client.query_one(text, {"id": 9}) is None
    assert client.query_value(text, {"id": 9}) is None
    assert client.query_value("SELECT data FROM notes WHERE id = 1") is None


def test_rows_can_be_read_into_a_struct_of_ones_own(client: Any) -> None:
    class Note(msgspec.Struct):
        number: int
        body: str
        size: float | None

    found = client.query_as(Note, "SELECT id, body, size FROM notes ORDER BY id LIMIT 1")
    assert found == [Note(1, "one", None)]


def test_rows_can_be_read_into_forgedbs_own_models(db: Database, project: Project) -> None:
    fields = ", ".join(Project.__struct_fields__)
    assert db.client.query_as(Project, f"SELECT {fields} FROM projects") == [project]

    class Seen(msgspec.Struct):
        visibility: Visibility
        created_at: Any

    (seen,) = db.client.query_as(Seen, "SELECT visibility, created_at FROM projects")
    assert seen.visibility is Visibility.PRIVATE
    assert project.created_at == START


def test_how_many_rows_changed_is_told(client: Any) -> None:
    assert client.execute("UPDATE notes SET size = 1") == 3
    assert client.execute("UPDATE notes SET size = 2 WHERE id > 9") == 0
    assert client.execute("DELETE FROM notes WHERE id = :id", {"id": 1}) == 1
    assert client.execute("INSERT INTO notes (id, body) VALUES (7, 'seven')") == 1
    assert bodies(client) == ["two", "three", "seven"]


def test_many_rows_are_changed_all_or_none(client: Any) -> None:
    text = "INSERT INTO notes (id, body) VALUES (:id, :body)"
    assert client.execute_many(text, ({"body": f"n{n}", "id": n} for n in range(4, 8))) == 4
    assert client.execute_many(text, []) == 0
    with pytest.raises(AlreadyExists):
        client.execute_many(text, [{"id": 8, "body": "eight"}, {"id": 9, "body": "one"}])
    with pytest.raises(UsageError):
        client.execute_many(text, [{"id": 8, "body": "eight"}, {"id": 9}])
    assert len(bodies(client)) == 7


def test_a_statement_is_prepared_once_and_runs_again_and_again(client: Any) -> None:
    insert = client.prepare("INSERT INTO notes (id, body) VALUES (:id, :body)")
    assert insert.names == ("id", "body")
    assert insert.execute({"id": 4, "body": "four"}) == 1
    assert insert.execute_many([{"id": 5, "body": "five"}, {"id": 6, "body": "six"}]) == 2
    find = client.prepare("SELECT body, id FROM notes WHERE id = :id")
    assert find.query({"id": 4}) == [("four", 4)]
    assert find.query_one({"id": 5}) == ("five", 5)
    assert find.query_value({"id": 6}) == "six"
    assert find.query_one({"id": 9}) is None
    assert repr(find) == "Statement('SELECT body, id FROM notes WHERE id = :id')"
    assert client.prepare("SELECT count(*) FROM notes").query_value() == 6


def test_what_a_statement_returns_can_be_read_while_it_writes(client: Any) -> None:
    returned = client.query(
        "INSERT INTO notes (id, body) VALUES (:id, :body) RETURNING body, id",
        {"id": 4, "body": "four"},
    )
    assert returned == [("four", 4)]
    within = """
        WITH next AS (SELECT max(id) + 1 AS id FROM notes)
        INSERT INTO notes (id, body) SELECT id, 'five' FROM next RETURNING id
    """
    assert client.query_value(sql=within) == 5
    assert bodies(client)[-2:] == ["four", "five"]


VALUES = [
    "",
    'it\'s "quoted" `so` [too]',
    "100 % of %s and %(name)s",
    ":name ::text $1 ? @x -- no comment /* nor here */",
    '{"a": {":b": [1, "%"]}}',
    "line\nbreak\ttab\\",
    "ünïcödé 𝕏 \u2028",
    "x" * 100_000,
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_text_comes_back_as_it_went(client: Any, value: str) -> None:
    client.execute("UPDATE notes SET body = :body WHERE id = 1", {"body": value})
    assert client.query_value("SELECT body FROM notes WHERE id = 1") == value
    assert client.query_value("SELECT id FROM notes WHERE body = :body", {"body": value}) == 1


@pytest.mark.parametrize("value", [0.1, -1e300, 5e-324, None])
def test_numbers_come_back_as_they_went(client: Any, value: float | None) -> None:
    client.execute("UPDATE notes SET size = :size WHERE id = 1", {"size": value})
    assert client.query_value("SELECT size FROM notes WHERE id = 1") == value


@pytest.mark.parametrize("value", [b"", b"\0\xff%'", bytes(100_000), None])
def test_bytes_come_back_as_they_went(client: Any, value: bytes | None) -> None:
    client.execute("UPDATE notes SET data = :data WHERE id = 1", {"data": value})
    assert client.query_value("SELECT data FROM notes WHERE id = 1") == value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_comes_back_as_it_went(client: Any, value: str) -> None:
    found = client.query_value("SELECT CAST(:value AS TEXT)", {"value": value})
    assert found == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT ':id', id FROM notes WHERE id = :id", (":id", 2)),
        ("SELECT '%s %(x)s %%', id FROM notes WHERE id = :id", ("%s %(x)s %%", 2)),
        ("SELECT 17 % 5, id FROM notes WHERE id = :id", (2, 2)),
        ("SELECT body, 7 FROM notes WHERE body LIKE 'tw%' AND id = :id", ("two", 7)),
        ('SELECT \'{"a": ":b"}\', 1 FROM notes WHERE id = :id', ('{"a": ":b"}', 1)),
        ("SELECT id AS \"a:b\", 'it''s :x' FROM notes WHERE id = :id", (2, "it's :x")),
        ("SELECT id, 1 /* :x ' % */ FROM notes -- :y '\nWHERE id = :id", (2, 1)),
        ("SELECT id, id + :id FROM notes WHERE id = :id AND :id > 1", (2, 4)),
        ("SELECT 1, 2 FROM notes WHERE id=:id;", (1, 2)),
    ],
)
def test_what_looks_like_a_parameter_and_is_none_stays(
    client: Any, text: str, expected: tuple[Any, ...]
) -> None:
    assert client.query_one(text, {"id": 2}) == expected
    assert client.query_one(text, {"id": 2}) == expected


def test_json_operators_and_casts_stay(client: Any) -> None:
    text = {
        "sqlite": """SELECT '{"a": {"b": 7}}' -> 'a' ->> 'b', CAST(:x AS TEXT)""",
        "postgres": """SELECT ('{"a": {"b": 7}}'::json -> 'a' ->> 'b')::int, :x::text""",
    }[client.dialect]
    assert client.query_one(text, {"x": "y"}) == (7, "y")


@pytest.mark.parametrize(
    ("params", "named"),
    [
        (None, "none"),
        ({}, "none"),
        ({"id": 1}, "id"),
        ({"id": 1, "body": "x", "more": 2}, "id, body, more"),
        ({"id": 1, "Body": "x"}, "id, Body"),
        ({"id": 1, 2: "x"}, "id, 2"),
    ],
)
def test_parameters_are_all_given_and_no_others(client: Any, params: Any, named: str) -> None:
    text = "SELECT id FROM notes WHERE id = :id AND body = :body"
    for call in (client.query, client.query_one, client.query_value, client.execute):
        with pytest.raises(UsageError) as raised:
            call(text, params)
        assert str(raised.value) == f"the statement takes :id, :body, and was given {named}"


def test_parameters_for_a_statement_that_takes_none_are_refused(client: Any) -> None:
    with pytest.raises(UsageError, match="takes no parameters, and was given id"):
        client.query("SELECT 1", {"id": 1})


@pytest.mark.parametrize("params", [[1], (1,), "x", 7, {1}])
def test_parameters_come_in_a_mapping(client: Any, params: Any) -> None:
    with pytest.raises(UsageError, match="give a mapping for :id"):
        client.query("SELECT 1 FROM notes WHERE id = :id", params)
    with pytest.raises(UsageError, match="give a mapping for :id"):
        client.execute_many("UPDATE notes SET size = 1 WHERE id = :id", [params])


@pytest.mark.parametrize("value", ["half \ud800 a pair", object(), 2**70, [1], {}])
def test_a_value_that_cannot_be_kept_is_refused_and_nothing_changes(
    client: Any, value: Any
) -> None:
    with pytest.raises(InvalidValue) as raised:
        client.execute("UPDATE notes SET body = :body", {"body": value})
    assert (raised.value.field, raised.value.value) == (":body", value)
    assert raised.value.__cause__ is not None
    assert bodies(client) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds 0 statements"),
        (" -- nothing\n", "holds 0 statements"),
        ("SELECT 1; SELECT 2", "holds 2 statements: send one at a time"),
        ("BEGIN", "BEGIN is refused: use transaction"),
        ("commit;", "use transaction"),
        ("ROLLBACK", "use transaction"),
        ("SAVEPOINT x", "use transaction"),
        ("SELECT 'x", "never closed"),
        ("SELECT 1 /* x", "never closed"),
        # PostgreSQL has operators with a question mark in them.
        ("SELECT * FROM notes WHERE id = ?1", ":name|operator does not exist"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELEC 1", "SELEC"),
    ],
)
def test_text_that_makes_no_sense_is_refused(client: Any, text: str, why: str) -> None:
    for call in (client.query, client.query_one, client.query_value, client.execute):
        with pytest.raises(UsageError, match=why):
            call(text)


def test_text_that_makes_no_sense_is_refused_before_it_is_run(client: Any) -> None:
    for text in ("SELECT 1; SELECT 2", "COMMIT", "SELECT 'x"):
        with pytest.raises(UsageError):
            client.prepare(text)
    for no_text in (None, 7, b"SELECT 1"):
        for call in (client.query, client.execute, client.prepare):
            with pytest.raises(UsageError, match=r"SQL is text|holds 0 statements"):
                call(no_text)


def test_what_the_database_refuses_is_one_of_forgedbs_errors(client: Any) -> None:
    text = "INSERT INTO notes (id, body) VALUES (:id, :body)"
    for params, kind in (
        ({"id": 1, "body": "again"}, AlreadyExists),
        ({"id": 4, "body": "one"}, AlreadyExists),
        ({"id": 4, "body": "bad"}, InvalidValue),
        ({"id": 4, "body": None}, InvalidValue),
    ):
        with pytest.raises(kind) as raised:
            client.execute(text, params)
        assert isinstance(raised.value, ForgeDbError)
        assert not isinstance(raised.value.__cause__, ForgeDbError)
        assert raised.value.__cause__ is not None
    assert bodies(client) == ["one", "two", "three"]


def test_the_schemas_own_rules_hold_for_the_client_too(db: Database, project: Project) -> None:
    for text in (
        "UPDATE projects SET id = '01JD0000000000000000000000'",
        "DELETE FROM projects",
        "UPDATE audit_entries SET actor = 'user:mallory'",
        "DELETE FROM audit_entries",
    ):
        # A role without the privilege doesn't even reach the rule.
        with pytest.raises((Conflict, Unavailable), match=r"\(\w+\)$|isn't allowed"):
            db.client.execute(text)
    with pytest.raises(InvalidValue):
        db.client.execute("UPDATE projects SET slug = 'Not A Slug'")
    with pytest.raises(InvalidValue) as raised:
        db.client.execute(
            "INSERT INTO object_metadata (repository_id, oid, type, size, created_at)"
            " VALUES (:repository, NULL, 3, 1, :at)",
            {"repository": project.id, "at": project.created_at},
        )
    # Of the whole table, not of one of its partitions.
    assert raised.value.field == "object_metadata.oid"
    assert db.projects.get(project.id) == project


def test_a_client_needs_no_actor_and_no_migration(connect: Connect) -> None:
    client = connect().client
    assert isinstance(client, DbClient)
    assert client.query_value("SELECT 40 + 2") == 42


def delete_all_and_fail(client: Any) -> None:
    with client.transaction() as tx:
        assert tx.execute("DELETE FROM notes") > 0
        raise RuntimeError("on purpose")


def test_a_clients_transaction_keeps_all_or_nothing(client: Any) -> None:
    with client.transaction() as tx:
        tx.execute("DELETE FROM notes WHERE id = 1")
        with pytest.raises(RuntimeError, match="on purpose"):
            delete_all_and_fail(tx)
        assert bodies(tx) == ["two", "three"]
        delete = tx.prepare("DELETE FROM notes WHERE id = :id")
        assert delete.execute({"id": 2}) == 1
    assert bodies(client) == ["three"]
    with pytest.raises(RuntimeError, match="on purpose"):
        delete_all_and_fail(client)
    assert bodies(client) == ["three"]


def test_a_statement_that_fails_leaves_its_transaction_usable(client: Any) -> None:
    with client.transaction() as tx:
        tx.execute("DELETE FROM notes WHERE id = 1")
        with pytest.raises(UsageError):
            tx.query("SELECT * FROM nowhere")
        with pytest.raises(AlreadyExists):
            tx.execute("INSERT INTO notes (id, body) VALUES (2, 'again')")
        with pytest.raises(InvalidValue):
            tx.query("INSERT INTO notes (id, body) VALUES (4, 'bad') RETURNING id")
        assert bodies(tx) == ["two", "three"]
        tx.execute("DELETE FROM notes WHERE id = 2")
    assert bodies(client) == ["three"]
    with client.transaction(read_only=True) as tx:
        with pytest.raises(UsageError):
            tx.query("SELECT * FROM nowhere")
        assert bodies(tx) == ["three"]


def test_a_read_only_transaction_of_a_client_refuses_to_write(client: Any) -> None:
    with client.transaction(read_only=True) as tx:
        assert len(bodies(tx)) == 3
        with pytest.raises(UsageError, match="read_only"):
            tx.execute("DELETE FROM notes")
        with pytest.raises(UsageError, match="read_only"):
            tx.query("DELETE FROM notes RETURNING id")
    assert len(bodies(client)) == 3


def test_closing_a_client_closes_the_database(connect: Connect) -> None:
    db = connect()
    client = db.client
    client.close()
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.query("SELECT 1")
    with pytest.raises(UsageError, match="closed"):
        db.migrate()


def test_a_transaction_is_not_closed_by_its_client(client: Any) -> None:
    with client.transaction() as tx:
        with pytest.raises(UsageError, match="ends with its block"):
            tx.close()
        assert len(bodies(tx)) == 3
