"""Changing a row that carries its own audit stream: a project or a repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec.structs import asdict, replace

from forgedb.audit.stream import Stream, changed, created
from forgedb.errors import AlreadyExists
from forgedb.models import Project, Repository
from forgedb.operations.binding import Context
from forgedb.operations.steps import Change, Steps, Together
from forgedb.sql.catalogue import Sql
from forgedb.validation import check_fields

M = TypeVar("M", Project, Repository)
S = TypeVar("S", bound=msgspec.Struct)

Checks: TypeAlias = Mapping[str, Callable[[str, object], Any]]
"""The fields that an update takes, each with the check of its value."""

_TICK = timedelta(microseconds=1)


def checked(fields: Mapping[str, Any], checks: Checks) -> dict[str, Any]:
    """The fields' values, checked.  Raises InvalidValue, also for a field that isn't there."""
    check_fields(fields, checks)
    return {field: checks[field](field, value) for field, value in fields.items()}


def later(at: datetime, before: datetime) -> datetime:
    """``at``, or just after ``before`` where a clock stood still or stepped back."""
    return max(at, before + _TICK)


def plain(model: type[S], locked: S) -> S:
    """The model alone, from a row that was read together with its stream's end."""
    return model(*[getattr(locked, field) for field in model.__struct_fields__])


def establish(context: Context, insert: Sql, model: M, at: datetime) -> Steps[M]:
    """Insert a new row with the first entry of its stream.  Raises AlreadyExists."""
    stream = Stream(context, model.id)
    entry = stream.entry(at, f"{_kind(model)}.create", model.id, created(model))
    # The entry first: it fails if a row of either kind has the id, since that row has a stream.
    yield from _save(entry, insert, model, stream)
    return model


def revise(
    context: Context,
    at: datetime,
    update: Sql,
    locked: M,
    model: type[M],
    verb: str,
    fields: Mapping[str, Any],
    *,
    is_deleted: bool = False,
) -> Steps[M]:
    """Give a row new values; it was locked at the time ``at``.  No difference writes nothing.

    Raises AlreadyExists.
    """
    before = plain(model, locked)
    deleted_at = (before.deleted_at or at) if is_deleted else None
    after = replace(
        before, **fields, deleted_at=deleted_at, updated_at=later(at, before.updated_at)
    )
    changes = changed(before, after)
    if not changes:
        return before
    stream = Stream(context, before.id, locked.audit_seq, locked.audit_head)  # type: ignore[attr-defined]
    entry = stream.entry(at, f"{_kind(before)}.{verb}", before.id, changes)
    yield from _save(entry, update, after, stream)
    return after


def _save(entry: Change, statement: Sql, model: M, stream: Stream) -> Steps[None]:
    params = asdict(model)
    params["audit_seq"], params["audit_head"] = stream.seq, stream.head
    try:
        yield Together((entry, Change(statement, params)))
    except AlreadyExists as error:
        raise _taken(model, error.constraint) from error.__cause__


def _taken(model: Project | Repository, constraint: str) -> AlreadyExists:
    return AlreadyExists(
        constraint,
        f"a {_kind(model)} with slug {model.slug!r} or id {model.id} exists already:"
        " choose another, or use the one that is there",
    )


def _kind(model: Project | Repository) -> str:
    return "project" if isinstance(model, Project) else "repository"
