"""What a file leaves in its session on PostgreSQL, which none finds that comes after it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import forgedb
from forgedb import MigrationError
from tests.migrations.folder import A, Folder
from tests.migrations.watching import Heard, until

pytestmark = pytest.mark.parametrize("dialect", ["postgres"])

IN_A_FUNCTION = """
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS
$$ BEGIN CREATE TEMPORARY TABLE t (); PERFORM set_config('work_mem', '77MB', false); END $$;
SELECT f();
"""

LOCKS = "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)"


@pytest.fixture
def role(url: str) -> Iterator[str]:
    """A role that may create tables, and has none."""
    name = f"forgedb_test_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("GRANT CREATE, USAGE ON SCHEMA public TO {}").format(sql.Identifier(name))
        )
        yield name
        admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


LEFT = [
    ("SET work_mem TO '77MB'", "current_setting('work_mem')", "'4MB'"),
    ("SET LOCAL work_mem TO '77MB'", "current_setting('work_mem')", "'4MB'"),
    (IN_A_FUNCTION, "current_setting('work_mem')", "'4MB'"),
    ("SELECT f()", "to_regclass('t')", "NULL"),
    # pg_dump writes these at the top of what it makes.
    (
        "SELECT pg_catalog.set_config('search_path', '', false)",
        "current_setting('search_path')",
        "'\"$user\", public'",
    ),
    ("SET check_function_bodies TO off", "current_setting('check_function_bodies')", "'on'"),
    ("SELECT set_config('a.b', 'c', true)", "NULLIF(current_setting('a.b', true), '')", "NULL"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "current_setting('default_transaction_read_only')",
        "'off'",
    ),
    ("CREATE TEMPORARY TABLE t (id integer)", "to_regclass('t')", "NULL"),
    ("CREATE TEMP TABLE t (id integer) ON COMMIT DROP", "to_regclass('t')", "NULL"),
    ("SELECT 1 AS one INTO TEMP t", "to_regclass('t')", "NULL"),
    ("PREPARE p AS SELECT 1", "(SELECT count(*) FROM pg_prepared_statements WHERE from_sql)", "0"),
    (
        "DECLARE p CURSOR WITH HOLD FOR SELECT 1",
        "(SELECT count(*) FROM pg_cursors WHERE name = 'p')",
        "0",
    ),
    ("SELECT pg_advisory_lock(77)", LOCKS, "0"),
    ("LISTEN stars", "(SELECT count(*) FROM pg_listening_channels())", "0"),
]
"""What a file leaves, where it is seen, and what is seen there otherwise."""


def test_what_a_file_leaves_is_seen_by_no_other_in_a_run_or_in_a_rehearsal(folder: Folder) -> None:
    looks = [
        f"SELECT 1 / CAST(({seen}) IS NOT DISTINCT FROM {otherwise} AS integer)"
        for _, seen, otherwise in LEFT
    ]
    for number, (left, _, _) in enumerate(LEFT):
        folder.write(**{f"{number:02}1_leaves": left, f"{number:02}2_looks": looks[number]})
    for run in (folder.runner.rehearse, folder.runner.migrate):
        assert len(run()) == 2 * len(LEFT)
        # Nor by who gets the connection after it.
        for each in looks:
            folder.db.client.query(each)


@pytest.mark.parametrize(
    ("left", "needs"),
    [
        ("CREATE SEQUENCE s; SELECT nextval('s')", "SELECT lastval()"),
        ("SET check_function_bodies TO off", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'x'"),
        ("CREATE TEMP TABLE t (id integer)", "INSERT INTO t VALUES (1)"),
    ],
)
def test_a_rehearsal_fails_where_a_run_would_for_want_of_what_the_file_before_left(
    folder: Folder, left: str, needs: str
) -> None:
    folder.write(m0001_a=left, m0002_b=needs)
    said = []
    for run in (folder.runner.rehearse, folder.runner.migrate):
        with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:") as failed:
            run()
        said.append(str(failed.value))
    assert said[0] == said[1]


def test_the_driver_finds_its_own_settings_after_a_file_that_changed_them(folder: Folder) -> None:
    before = folder.db.client.query("SELECT name, setting FROM pg_settings ORDER BY name")
    folder.write(
        m0001_a="SET TimeZone TO 'Asia/Tokyo'; SET DateStyle TO 'German'; SET plan_cache_mode TO"
        " force_custom_plan; SET client_min_messages TO error; SET lock_timeout TO 1"
    )
    folder.runner.migrate()
    assert folder.db.client.query("SELECT name, setting FROM pg_settings ORDER BY name") == before


def test_a_session_whose_file_failed_is_not_lent_again(folder: Folder) -> None:
    pid = folder.db.client.query_value("SELECT pg_backend_pid()")
    # A lock of the session's is not undone with the transaction.
    folder.write(m0001_a="SELECT pg_advisory_lock(77); SELECT nope")
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    assert folder.db.client.query_value("SELECT pg_backend_pid()") != pid
    # The server ends a session a moment after its client has left.
    assert until(lambda: folder.db.client.query_value(f"SELECT {LOCKS}") == 0)


def test_a_file_may_take_another_role_which_ends_with_it(folder: Folder, role: str) -> None:
    folder.write(
        m0001_a=f"SET ROLE {role}; CREATE TABLE a (id integer)",
        m0002_b="CREATE TABLE b (id integer)",
        m0003_c=f"SET LOCAL ROLE {role}; CREATE TABLE c (id integer)",
        m0004_d="CREATE TABLE d (id integer)",
        m0005_e=f"SET SESSION AUTHORIZATION {role}; CREATE TABLE e (id integer)",
        m0006_f="CREATE TABLE f (id integer)",
    )
    assert len(folder.runner.rehearse()) == 6
    assert len(folder.runner.migrate()) == 6
    me = folder.db.client.query_value("SELECT current_user")
    owners = (
        "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'"
        " ORDER BY length(tablename), tablename"
    )
    assert [owner for (owner,) in folder.db.client.query(owners)] == 3 * [role, me] + [me]


def test_what_waits_for_the_commit_is_done_under_the_role_and_the_settings_of_the_file(
    folder: Folder, role: str
) -> None:
    folder.write(
        m0001_a=f"""
        CREATE TABLE a (id integer);
        CREATE TABLE who (name text, path text);
        GRANT ALL ON a, who TO {role};
        CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.who VALUES (current_user, current_setting('search_path'));
        RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER noted AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION noted();
        """,
        m0002_b="SET LOCAL search_path TO pg_catalog;"
        f" SET ROLE {role}; INSERT INTO public.a VALUES (1)",
    )
    assert len(folder.runner.rehearse()) == 2
    folder.runner.migrate()
    assert folder.db.client.query("SELECT name, path FROM who") == [(role, "pg_catalog")]


# What the server says meanwhile.

WARNS = """
DO $$ BEGIN RAISE WARNING 'careful: %', 1 USING DETAIL = 'a detail', HINT = 'a hint'; END $$;
DO $$ BEGIN RAISE NOTICE 'by the way'; END $$;
"""


def test_a_warning_is_told_with_its_file(folder: Folder) -> None:
    heard = Heard()
    folder.write(
        m0001_a=A,
        m0002_b=WARNS,
        m0003_c=f"SET LOCAL client_min_messages TO notice; {WARNS}",
        m0004_d=f"-- forgedb: no-transaction\n{WARNS}",
        m0005_e=f"{WARNS} SELECT nope",
    )
    runner = folder.runner_with(progress=heard)
    said = ("WARNING", "careful: 1; a detail; a hint")
    assert len(runner.rehearse(3)) == 3
    quiet, asked = (
        [("0002_b.sql", *said)],
        [("0003_c.sql", *said), ("0003_c.sql", "NOTICE", "by the way")],
    )
    assert heard.warnings == [*quiet, *asked]
    heard.warnings.clear()
    with pytest.raises(MigrationError, match="nope"):
        runner.migrate()
    more = [("0004_d.sql", *said), ("0005_e.sql", *said)]
    assert heard.warnings == [*quiet, *asked, *more]


def test_who_hears_nothing_needs_not_hear_of_warnings(folder: Folder) -> None:
    with forgedb.connect(folder.db._url.reveal()) as db:
        assert (
            len(Folder(folder.path.parent / "others", db).write(m0001_a=WARNS).runner.migrate())
            == 1
        )
