"""Mirrors: the remotes that repositories are copied from and to, and whose turn it is.

A run is claimed with a deadline and a token.  While it goes on, ``next_run_at`` is its deadline,
so that the one index of what is due also finds the runs whose process died.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from msgspec.structs import asdict, replace

from forgedb.audit.stream import changed, created, deleted
from forgedb.credentials import strip_credentials
from forgedb.dao.paging import after_id, page
from forgedb.dao.repositories import LockedRepository, advance, lock_repository, stream_of
from forgedb.dao.revision import checked, later
from forgedb.errors import AlreadyExists, InvalidValue, LeaseLost, NotFound
from forgedb.ids import Ulid, check_ulid, new_ulid
from forgedb.models import Direction, Mirror, MirrorStatus, Page
from forgedb.operations.binding import Context, Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, change, many, now, one
from forgedb.sql.catalogue import sql
from forgedb.validation import (
    check_duration,
    check_enum,
    check_limit,
    check_optional_text,
    check_text,
    check_time,
)

URL_CHARS_MAX = 2048
CREDENTIAL_REF_CHARS_MAX = 200
ERROR_CHARS_MAX = 10_000
INTERVAL_MIN = timedelta(minutes=1)
INTERVAL_MAX = timedelta(days=365)
RUN_FOR_MAX = timedelta(hours=72)

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
VALUES ({", ".join(":" + field for field in Mirror.__struct_fields__)})
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


def check_remote_url(field: str, value: object) -> str:
    """A URL without credentials in it.  Raises InvalidValue, which shows none."""
    if isinstance(value, str):
        clean, had_credentials = strip_credentials(value)
        if had_credentials:
            raise InvalidValue(
                field,
                clean,
                "it was given with credentials, which are not kept here: leave them out, and"
                " name where they are in credential_ref",
            )
    url = check_text(field, value, URL_CHARS_MAX, length_min=1)
    if url.startswith("-") or any(character.isspace() for character in url):
        raise InvalidValue(field, value, "it is no address that Git takes")
    return url


def _check_credential_ref(field: str, value: object) -> str | None:
    return check_optional_text(field, value, CREDENTIAL_REF_CHARS_MAX, length_min=1)


def _check_enabled(field: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidValue(field, value, "it must be True or False")


def _check_interval(field: str, value: object) -> timedelta | None:
    if value is None:
        return None
    interval = check_duration(field, value, least=INTERVAL_MIN, greatest=INTERVAL_MAX)
    if interval.microseconds:
        raise InvalidValue(field, value, "it must be whole seconds")
    return interval


def _check_next_run_at(field: str, value: object) -> datetime | None:
    return None if value is None else check_time(field, value)


UPDATABLE: Mapping[str, Callable[[str, object], Any]] = {
    "remote_url": check_remote_url,
    "credential_ref": _check_credential_ref,
    "enabled": _check_enabled,
    "interval": _check_interval,
    "next_run_at": _check_next_run_at,
}


class MirrorsDao(Dao[H_co]):
    """Mirrors of repositories, and the runs that keep them up to date."""

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
        """Add a mirror; with an ``interval`` its first run is due at once, or at ``next_run_at``.

        ``interval`` is whole seconds from a minute to a year, None for a mirror run by hand.
        Credentials belong elsewhere: ``credential_ref`` is the name by which they are found.

        Raises InvalidValue (also for credentials in the URL), NotFound (the repository),
        AlreadyExists (the same remote and direction, or a second pull mirror).
        """
        towards = check_enum("direction", Direction, direction)
        check_remote_url("remote_url", remote_url)
        pause = _check_interval("interval", interval)
        _check_credential_ref("credential_ref", credential_ref)
        _check_enabled("enabled", enabled)
        first_run_at = _check_next_run_at("next_run_at", next_run_at)
        locked = yield from lock_repository(repository_id)
        at = yield from now()
        if first_run_at is None and pause is not None:
            first_run_at = at
        mirror = Mirror(
            new_ulid(),
            repository_id,
            towards,
            remote_url,
            credential_ref,
            enabled,
            _seconds(pause),
            MirrorStatus.NEVER,
            first_run_at,
            None,
            None,
            0,
            None,
            None,
            None,
            at,
            at,
        )
        stream = stream_of(self.context, locked)
        yield from stream.append(at, "mirror.create", mirror.id, created(mirror))
        yield from advance(locked, stream)
        try:
            yield from change(INSERT, **asdict(mirror))
        except AlreadyExists as error:
            raise _taken(error, mirror) from error.__cause__
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
            lambda mirror: mirror.id,
            repository_id=check_ulid("repository_id", repository_id),
            after=after_id(after),
        )

    @write
    def update(self, /, mirror_id: Ulid, **fields: Any) -> Steps[Mirror]:
        """Change remote_url, credential_ref, enabled, interval or next_run_at.

        A new interval counts from now, unless next_run_at says otherwise; a run that goes on
        keeps its deadline, and its next one follows the new interval.

        Raises InvalidValue (also for an unknown field), NotFound (a deleted repository's too),
        AlreadyExists.
        """
        new = checked(fields, UPDATABLE)
        locked, mirror, at = yield from _lock_mirror(mirror_id)
        if "interval" in new:
            pause = new.pop("interval")
            new["interval_seconds"] = _seconds(pause)
            new.setdefault("next_run_at", None if pause is None else at + pause)
        if mirror.status is MirrorStatus.RUNNING:
            new.pop("next_run_at", None)
        return (yield from _save(self.context, locked, mirror, "update", new, at))

    @write
    def delete(self, mirror_id: Ulid) -> Steps[Mirror]:
        """Remove the mirror, and return it as it was.  Raises InvalidValue, NotFound."""
        locked, mirror, at = yield from _lock_mirror(mirror_id)
        stream = stream_of(self.context, locked)
        yield from stream.append(at, "mirror.delete", mirror_id, deleted(mirror))
        yield from advance(locked, stream)
        yield from change(DELETE, id=mirror_id)
        return mirror

    @write
    def claim_due(self, limit: int, run_for: timedelta) -> Steps[Mirrors]:
        """Take mirrors whose run is due, each for ``run_for``, and return them with their tokens.

        Whoever claims them runs them, and says so with ``finish``; a run that isn't finished by
        its deadline is due again.  Mirrors of deleted repositories are left alone.

        Raises InvalidValue.
        """
        count = check_limit(limit)
        check_duration("run_for", run_for, greatest=RUN_FOR_MAX)
        asked_at = yield from now()
        due = yield from many(Mirror, DUE, now=asked_at, limit=count)
        claimed: Mirrors = []
        # In the order in which everyone locks repositories, so that nobody waits in a circle.
        for found in sorted(due, key=lambda mirror: mirror.repository_id):
            locked = yield from lock_repository(found.repository_id, include_deleted=True)
            mirror = yield from one(Mirror, SELECT_BY_ID, id=found.id)
            at = yield from now()
            if locked.deleted_at is not None or mirror is None or not _is_due(mirror, at):
                continue
            run = {
                "status": MirrorStatus.RUNNING,
                "run_token": new_ulid(),
                "run_deadline_at": at + run_for,
                "next_run_at": at + run_for,
                "last_started_at": at,
            }
            claimed.append((yield from _save(self.context, locked, mirror, "claim", run, at)))
        return claimed

    @write
    def finish(self, mirror_id: Ulid, run_token: Ulid, error: str | None = None) -> Steps[Mirror]:
        """Say how a claimed run ended: well, or with ``error``; the next is due after the interval.

        Raises LeaseLost (the run passed its deadline and was claimed again, or has been
        finished), InvalidValue, NotFound.
        """
        check_ulid("run_token", run_token)
        check_optional_text("error", error, ERROR_CHARS_MAX, length_min=1)
        locked, mirror, at = yield from _lock_mirror(mirror_id, include_deleted=True)
        if mirror.run_token is None:
            raise LeaseLost("ended", f"mirror {mirror_id} isn't running")
        if mirror.run_token != run_token:
            raise LeaseLost("superseded", f"mirror {mirror_id} was claimed again")
        pause = mirror.interval
        result: dict[str, Any] = {
            "status": MirrorStatus.OK if error is None else MirrorStatus.FAILED,
            "run_token": None,
            "run_deadline_at": None,
            "next_run_at": None if pause is None else at + pause,
            "last_error": error,
            "consecutive_failures": 0 if error is None else mirror.consecutive_failures + 1,
        }
        if error is None:
            result["last_success_at"] = at
        return (yield from _save(self.context, locked, mirror, "finish", result, at))


def _get(mirror_id: Ulid) -> Steps[Mirror]:
    found = yield from one(Mirror, SELECT_BY_ID, id=check_ulid("mirror_id", mirror_id))
    if found is None:
        raise NotFound("mirror", mirror_id)
    return found


def _lock_mirror(
    mirror_id: Ulid, *, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, Mirror, datetime]]:
    """Lock the mirror's repository, then read the mirror again: it may have changed meanwhile."""
    seen = yield from _get(mirror_id)
    locked = yield from lock_repository(seen.repository_id, include_deleted=include_deleted)
    mirror = yield from _get(mirror_id)
    return locked, mirror, (yield from now())


def _save(
    context: Context,
    locked: LockedRepository,
    before: Mirror,
    verb: str,
    fields: Mapping[str, Any],
    at: datetime,
) -> Steps[Mirror]:
    after = replace(before, **fields, updated_at=later(at, before.updated_at))
    changes = changed(before, after)
    if not changes:
        return before
    stream = stream_of(context, locked)
    yield from stream.append(at, f"mirror.{verb}", before.id, changes)
    yield from advance(locked, stream)
    row = asdict(after)
    for fixed in ("repository_id", "direction", "created_at"):
        del row[fixed]
    try:
        yield from change(UPDATE, **row)
    except AlreadyExists as error:
        raise _taken(error, after) from error.__cause__
    return after


def _is_due(mirror: Mirror, at: datetime) -> bool:
    return mirror.enabled and mirror.next_run_at is not None and mirror.next_run_at <= at


def _seconds(interval: timedelta | None) -> int | None:
    return None if interval is None else int(interval.total_seconds())


def _taken(error: AlreadyExists, mirror: Mirror) -> AlreadyExists:
    what = f"a {mirror.direction} mirror of {mirror.remote_url!r}"
    if error.constraint == "mirrors_one_pull_per_repository":
        what = "a pull mirror, and it follows one source alone"
    return AlreadyExists(
        error.constraint,
        f"repository {mirror.repository_id} has {what} already: change that one, or delete it",
    )
