"""Which database this is, and its era, which keeps fencing tokens from being granted twice.

A failover can lose grants that a holder already knows of, and a restored backup lacks every grant
made since it was taken.  So the upper half of a token is the effective era, which grows with every
such event, and the lower half is a counter: tokens of a later era are above all earlier ones.
PostgreSQL counts the promotions of standbys itself, as timelines; other events advance the era.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec.structs import asdict, replace

from forgedb.audit.replay import TOKEN_COUNT_BITS
from forgedb.audit.stream import Stream, changed
from forgedb.dao.audited_rows import plain
from forgedb.errors import AuditViolation, Conflict
from forgedb.limits import ERA_MAX
from forgedb.models import DatabaseIdentity
from forgedb.operations.binding import Context, Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, SelectOne, Steps, Together, now, one, rows
from forgedb.sql.catalogue import sql
from forgedb.validation import check_integer, check_reason

T = TypeVar("T")

ERA_CLOCK_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
"""Eras count seconds from here; no database has an earlier one."""

ERA_CLOCK_MAX = 1_500_000_000
"""In the year 2073: a clock that says more is wrong, and must not use up the eras."""

ERA_STEP = 1024
"""More than the promotions that a lost history can have had: each timeline counts as an era."""


TOKEN_CHANCE_BITS = 31
"""The first token of an era has a random lower half of so many bits, since two standbys that were
both promoted have the same timeline; at least as many tokens are left to count."""

_IDENTITY = columns(DatabaseIdentity)

SELECT = sql(f"SELECT {_IDENTITY} FROM database_identity LIMIT 1")

LOCK = sql(
    sqlite=f"SELECT {_IDENTITY}, audit_seq, audit_head FROM database_identity LIMIT 1",
    postgres=f"""
    SELECT {_IDENTITY}, audit_seq, audit_head FROM database_identity LIMIT 1 FOR NO KEY UPDATE
    """,
)

# A grant that a holder was told of must survive a crash, even if the session has turned
# synchronous_commit off: it is turned on here until the transaction ends, without a round trip.
STANDING = sql(
    sqlite="""
    SELECT era, system_identifier, database_oid, forgedb_system_identifier(), NULL, 1, NULL
    FROM database_identity
    LIMIT 1
    """,
    postgres="""
    SELECT era, system_identifier, database_oid, forgedb_system_identifier(),
        forgedb_database_oid(), coalesce(forgedb_timeline(), 1),
        CASE
            WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', true)
        END
    FROM database_identity
    LIMIT 1
    """,
)

ANY_REPOSITORY = sql("SELECT 1 FROM repositories LIMIT 1")

ADVANCE = sql("""
UPDATE database_identity
SET era = :era,
    system_identifier = :system_identifier,
    database_oid = :database_oid,
    audit_seq = :audit_seq,
    audit_head = :audit_head
WHERE id = :id
""")

_log = logging.getLogger("forgedb")


class LockedIdentity(DatabaseIdentity, frozen=True):
    """The identity whose row this transaction has locked, with the end of its stream."""

    audit_seq: int
    audit_head: bytes


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The recorded identity of the database, and what its server or file says now."""

    era: int
    system_identifier: str | None
    database_oid: int | None
    present_identifier: str | None
    present_oid: int | None
    timeline: int
    committed_durably: str | None
    """``on`` if the session had synchronous_commit off, and it was turned on; else None."""

    @property
    def effective_era(self) -> int:
        """The era that tokens carry: each promotion of a standby begins one, too."""
        return self.era + self.timeline - 1

    @property
    def is_elsewhere(self) -> bool:
        """Whether the database isn't where it was: restored, upgraded or copied.

        A value that the server doesn't give is not counted as different.
        """
        return (
            self.present_identifier is not None
            and self.present_identifier != self.system_identifier
        ) or (self.present_oid is not None and self.present_oid != self.database_oid)


ASK_STANDING = SelectOne(STANDING, {}, Standing)


class IdentityDao(Dao[H_co]):
    """Which database this is, and its era."""

    @read
    def get(self) -> Steps[DatabaseIdentity]:
        """The database's identity.  Raises AuditViolation (it is gone)."""
        return _there((yield from one(DatabaseIdentity, SELECT)))

    @write
    def advance_era(self, reason: str, *, above: int = 0) -> Steps[DatabaseIdentity]:
        """Begin a new era: the next fencing tokens are above all that were ever given.

        Call it as the last step of a restore that the database can't detect, such as a snapshot of
        the whole machine.  After any other restore, an upgrade or a copy, the database begins the
        era by itself.  ``above`` is an era, 0 to 2,000,000,000, that is known to have begun in the
        history that was lost.

        Raises InvalidValue (also an empty reason), Conflict (there is no later era), AuditViolation
        (the identity is gone).
        """
        check_reason(reason)
        check_integer("above", above, greatest=ERA_MAX)
        locked = _there((yield from one(LockedIdentity, LOCK)))
        standing = yield from _standing()
        return (yield from _advance(self.context, locked, standing, reason, above))


