"""Mirrors: remotes that repositories are copied from or to, and when each is due.

A worker does the copying: it claims the mirrors that are due, copies, and reports the result.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypedDict, Unpack

from msgspec.structs import asdict, replace

from forgedb.audit.stream import changed, created, deleted
from forgedb.dao.audited_rows import Checks, checked, later
from forgedb.dao.paging import BY_ID, page
from forgedb.dao.repositories import (
    LockedRepository,
    advanced,
    lock_and_select,
    lock_repository,
    stream_of,
)
from forgedb.errors import AlreadyExists, Conflict, InvalidValue, LeaseLost, NotFound
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import (
    CREDENTIAL_REF_CHARS_MAX,
    ERROR_CHARS_MAX,
    INTERVAL_MAX,
    INTERVAL_MIN,
    RUN_FOR_MAX,
    RUN_FOR_MIN,
)
from forgedb.models import Direction, Mirror, MirrorStatus, Page, Ulid
from forgedb.operations.binding import Context, Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, SelectOne, Steps, Together, lookup, many, now, one
from forgedb.remote_url import check_remote_url
from forgedb.sql.catalogue import Sql, sql
from forgedb.validation import (
    check_duration,
    check_enum,
    check_flag,
    check_limit,
    check_optional_text,
    check_text,
    check_time,
)

RUN_FOR = timedelta(hours=1)

Mirrors: TypeAlias = list[Mirror]

MIRROR = columns(Mirror)

SELECT_BY_ID = sql(f"SELECT {MIRROR} FROM mirrors WHERE id = :id")

LIST = sql(f"""
SELECT {MIRROR}
FROM mirrors
WHERE repository_id = :repository_id AND id > :after
ORDER BY id
LIMIT :limit
""")

DUE = sql(f"""
SELECT {columns(Mirror, "m.")}
FROM mirrors AS m
JOIN repositories AS r ON r.id = m.repository_id
WHERE m.enabled AND m.next_run_at <= :now AND r.deleted_at IS NULL
ORDER BY m.next_run_at, m.id
LIMIT :limit
""")

INSERT = sql(f"""
INSERT INTO mirrors ({MIRROR})
VALUES (
    :id, :repository_id, :direction, :remote_url, :credential_ref, :enabled, :interval_seconds,
    :status, :next_run_at, :last_started_at, :last_success_at, :consecutive_failures, :last_error,
    :run_token, :run_deadline_at, :created_at, :updated_at)
""")

UPDATE = sql("""
UPDATE mirrors
SET remote_url = :remote_url,
    credential_ref = :credential_ref,
    enabled = :enabled,
    interval_seconds = :interval_seconds,
    status = :status,
    next_run_at = :next_run_at,
    last_started_at = :last_started_at,
    last_success_at = :last_success_at,
    consecutive_failures = :consecutive_failures,
    last_error = :last_error,
    run_token = :run_token,
    run_deadline_at = :run_deadline_at,
    updated_at = :updated_at
