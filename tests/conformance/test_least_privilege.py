"""The role that ``forgedb grants`` is for: the suite runs as it, and it can't touch history."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import ForgeDbError, InvalidValue, Unavailable
from forgedb.admin.grants import PRIVILEGES, grants
from forgedb.ids import new_ulid
from tests.servers.postgres import Databases


@pytest.fixture
def application(postgres: Databases) -> Iterator[str]:
    """The URL of a database with a project in it, for the application's role."""
    with postgres.new(migrated=True) as url:
        with forgedb.connect(url, actor="user:ada") as db:
            db.projects.create("platform", "Platform")
        yield postgres.as_application(url)


# What the role can do by statements of its own, each row of the page's table.

PAGE = Path(__file__).parents[2] / "docs" / "postgresql.md"

FAR = 2**63 - 1


class Attack:
    """The role, against a repository whose live lease has token 1."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.raw = psycopg.connect(url)
        self.db = forgedb.connect(url, actor="service:app")
        project = self.db.projects.create("attacked", "Attacked")
        self.repository = self.db.repositories.create(project.id, "api")
        self.lease = self.db.leases.acquire(self.repository.id)

    def close(self) -> None:
        self.raw.close()
        self.db.close()

    def commit(self, attack: Callable[[Attack], None]) -> None:
        attack(self)
        self.raw.commit()

    def run(self, statement: str, **params: object) -> None:
        """In the transaction that is open, or a new one."""
        known = {"id": self.repository.id, "lease": self.lease.id}
        self.raw.execute(statement.encode(), known | params)

    def update(self, to: str, **params: object) -> None:
        self.run(f"UPDATE repositories SET {to} WHERE id = %(id)s", **params)

    def identity(self, to: str) -> None:
        self.run(
            f"""
            UPDATE database_identity
            SET {to}, audit_seq = audit_seq + 1, audit_head = sha256(audit_head)
            """
        )

    def tell(self, action: str, lease_id: str) -> None:
        """Append an entry with a hash that is none, and move the stream's end."""
        self.run(
            """
            INSERT INTO audit_entries
            SELECT stream_id, seq + 1, %(entry)s, at, actor, %(action)s, 'lease', %(target)s,
                NULL, NULL, NULL, changes, hash_version, sha256(entry_hash)
            FROM audit_entries
            WHERE stream_id = %(id)s
            ORDER BY seq DESC
            LIMIT 1
            """,
            entry=new_ulid(),
            action=action,
            target=lease_id,
        )

    def count(self) -> None:
        """Move the stream's end to its last entry."""
        self.update(
            """
            (audit_seq, audit_head) = (
                SELECT seq, entry_hash
                FROM audit_entries
                WHERE stream_id = %(id)s
                ORDER BY seq DESC
                LIMIT 1
            )
            """
        )

    def end(self, ended_at: str = "acquired_at") -> None:
        self.run(
            f"""
            UPDATE leases
            SET ended_at = {ended_at}, end_reason = 'released', ended_by = holder
            WHERE id = %(lease)s
            """
        )

    def insert(self, token: int, acquired_at: str = "clock_timestamp()", *, told: bool) -> None:
        """The next lease, in the place of the one that is live."""
        if self.db.leases.active(self.repository.id) is not None:
            self.db.leases.release(self.lease.id)
        lease_id = new_ulid()
        if told:
            self.tell("lease.acquire", lease_id)
        self.run(
            f"""
            INSERT INTO leases
            SELECT %(new)s, %(id)s, 'user:eve', '', %(token)s, NULL, begins,
                begins + INTERVAL '1 hour', NULL, NULL, %(lease)s, NULL, NULL
            FROM (SELECT {acquired_at} AS begins) AS given
            """,
            new=lease_id,
            token=token,
        )


def _edits_history(attack: Attack) -> None:
    attack.run("UPDATE audit_entries SET actor = 'user:eve'")


def _sets_the_epoch(attack: Attack) -> None:
    attack.update("lease_epoch = %(far)s", far=FAR)


def _inserts_a_token(attack: Attack) -> None:
    attack.insert(FAR, told=True)


def _inserts_a_token_and_its_epoch(attack: Attack) -> None:
    attack.insert(FAR, told=True)
    attack.update("lease_epoch = %(far)s", far=FAR)


def _inserts_a_lease_that_nothing_tells_of(attack: Attack) -> None:
    attack.insert(2, told=False)
    attack.update("lease_epoch = 2")


def _ends_a_lease_that_nothing_tells_of(attack: Attack) -> None:
    attack.end()


def _tells_first_and_ends_later(attack: Attack) -> None:
    attack.tell("lease.release", attack.lease.id)
    attack.count()
    attack.raw.commit()
    attack.end()


