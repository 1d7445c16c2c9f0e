"""The table of what the audit trail is about: all that follows from it, and what must agree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import forgedb
from forgedb.admin.schema import read_schema
from forgedb.audit.kinds import ACTIONS, KINDS, OWN_ACTIONS, STREAMS
from forgedb.audit.stream import Stream
from forgedb.operations.binding import Context
from tests.schema.writing import AUDIT, audit_page


def columns_of_tables() -> dict[str, list[str]]:
    with forgedb.connect("sqlite://") as db:
        db.migrate()
        return {table.name: [column.name for column in table.columns] for table in read_schema(db)}


def test_the_page_has_the_kinds_and_their_actions_as_the_table_has_them() -> None:
    page = AUDIT.read_text()
    assert audit_page(page) == page, "audit/kinds.py says otherwise: run `make schema`"
    assert "| `lease` |" in page


def test_each_kind_has_a_table_with_the_column_that_names_its_stream() -> None:
    columns = columns_of_tables()
    for kind in KINDS:
        assert kind.stream in columns[kind.table], kind.name
        assert {*kind.model.__struct_fields__} <= {*columns[kind.table]}, kind.name


def test_the_rows_that_carry_the_end_of_a_stream_are_of_the_kinds_that_have_one_of_their_own() -> (
    None
):
    carrying = {name for name, columns in columns_of_tables().items() if "audit_head" in columns}
    assert carrying == {kind.table for kind in STREAMS}


def test_an_action_that_is_not_in_the_table_can_not_be_recorded_by_a_dao() -> None:
    stream = Stream(Context(actor="user:ada"), forgedb.new_ulid())
    at = datetime.now(UTC)
    for action, (kind, _) in ACTIONS.items():
        assert stream.entry(at, action, stream.id, {}).params["target_type"] == kind
    for action in ("lease.borrow", "borrow", "branch.create", ""):
        assert action not in OWN_ACTIONS
        with pytest.raises(KeyError):
            stream.entry(at, action, stream.id, {})