def check_standing(context: Context) -> Steps[bool]:
    """Before the first write: begin a new era if the database isn't where it was.

    Returns True if it is where it was, so that this needn't be checked again.
    """
    standing = yield from _standing()
    if not standing.is_elsewhere:
        return True
    yield from settled(context, standing)
    return False


def standing_of(context: Context) -> Steps[Standing]:
    """The database's standing; begins a new era first if the database has moved."""
    return (yield from settled(context, (yield from _standing())))


def settled(context: Context, standing: Standing) -> Steps[Standing]:
    """The standing with the present place recorded, and with a new era begun if it takes one."""
    if not standing.is_elsewhere:
        return standing
    locked = _there((yield from one(LockedIdentity, LOCK)))
    # Another transaction may have done it while this one waited for the lock.
    standing = yield from _standing()
    if not standing.is_elsewhere:
        return standing
    if (yield from _may_repeat(locked, standing)):
        before = _place(standing.system_identifier, standing.database_oid)
        after = _place(standing.present_identifier, standing.present_oid)
        reason = f"the database was in {before}, and is in {after}: restored, upgraded or copied"
        advanced = yield from _advance(context, locked, standing, reason)
        _log.warning(
            "%s; era %d begins, and fencing tokens above all that were given before",
            reason,
            advanced.era,
        )
        return replace(
            standing,
            era=advanced.era,
            system_identifier=advanced.system_identifier,
            database_oid=advanced.database_oid,
        )
    yield _moved(locked, _placed(locked, standing), None)
    return standing


def _may_repeat(locked: LockedIdentity, standing: Standing) -> Steps[bool]:
    """Whether tokens that were granted elsewhere might be granted again here."""
    if locked.system_identifier is not None:
        if standing.present_identifier not in (None, locked.system_identifier):
            return True
    elif locked.database_oid is None:
        # The place was never recorded.
        return False
    # A copy of a template database in the same cluster may have granted nothing yet.
    return locked.audit_seq > 0 or bool((yield from rows(ANY_REPOSITORY)))


def next_token(lease_epoch: int, standing: Standing) -> int:
    """The fencing token after ``lease_epoch``: one more, or the first of a later era."""
    era = standing.effective_era
    if era <= lease_epoch >> TOKEN_COUNT_BITS:
        return lease_epoch + 1
    chance = int.from_bytes(os.urandom(4)) >> (32 - TOKEN_CHANCE_BITS)
    return (era << TOKEN_COUNT_BITS) + chance


def later_era(era: int, at: datetime) -> int:
    """The era that begins after ``era``: the seconds since 2026 began, if that is later.

    So two restores of one backup begin two different eras, and the later restore the higher one,
    though neither knows of the other.  That holds as long as eras begin no faster than seconds
    pass.  If the clock is behind by less than a step, the era is one more than the last.  A clock
    that is further behind, or beyond ERA_CLOCK_MAX, is ignored: the era then grows by ERA_STEP,
    which is more than the history that was lost can have counted.
    """
    seconds = (at - ERA_CLOCK_ZERO) // timedelta(seconds=1)
    if era - ERA_STEP < seconds <= ERA_CLOCK_MAX:
        return max(era + 1, seconds)
    return era + ERA_STEP


def _standing() -> Steps[Standing]:
    return _there((yield from one(Standing, STANDING)))


def _there(found: T | None) -> T:
    if found is None:
        raise AuditViolation(
            "the table database_identity has lost its one row, and with it the era of the fencing"
            " tokens: restore a backup"
        )
    return found


def _advance(
    context: Context, locked: LockedIdentity, standing: Standing, reason: str, above: int = 0
) -> Steps[DatabaseIdentity]:
    at = yield from now()
    era = later_era(max(standing.effective_era, above), at)
    if era > ERA_MAX:
        raise Conflict("database_identity_era_check", f"era {locked.era} is the last there can be")
    before = plain(DatabaseIdentity, locked)
    # The timeline is added to the recorded era, so it is subtracted here.
    after = replace(_placed(locked, standing), era=era - (standing.effective_era - standing.era))
    stream = Stream(context, locked.id, locked.audit_seq, locked.audit_head)
    entry = stream.entry(
        at, "database.advance_era", locked.id, changed(before, after), reason=reason
    )
    yield Together((entry, _moved(locked, after, stream)))
    return after


def _placed(locked: LockedIdentity, standing: Standing) -> DatabaseIdentity:
    """The identity with its present place; a value that the server no longer gives is kept."""
    return replace(
        plain(DatabaseIdentity, locked),
        system_identifier=standing.present_identifier or locked.system_identifier,
        database_oid=standing.present_oid or locked.database_oid,
    )


def _moved(locked: LockedIdentity, after: DatabaseIdentity, stream: Stream | None) -> Change:
    params = asdict(after)
    params["audit_seq"] = locked.audit_seq if stream is None else stream.seq
    params["audit_head"] = locked.audit_head if stream is None else stream.head
    return Change(ADVANCE, params)


def _place(system_identifier: str | None, database_oid: int | None) -> str:
    where = f"{system_identifier or 'an unknown place'}"
    return where if database_oid is None else f"{where}, database {database_oid}"
