"""What users type for durations, times, and for repositories and projects by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from forgedb.database import Database
    from forgedb.models import Project, Repository

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

_is_duration = re.compile(r"([0-9]{1,6}[dhms]){1,4}").fullmatch


class Duration(click.ParamType[timedelta]):
    """``90m``, ``2h``, ``3d``, ``1h30m``, ``45s``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        if not _is_duration(value):
            self.fail(f"{value!r} is no duration: write 90m, 2h, 3d or 1h30m", param, ctx)
        parts = re.findall(r"([0-9]+)([dhms])", value)
        return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))


class Time(click.ParamType[datetime]):
    """An ISO 8601 time, or how long ago, or with ``ahead`` how long from now: ``2h``."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if _is_duration(value):
                span: timedelta = DURATION.convert(value, param, ctx)
                return datetime.now(UTC) + (span if self._ahead else -span)
            at = datetime.fromisoformat(value)
            # A day, or a time without a zone, is read as UTC, in which all times are shown.
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            relative = "in two hours" if self._ahead else "two hours ago"
            self.fail(
                f"{value!r} is no time: write 2026-11-22T10:00:00Z, or 2h for {relative}",
                param,
                ctx,
            )


DURATION = Duration()
TIME = Time()
TIME_AHEAD = Time(ahead=True)


def one_of(kind: type[StrEnum]) -> click.Choice[str]:
    """The values of an enumeration, as they are stored and shown."""
    return click.Choice([member.value for member in kind])


def find_repository(db: Database, name: str) -> Repository:
    """The repository that REPO names: an id, or ``project/repo``."""
    return db.repositories.get(name) if _is_id(name) else db.repositories.get_by_path(name)


def find_project(db: Database, name: str) -> Project:
    """The project that PROJECT names: an id, or a slug."""
    return db.projects.get(name) if _is_id(name) else db.projects.get_by_slug(name)


def find_stream(db: Database, name: str | None) -> str | None:
    """The audit stream of a repository or project: an id, ``project/repo``, or a slug."""
    if name is None or _is_id(name):
        return name
    return (find_repository(db, name) if "/" in name else find_project(db, name)).id


def given_changes(given: dict[str, Any]) -> dict[str, Any]:
    """The options of an update that were given, of which there must be one."""
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError(
            "There is nothing to change: give at least one option", click.get_current_context()
        )
    return changes


def _is_id(name: str) -> bool:
    # A slug has no upper-case letter, and an id no lower-case one.
    return len(name) == 26 and "/" not in name and name == name.upper()
