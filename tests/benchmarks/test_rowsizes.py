"""The benchmark of row sizes loads rows that the schema takes, and tells what each table, index and
write costs."""

import pytest

from benchmarks.__main__ import main
from benchmarks.server import URL

TABLES = {
    "audit_entries": 7,
    "leases": 7,
    "object_metadata": 3,
    "repositories": 4,
    "repository_relationships": 6,
}
"""How many parts each has: the table itself, its primary key, its other indexes."""

WRITES = (
    "repositories.create",
    "leases.acquire",
    "objects.add_many of 100",
    "objects.add_many of 1",
    "leases.release",
)


@pytest.fixture(scope="module")
def rows(postgres_url):
    """What one quick run keeps."""
    kept = {}

    def save(name, rows, *, notes):
        assert notes.startswith("PostgreSQL 1")
        kept[name] = rows
        return name

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL, postgres_url)
        patch.setattr("benchmarks.rowsizes.save", save)
        main(["rowsizes", "--quick", "--save"])
    return kept["rowsizes"]


def test_every_index_of_each_table_has_its_bytes(rows):
    parts = [row for row in rows if "table" in row]
    assert {row["table"]: 0 for row in parts} == dict.fromkeys(TABLES, 0)
    for table, count in TABLES.items():
        own = [row for row in parts if row["table"] == table]
        assert len(own) == count
        assert len({row["part"] for row in own}) == count
        assert sum(row["part"] == "table" for row in own) == 1
        assert all(row["rows"] > 100 and row["bytes"] > 0 for row in own)


def test_the_partitions_of_objects_are_added_up(rows):
    (table,) = [row for row in rows if (row.get("table"), row.get("part")) == OBJECTS]
    least = 26 + 20 + 2 + 8 + 8 + 8
    assert least < table["bytes_a_row"] < 10 * least


OBJECTS = ("object_metadata", "table")


def test_each_write_tells_what_it_leaves_behind(rows):
    writes = [row for row in rows if "write" in row]
    assert [row["write"] for row in writes] == [*WRITES, *WRITES]
    for row in writes:
        assert row["wal_bytes"] > 0
        assert row["transaction_ids"] >= 1
        assert row["rows_updated"] >= row["rows_updated_in_page"] >= 0
    added = [row["rows_inserted"] for row in writes if row["write"] == "objects.add_many of 100"]
    assert added == [101, 101], "the objects and one entry"


def test_a_push_updates_its_repositorys_row_in_each_transaction(rows):
    acquired, released = (
        next(row for row in rows if row.get("write") == name)
        for name in ("leases.acquire", "leases.release")
    )
    assert acquired["rows_inserted"] == 2, "the lease and its entry"
    assert acquired["rows_updated"] >= 1
    assert released["rows_inserted"] == 1
    assert released["rows_updated"] == acquired["rows_updated"] + 1, "the lease's own row too"
