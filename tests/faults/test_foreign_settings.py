"""What an administrator sets for a role or a database changes nothing that forgedb gives back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest

import forgedb
from tests.servers.postgres import Databases

AT = datetime(2026, 11, 23, 1, 2, 3, 456789, tzinfo=UTC)
NAME = "Ωmega → ünïcode 🦊"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DateStyle", "German, DMY"),
        ("DateStyle", "SQL, DMY"),
        ("DateStyle", "Postgres, MDY"),
        ("TimeZone", "Asia/Kathmandu"),
        ("client_encoding", "LATIN1"),
        ("bytea_output", "escape"),
        ("extra_float_digits", "-5"),
        ("standard_conforming_strings", "off"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("row_security", "off"),
    ],
)
def test_results_are_the_same_whatever_a_database_is_set_to(
    postgres: Databases, setting: str, value: str
) -> None:
    with postgres.new(migrated=True) as url:
        with psycopg.connect(url, autocommit=True) as admin:
            database = urlsplit(url).path[1:]
            admin.execute(f"ALTER DATABASE \"{database}\" SET {setting} = '{value}'".encode())
        with forgedb.connect(url, actor="user:ada", clock=lambda: AT) as db:
            project = db.projects.create("platform", NAME)
            repository = db.repositories.create(project.id, "api")
            lease = db.leases.acquire(repository.id)
            oids = [bytes([number]) * 20 for number in (0, 92, 255)]
            db.objects.add_many(
                repository.id,
                [forgedb.NewObject(oid, 1, 2**40) for oid in oids],
                lease.fencing_token,
            )
            found = db.projects.get(project.id)
            assert (found.name, found.created_at) == (NAME, AT)
            assert [each.oid for each in db.objects.list(repository.id).items] == oids
            assert db.client.query_value("SELECT max(created_at) FROM projects") == AT
            assert db.audit.verify().ok

        async def awaited() -> forgedb.Project:
            async with await forgedb.connect_async(url) as adb:
                return await adb.projects.get(project.id)

        assert asyncio.run(awaited()) == found