WHERE id = :id
""")

DELETE = sql("DELETE FROM mirrors WHERE id = :id")

FIXED = ("repository_id", "direction", "created_at")
"""Columns that an UPDATE has no parameter for."""


def check_credential_ref(field: str, value: object) -> str | None:
    return check_optional_text(field, value, CREDENTIAL_REF_CHARS_MAX, length_min=1)


def check_interval(field: str, value: object) -> int | None:
    """The interval in seconds, or None for a mirror that runs by hand.  Raises InvalidValue."""
    if value is None:
        return None
    interval = check_duration(field, value, least=INTERVAL_MIN, greatest=INTERVAL_MAX)
    if interval.microseconds:
        raise InvalidValue(field, value, "it must be a number of whole seconds")
    return interval // timedelta(seconds=1)


def check_next_run_at(field: str, value: object) -> datetime | None:
    return None if value is None else check_time(field, value)


class MirrorFields(TypedDict, total=False):
    """What ``mirrors.update`` takes: the fields of a mirror that change."""

    remote_url: str
    credential_ref: str | None
    enabled: bool
    interval: timedelta | None
    next_run_at: datetime | None


UPDATABLE: Checks = {
    "remote_url": check_remote_url,
    "credential_ref": check_credential_ref,
    "enabled": check_flag,
    "interval": check_interval,
    "next_run_at": check_next_run_at,
}


class MirrorsDao(Dao[H_co]):
    """Mirrors of repositories: what is copied from where to where, how often, and how it went."""

    @write
    def create(
        self,
        repository_id: Ulid,
        direction: Direction | str,
        remote_url: str,
        interval: timedelta | None = None,
        credential_ref: str | None = None,
        enabled: bool = True,
        next_run_at: datetime | None = None,
    ) -> Steps[Mirror]:
        """Add a mirror that runs each ``interval``, in whole seconds from a minute to 365 days.

        It is due at ``next_run_at``; without one, at once if it has an interval, and never if it
        runs by hand.  ``credential_ref`` names where a password or token is kept; the URL may hold
        none.

        Raises InvalidValue (also credentials in the URL), NotFound (the repository; deleted too),
        AlreadyExists (the same mirror, or a second one to pull from).
        """
        way = check_enum("direction", Direction, direction)
        check_remote_url("remote_url", remote_url)
        interval_seconds = check_interval("interval", interval)
        check_credential_ref("credential_ref", credential_ref)
        check_flag("enabled", enabled)
        first_run_at = check_next_run_at("next_run_at", next_run_at)
        locked, at = yield from lock_repository(repository_id)
        mirror = Mirror(
            new_ulid(),
            repository_id,
            way,
            remote_url,
            credential_ref,
            enabled,
            interval_seconds,
            MirrorStatus.NEVER,
            at if first_run_at is None and interval_seconds is not None else first_run_at,
            None,
            None,
            0,
            None,
            None,
            None,
            at,
            at,
        )
        recorded = _record(self.context, locked, at, "create", mirror.id, created(mirror))
        yield from _save(INSERT, mirror, asdict(mirror), *recorded)
        return mirror

    @read
    def get(self, mirror_id: Ulid) -> Steps[Mirror]:
        """The mirror.  Raises InvalidValue, NotFound."""
        return _get(mirror_id)

    @read
    def list(
        self, repository_id: Ulid, *, after: str | None = None, limit: int = 100
    ) -> Steps[Page[Mirror]]:
        """A repository's mirrors in the order of their ids.  Raises InvalidValue."""
        return page(
            Mirror,
            LIST,
            limit,
            BY_ID,
            after,
            repository_id=check_ulid("repository_id", repository_id),
        )

    @write
    def update(self, /, mirror_id: Ulid, **fields: Unpack[MirrorFields]) -> Steps[Mirror]:
        """Change remote_url, credential_ref, enabled, interval or next_run_at.

        A new interval makes the next run earlier if that is sooner; without an interval, the mirror
        runs only by hand.  A running mirror continues, and its new interval applies once it has
        finished.

        Raises InvalidValue (also for an unknown field), NotFound (also where the repository is
        deleted), AlreadyExists, Conflict (next_run_at of a running mirror).
        """
        new = checked(fields, UPDATABLE)
        locked, before, at = yield from _lock_mirror(mirror_id)
        is_running = before.status is MirrorStatus.RUNNING
        if is_running and "next_run_at" in new:
            raise Conflict(
                "mirrors.next_run_at",
                f"mirror {mirror_id} is running, until {before.run_deadline_at} at the latest:"
                " set next_run_at when it has finished",
            )
        if "interval" in new:
            seconds: int | None = new.pop("interval")
            if seconds != before.interval_seconds:
                new["interval_seconds"] = seconds
                if not is_running:
                    new.setdefault("next_run_at", _brought_forward(before, seconds, at))
        return (
            yield from _revise(self.context, locked, at, "update", before, replace(before, **new))
        )

    @write
    def delete(self, mirror_id: Ulid) -> Steps[Mirror]:
        """Delete the mirror, also while it runs, and return it as it was.

        Raises InvalidValue, NotFound (also where the repository is deleted).
        """
        locked, mirror, at = yield from _lock_mirror(mirror_id)
        recorded = _record(self.context, locked, at, "delete", mirror_id, deleted(mirror))
        yield Together((Change(DELETE, {"id": mirror_id}), *recorded))
        return mirror

    @write
    def claim_due(self, limit: int = 10, run_for: timedelta = RUN_FOR) -> Steps[Mirrors]:
        """Mark up to ``limit`` enabled mirrors that are due as running, the longest due first.

        Each gets its own ``run_token``, which ``finish`` requires, and must finish within
        ``run_for`` (a second to seven days; by default an hour).  A mirror past that deadline is
        due again.  When it is claimed again, the old run counts as a failure and its token is no
        longer valid.

        Raises InvalidValue.
        """
        count = check_limit(limit)
        check_duration("run_for", run_for, least=RUN_FOR_MIN, greatest=RUN_FOR_MAX)
        asked_at = yield from now()
        due = yield from many(Mirror, DUE, now=asked_at, limit=count)
        of_repository: dict[Ulid, dict[Ulid, Mirror | None]] = {}
        for found in due:
            of_repository.setdefault(found.repository_id, {})[found.id] = None
        # Repositories are always locked in the order of their ids, so that no deadlock arises.
        for repository_id, claims in sorted(of_repository.items()):
            yield from _claim(self.context, repository_id, claims, run_for)
        return [
            claimed for found in due if (claimed := of_repository[found.repository_id][found.id])
        ]

    @write
    def finish(self, mirror_id: Ulid, run_token: Ulid, error: str | None = None) -> Steps[Mirror]:
        """End a run: a success, or with ``error`` a failure for that reason.

        The next run is due an interval from now, after a failure too, or never if the mirror runs
        by hand.  A run past its deadline may still be finished until another worker claims the
        mirror, and so may one whose repository was deleted meanwhile.

        Raises LeaseLost (superseded: another run was claimed since; ended: none is running),
        InvalidValue, NotFound.
        """
        check_ulid("run_token", run_token)
        if error is not None:
            check_text("error", error, ERROR_CHARS_MAX, length_min=1)
        locked, before, at = yield from _lock_mirror(mirror_id, include_deleted=True)
        if before.run_token is None:
            raise LeaseLost("ended", f"mirror {mirror_id} isn't running")
        if before.run_token != run_token:
            raise LeaseLost("superseded", f"mirror {mirror_id} is run by someone else since")
        succeeded = error is None
        after = replace(
            before,
            status=MirrorStatus.OK if succeeded else MirrorStatus.FAILED,
            next_run_at=None if before.interval is None else at + before.interval,
            last_success_at=at if succeeded else before.last_success_at,
            consecutive_failures=0 if succeeded else before.consecutive_failures + 1,
            last_error=error,
            run_token=None,
            run_deadline_at=None,
        )
        return (yield from _revise(self.context, locked, at, "finish", before, after))


