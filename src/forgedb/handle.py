"""What every handle on a database offers: its DAOs, on behalf of one actor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Generic

from forgedb.drivers.url import DatabaseUrl, parse_url, url_from_environment
from forgedb.errors import InvalidValue
from forgedb.limits import ACTOR_CHARS_MAX, REASON_CHARS_MAX, REQUEST_ID_CHARS_MAX
from forgedb.operations.binding import Clock, Context, FirstWrite, H_co
from forgedb.operations.steps import Steps
from forgedb.validation import check_ip_address, check_name, check_optional_text, check_time

if TYPE_CHECKING:
    from forgedb.dao.audit import AuditDao
    from forgedb.dao.identity import IdentityDao
    from forgedb.dao.leases.dao import LeasesDao
    from forgedb.dao.mirrors import MirrorsDao
    from forgedb.dao.objects import ObjectsDao
    from forgedb.dao.projects import ProjectsDao
    from forgedb.dao.relationships import RelationshipsDao
    from forgedb.dao.repositories import RepositoriesDao


CLOCK_YEAR_MIN, CLOCK_YEAR_MAX = 2, 9997
"""Up to a year is added to the clock's time for leases, intervals and runs."""


class Handle(Generic[H_co]):
    """The DAOs on one runner, each made when first asked for."""

    def __init__(self, runner: H_co, context: Context, url: DatabaseUrl) -> None:
        self._runner = runner
        self._context = context
        self._url = url

    def __repr__(self) -> str:
        return f"<forgedb.{type(self).__name__} {self._url.shown} actor={self._context.actor!r}>"

    @property
    def actor(self) -> str | None:
        """On whose behalf this handle acts."""
        return self._context.actor

    @cached_property
    def identity(self) -> IdentityDao[H_co]:
        """Which database this is, and its era."""
        from forgedb.dao.identity import IdentityDao

        return IdentityDao(self._runner, self._context)

    @cached_property
    def projects(self) -> ProjectsDao[H_co]:
        """Projects, the namespaces of repositories."""
        from forgedb.dao.projects import ProjectsDao

        return ProjectsDao(self._runner, self._context)

    @cached_property
    def repositories(self) -> RepositoriesDao[H_co]:
        """Git repositories."""
        from forgedb.dao.repositories import RepositoriesDao

        return RepositoriesDao(self._runner, self._context)

    @cached_property
    def leases(self) -> LeasesDao[H_co]:
        """Write leases: who may write to a repository."""
        from forgedb.dao.leases.dao import LeasesDao

        return LeasesDao(self._runner, self._context)

    @cached_property
    def audit(self) -> AuditDao[H_co]:
        """The audit trail: who changed what, and its verification."""
        from forgedb.dao.audit import AuditDao

        return AuditDao(self._runner, self._context)

    @cached_property
    def objects(self) -> ObjectsDao[H_co]:
        """The Git objects that repositories have."""
        from forgedb.dao.objects import ObjectsDao

        return ObjectsDao(self._runner, self._context)

    @cached_property
    def mirrors(self) -> MirrorsDao[H_co]:
        """Where repositories are copied from and to."""
        from forgedb.dao.mirrors import MirrorsDao

        return MirrorsDao(self._runner, self._context)

    @cached_property
    def relationships(self) -> RelationshipsDao[H_co]:
        """How repositories belong together."""
        from forgedb.dao.relationships import RelationshipsDao

        return RelationshipsDao(self._runner, self._context)


def make_context(
    actor: str | None,
    request_id: str | None = None,
    source_ip: str | None = None,
    reason: str | None = None,
) -> Context:
    """The context of a handle, checked.  Raises InvalidValue."""
    return Context(
        None if actor is None else check_name("actor", actor, ACTOR_CHARS_MAX),
        None if request_id is None else check_name("request_id", request_id, REQUEST_ID_CHARS_MAX),
        None if source_ip is None else check_ip_address("source_ip", source_ip),
        check_optional_text("reason", reason, REASON_CHARS_MAX, length_min=1),
    )


def read_url(url: str | None) -> DatabaseUrl:
    """The URL that was given, or the environment's.  Raises InvalidValue."""
    return parse_url(url_from_environment() if url is None else url)


def checked_clock(clock: Callable[[], object] | None) -> Clock:
    """The caller's clock, with a check of each time that it gives."""
    return None if clock is None else (lambda: _checked_now(clock()))


def _checked_now(at: object) -> datetime:
    """The time that the caller's clock gives.  Raises InvalidValue."""
    now = check_time("clock()", at)
    if not CLOCK_YEAR_MIN <= now.year <= CLOCK_YEAR_MAX:
        raise InvalidValue(
            "clock()",
            at,
            f"it must be of the years {CLOCK_YEAR_MIN} to {CLOCK_YEAR_MAX}: what is counted from it"
            " needs room",
        )
    return now


def first_write() -> FirstWrite:
    """The check before a database's first write: whether it was restored, upgraded or copied."""

    def check(context: Context) -> Steps[bool]:
        # Imported only by processes that write.
        from forgedb.dao.identity import check_standing

        return check_standing(context)

    return FirstWrite(check)
