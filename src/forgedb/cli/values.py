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

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class Duration(click.ParamType[timedelta]):
    """``90m``, ``2h``, ``3d``, ``1h30m``, ``45s``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        if not re.fullmatch(r"(\d{1,6}[dhms])+", value):
            self.fail(f"{value!r} is no duration: write 90m, 2h, 3d or 1h30m", param, ctx)
        parts = re.findall(r"(\d+)([dhms])", value)
        total = timedelta(0)
        for number, unit in parts:
            total += timedelta(**{_UNITS[unit]: int(number)})
        return total


class Time(click.ParamType[datetime]):
    """An ISO 8601 time with a zone, or how long ago: ``2h``."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        if re.fullmatch(r"(\d{1,6}[dhms])+", value):
            ago: timedelta = DURATION.convert(value, param, ctx)
            return datetime.now(UTC) - ago
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is no time: write 2026-11-22T10:00:00Z, or 2h for two hours ago",
                param,
                ctx,
            )
        # A day, or a time without a zone, is read as UTC, in which all times are shown.
        return at if at.tzinfo else at.replace(tzinfo=UTC)


DURATION = Duration()
TIME = Time()


def one_of(kind: type[StrEnum]) -> click.Choice[str]:
    """The values of an enumeration, as they are stored and shown."""
    return click.Choice([member.value for member in kind])


def find_repository(db: Database, name: str) -> Repository:
    """The repository that REPO names: an id, or ``project/repo``."""
    return db.repositories.get(name) if _is_id(name) else db.repositories.get_by_path(name)


def find_project(db: Database, name: str) -> Project:
    """The project that PROJECT names: an id, or a slug."""
    return db.projects.get(name) if _is_id(name) else db.projects.get_by_slug(name)


def _is_id(name: str) -> bool:
    # A slug has no upper-case letter, and an id no lower-case one.
    return len(name) == 26 and "/" not in name and name == name.upper()