def _begins_in_the_year_9000(attack: Attack) -> None:
    attack.insert(2, "TIMESTAMPTZ '9000-01-01T00:00:00Z'", told=True)
    attack.update("lease_epoch = 2")


def _ends_in_the_year_9000(attack: Attack) -> None:
    attack.tell("lease.release", attack.lease.id)
    attack.end("TIMESTAMPTZ '9000-01-01T00:00:00Z'")


def _sets_the_streams_end(attack: Attack) -> None:
    with pytest.raises(psycopg.IntegrityError, match="repositories_stream_moves_forward"):
        attack.update("audit_seq = audit_seq - 1")
    attack.raw.rollback()
    attack.update("audit_seq = %(far)s, audit_head = sha256(audit_head)", far=FAR)


def _raises_the_epoch_with_an_entry(attack: Attack) -> None:
    attack.tell("repository.update", attack.lease.repository_id)
    attack.update(
        "lease_epoch = lease_epoch + 1, audit_seq = audit_seq + 1, audit_head = sha256(audit_head)"
    )
    attack.raw.commit()
    attack.db.leases.release(attack.lease.id)


def _sets_the_streams_end_ahead(attack: Attack) -> None:
    attack.update("audit_seq = audit_seq + 1000000, audit_head = sha256(audit_head)")
    attack.raw.commit()
    attack.db.leases.release(attack.lease.id)


def _appends_an_entry_that_is_not_counted(attack: Attack) -> None:
    attack.tell("lease.release", attack.lease.id)
    attack.raw.commit()
    with pytest.raises(ForgeDbError, match="audit_entries_one_per_seq"):
        attack.db.leases.release(attack.lease.id)
    attack.count()
    attack.raw.commit()
    attack.db.leases.release(attack.lease.id)


def _sets_the_era_back(attack: Attack) -> None:
    attack.identity("era = era - 1")


def _uses_the_eras_up(attack: Attack) -> None:
    with pytest.raises(psycopg.IntegrityError, match="database_identity_era_steps"):
        attack.identity("era = 2000000000")
    attack.raw.rollback()
    for _ in range(10):
        attack.identity("era = era + 100000000")


def _takes_the_era_ahead(attack: Attack) -> None:
    attack.identity("era = era + 300000000")
    attack.raw.commit()
    attack.db.leases.release(attack.lease.id)
    assert attack.db.leases.acquire(attack.repository.id).fencing_token >> 32 >= 300_000_000
    attack.db.identity.advance_era("the era is above what it was taken to")


def _moves_the_database(attack: Attack) -> None:
    for to in (
        "system_identifier = NULL",
        "database_oid = NULL",
        "database_oid = database_oid + 1",
        "system_identifier = NULL, era = era + 1",
    ):
        with pytest.raises(psycopg.IntegrityError, match="database_identity_moves_with_its_era"):
            attack.identity(to)
        attack.raw.rollback()
    attack.run("UPDATE database_identity SET system_identifier = '7000000000000000001'")


def _advances_the_era(attack: Attack) -> None:
    for _ in range(10):
        attack.db.identity.advance_era("eve's")


def _ends_a_lease_with_a_made_up_hash(attack: Attack) -> None:
    attack.tell("lease.release", attack.lease.id)
    attack.end()
    attack.count()


def _changes_a_row(attack: Attack) -> None:
    attack.update("description = 'mine'")


def _begins_a_lease_years_ahead(attack: Attack) -> None:
    attack.db.leases.release(attack.lease.id)
    by_clock = datetime.now(UTC) + timedelta(days=9 * 365)
    with forgedb.connect(attack.url, actor="user:eve", clock=lambda: by_clock) as db:
        db.leases.acquire(attack.repository.id)
    with pytest.raises(Unavailable, match="the clock says"):
        attack.db.leases.acquire(attack.repository.id)
    attack.db.leases.rebase(attack.repository.id, "eve's")
    attack.db.leases.acquire(attack.repository.id)


def _grants_in_anothers_name(attack: Attack) -> None:
    attack.db.leases.release(attack.lease.id)
    with forgedb.connect(attack.url, actor="user:ada") as db:
        db.leases.acquire(attack.repository.id, holder="user:bob")


def _deletes_objects(attack: Attack) -> None:
    attack.db.objects.add_many(
        attack.repository.id, [forgedb.NewObject(bytes(20), 3, 1)], attack.lease.fencing_token
    )
    attack.run("DELETE FROM object_metadata")


def _reads(attack: Attack) -> None:
    attack.run("SELECT * FROM audit_entries, leases FOR SHARE OF leases")