def _get(mirror_id: Ulid) -> Steps[Mirror]:
    check_ulid("mirror_id", mirror_id)
    return lookup(Mirror, SELECT_BY_ID, "mirror", mirror_id, id=mirror_id)


def _lock_mirror(
    mirror_id: Ulid, *, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, Mirror, datetime]]:
    """Lock the mirror's repository, then read the mirror again: it may have changed meanwhile."""
    seen = yield from _get(mirror_id)
    again = SelectOne(SELECT_BY_ID, {"id": mirror_id}, Mirror)
    locked, at, (mirror,) = yield from lock_and_select(
        seen.repository_id, again, include_deleted=include_deleted
    )
    if mirror is None:
        raise NotFound("mirror", mirror_id)
    return locked, mirror, at


def _brought_forward(before: Mirror, seconds: int | None, at: datetime) -> datetime | None:
    """When a mirror is due after its interval was changed."""
    if seconds is None:
        return None
    if before.next_run_at is None:
        return at
    return min(before.next_run_at, at + timedelta(seconds=seconds))


def _claim(
    context: Context,
    repository_id: Ulid,
    claims: dict[Ulid, Mirror | None],
    run_for: timedelta,
) -> Steps[None]:
    """Lock the repository, and claim those of its mirrors that are still due."""
    locked, at = yield from lock_repository(repository_id, include_deleted=True)
    if locked.deleted_at is not None:
        return
    stream = stream_of(context, locked)
    for mirror_id in claims:
        before = yield from one(Mirror, SELECT_BY_ID, id=mirror_id)
        if before is None or not _is_due(before, at):
            continue
        # While it runs, next_run_at is its deadline: one index finds due mirrors and overdue runs.
        after = replace(
            before,
            status=MirrorStatus.RUNNING,
            next_run_at=at + run_for,
            last_started_at=at,
            run_token=new_ulid(),
            run_deadline_at=at + run_for,
            updated_at=later(at, before.updated_at),
        )
        if before.status is MirrorStatus.RUNNING:
            after = replace(
                after,
                consecutive_failures=before.consecutive_failures + 1,
                last_error=f"the run of {before.last_started_at} didn't finish in its time",
            )
        entry = stream.entry(at, "mirror.claim", mirror_id, changed(before, after))
        yield from _save(UPDATE, after, _changeable(after), entry)
        claims[mirror_id] = after
    if any(claims.values()):
        yield advanced(locked, stream)


def _is_due(mirror: Mirror, at: datetime) -> bool:
    return mirror.enabled and mirror.next_run_at is not None and mirror.next_run_at <= at


def _revise(
    context: Context,
    locked: LockedRepository,
    at: datetime,
    verb: str,
    before: Mirror,
    after: Mirror,
) -> Steps[Mirror]:
    """Give the mirror new values; no difference writes nothing."""
    changes = changed(before, after)
    if not changes:
        return before
    after = replace(after, updated_at=later(at, before.updated_at))
    recorded = _record(context, locked, at, verb, after.id, changes)
    yield from _save(UPDATE, after, _changeable(after), *recorded)
    return after


def _changeable(mirror: Mirror) -> dict[str, Any]:
    return {field: value for field, value in asdict(mirror).items() if field not in FIXED}


def _save(statement: Sql, mirror: Mirror, values: dict[str, Any], *recorded: Change) -> Steps[None]:
    try:
        yield Together((Change(statement, values), *recorded))
    except AlreadyExists as error:
        if error.constraint == "mirrors_one_pull_per_repository":
            why = (
                f"repository {mirror.repository_id} has a mirror to pull from already:"
                " change its remote_url, or delete it first"
            )
        else:
            why = (
                f"repository {mirror.repository_id} has a {mirror.direction} mirror of"
                f" {mirror.remote_url} already: use the one that is there"
            )
        raise AlreadyExists(error.constraint, why) from error.__cause__


def _record(
    context: Context,
    locked: LockedRepository,
    at: datetime,
    verb: str,
    mirror_id: Ulid,
    changes: dict[str, Any],
) -> tuple[Change, Change]:
    stream = stream_of(context, locked)
    entry = stream.entry(at, f"mirror.{verb}", mirror_id, changes)
    return entry, advanced(locked, stream)
