"""Which INVALID indexes are a statement's: PostgreSQL's own answers are in test_indexes."""

from __future__ import annotations

import pytest

from forgedb.migrations.invalid_indexes import InvalidIndex, left_by, made_by, names_in, unused

OURS = InvalidIndex("public.by_name", "public", "by_name", is_visible=True)
OTHERS = InvalidIndex("archive.by_name", "archive", "by_name", is_visible=False)
QUOTED = InvalidIndex('public."By ""Name"""', "public", 'By "Name"', is_visible=True)
THERE = [OURS, OTHERS, QUOTED]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("CREATE INDEX CONCURRENTLY by_name ON t (name)", ["public.by_name"]),
        ("create unique index concurrently if not exists BY_NAME on t (n)", ["public.by_name"]),
        ("CREATE INDEX CONCURRENTLY by_name ON ONLY archive.t (n)", ["archive.by_name"]),
        ('CREATE INDEX CONCURRENTLY by_name ON "Archive" . t (n)', []),
        ('CREATE INDEX CONCURRENTLY "By ""Name""" ON public.t (n)', ['public."By ""Name"""']),
        ("CREATE INDEX CONCURRENTLY other ON t (by_name)", []),
        ("CREATE INDEX CONCURRENTLY ON t (by_name)", []),
        ("REINDEX INDEX CONCURRENTLY by_name", []),
        ("INSERT INTO by_name VALUES (1)", []),
    ],
)
def test_a_statement_makes_the_index_that_it_names(text: str, made: list[str]) -> None:
    assert made_by(text, THERE) == made


def test_what_was_invalid_before_is_no_fault_of_a_statement_that_went_well() -> None:
    create = "CREATE INDEX CONCURRENTLY by_name ON t (name)"
    assert left_by(create, False, THERE, THERE) == []
    assert left_by(create, False, [], THERE) == ["public.by_name"]
    content = create.replace("by_name", "IF NOT EXISTS by_name")
    assert left_by(content, False, THERE, THERE) == ["public.by_name"]


def test_a_failure_left_what_it_names_and_what_is_new() -> None:
    create = "CREATE INDEX CONCURRENTLY by_name ON t (name)"
    assert left_by(create, True, THERE, THERE) == ["public.by_name"]
    assert left_by("CREATE INDEX CONCURRENTLY ON t (n)", True, [OTHERS], THERE) == [
        "public.by_name",
        'public."By ""Name"""',
    ]
    assert left_by("REINDEX INDEX CONCURRENTLY by_name", True, THERE, THERE) == []


def test_what_was_noted_is_read_back() -> None:
    assert names_in(f"it failed; {unused(['public.a', 'public.b'])}") == ["public.a", "public.b"]
    assert names_in("it failed") == []