ATTACKS: tuple[Callable[[Attack], None], ...] = (
    _edits_history,
    _sets_the_epoch,
    _inserts_a_token,
    _inserts_a_token_and_its_epoch,
    _inserts_a_lease_that_nothing_tells_of,
    _ends_a_lease_that_nothing_tells_of,
    _tells_first_and_ends_later,
    _begins_in_the_year_9000,
    _ends_in_the_year_9000,
    _sets_the_streams_end,
    _raises_the_epoch_with_an_entry,
    _sets_the_streams_end_ahead,
    _appends_an_entry_that_is_not_counted,
    _sets_the_era_back,
    _uses_the_eras_up,
    _takes_the_era_ahead,
    _moves_the_database,
    _advances_the_era,
    _ends_a_lease_with_a_made_up_hash,
    _changes_a_row,
    _begins_a_lease_years_ahead,
    _grants_in_anothers_name,
    _deletes_objects,
    _reads,
)
"""In the order of the page's table."""

ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \|$",
    PAGE.read_text().partition("| what the role does |")[2].partition("\n\n")[0],
    re.MULTILINE,
)[1:]


def test_each_row_of_the_pages_table_is_tried() -> None:
    assert len(ROWS) == len(ATTACKS)


@pytest.mark.parametrize(
    ("attack", "outcome"),
    [
        pytest.param(attack, outcome, id=attack.__name__)
        for attack, (_, outcome) in zip(ATTACKS, ROWS, strict=False)
    ],
)
def test_what_comes_of_what_the_role_does_is_what_the_page_says(
    application: str, attack: Callable[[Attack], None], outcome: str
) -> None:
    role = Attack(application)
    try:
        refused = re.fullmatch(r"refused: `(\w+)`", outcome)
        if refused is not None or outcome == "permission denied":
            with pytest.raises(psycopg.Error) as caught:
                role.commit(attack)
            if refused is None:
                assert isinstance(caught.value, psycopg.errors.InsufficientPrivilege)
            else:
                assert caught.value.diag.constraint_name == refused[1]
            role.raw.rollback()
        else:
            role.commit(attack)
        found = not role.db.audit.verify().ok
        # Of two transactions the first was taken.
        expected = outcome.startswith("found by") or attack is _tells_first_and_ends_later
        assert found is expected
        assert found or outcome.startswith(("refused", "not detected", "nothing", "permission"))
    finally:
        role.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'user:eve'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_one_per_seq",
        "DROP TRIGGER audit_entries_never_updated ON audit_entries",
        "DROP TABLE audit_entries",
        "ALTER TABLE audit_entries OWNER TO CURRENT_USER",
        "CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
        "SET session_replication_role = replica",
        "DELETE FROM projects",
        "TRUNCATE projects CASCADE",
        "UPDATE projects SET id = id",
        "UPDATE projects SET created_at = now()",
        "DELETE FROM leases",
        "UPDATE leases SET fencing_token = 7",
        "INSERT INTO schema_migrations VALUES (2, 'x', repeat('0', 64), now(), 1)",
        "CREATE TABLE mine (id int)",
    ],
)
def test_what_history_rests_on_is_refused(application: str, statement: str) -> None:
    with psycopg.connect(application, autocommit=True) as raw:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw.execute(statement)
        assert raw.execute("SELECT count(*) FROM audit_entries").fetchone() == (1,)


def test_an_entry_can_be_read_and_added_and_nothing_else(application: str) -> None:
    with psycopg.connect(application, autocommit=True) as raw:
        allowed = raw.execute(
            """
            SELECT privilege
            FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                'TRIGGER']) AS privilege
            WHERE has_table_privilege('audit_entries', privilege)
                OR (privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                    AND has_any_column_privilege('audit_entries', privilege))
            """
        ).fetchall()
    assert allowed == [("SELECT",), ("INSERT",)]


def test_what_the_role_may_not_do_is_one_of_forgedbs_errors(application: str) -> None:
    with forgedb.connect(application, actor="user:ada") as db:
        assert db.projects.list().items[0].slug == "platform"
        with pytest.raises(Unavailable, match="isn't allowed") as raised:
            db.client.execute("DELETE FROM audit_entries")
        assert not raised.value.retryable
        assert db.audit.verify().ok


def test_every_table_has_its_line(postgres: Databases) -> None:
    with postgres.new(migrated=True) as url, psycopg.connect(url) as raw:
        tables: Any = raw.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert {name for (name,) in tables} == set(PRIVILEGES)


def test_names_are_quoted() -> None:
    usage = grants('a "role"; DROP', 'My "schema"')[0]
    assert usage == 'GRANT USAGE ON SCHEMA "My ""schema""" TO "a ""role""; DROP";'


@pytest.mark.parametrize("name", ["", "a" * 64, "é" * 32, "nul \0", None])
def test_names_that_are_none_are_refused(name: Any) -> None:
    for call in (lambda: grants(name), lambda: grants("app", name)):
        with pytest.raises(InvalidValue):
            call()
