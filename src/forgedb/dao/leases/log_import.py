"""Replaying a lease log into the database: a chunk of lines at a time, all in one transaction.

``forgedb.lease_log`` says what a line may contain and in which order events may come; this module
applies the lines to the rows.  A repository's row is locked before its leases are read, as for
every other change of leases.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import IO, Any, NamedTuple, TypeAlias

from msgspec.structs import astuple, replace

from forgedb.audit.stream import Stream, created
from forgedb.dao.identity import Standing, next_token, standing_of
from forgedb.dao.leases.log_rows import (
    ADVANCE_REPOSITORIES,
    END_LEASES,
    INSERT_ENTRIES,
    INSERT_LEASES,
    INSERT_LINES,
    LAST_LEASES,
    LEASES_BY_ID,
    LINE_AFTER,
    LINES_BETWEEN,
    LINES_OF_LEASES,
    LOCK_IMPORTS,
    LOCK_REPOSITORIES,
    NAME_IN_LOG,
    RESOLVE_LINE,
    ImportedLine,
    by_ids,
)
from forgedb.dao.leases.steps import end_steps, expired_lease
from forgedb.dao.projects import ProjectsDao
from forgedb.dao.repositories import (
    LockedRepository,
    RepositoriesDao,
    stream_of,
)
from forgedb.errors import InvalidValue, LineRefused, NotFound, named
from forgedb.ids import ULID_PATTERN, check_ulid, new_ulid
from forgedb.lease_log.lines import Acquired, Ended, Event, name_of, parse
from forgedb.lease_log.rules import (
    Waiting,
    check_end,
    check_grant,
    check_order,
    ended,
    granted,
    is_told_by,
    text,
)
from forgedb.limits import (
    CLOCK_BACKSTEP_MAX,
    LOG_LINE_BYTES_MAX,
    LOG_SOURCE_BYTES_MAX,
    LOG_SOURCE_CHARS_MAX,
)
from forgedb.models import (
    EndReason,
    Lease,
    LeaseImport,
    Project,
    Repository,
    RepositoryState,
    Ulid,
    UnknownRepository,
)
from forgedb.operations.binding import Context, Dao
from forgedb.operations.steps import Steps, change, change_many, many, now, rows
from forgedb.validation import check_offers, check_text, slug_like

CHUNK_LINES = 1000
"""Lines that are read, looked up and written together; this bounds the memory of an import."""


Lines: TypeAlias = list["_Line"]

_is_ulid = re.compile(ULID_PATTERN).fullmatch


def import_log(
    dao: Dao[Any], file: IO[bytes], source: str | None, create_missing: Ulid | None
) -> Steps[LeaseImport]:
    """What ``leases.import_jsonl`` does."""
    check_offers("file", file, ["readline"], "open for reading bytes: open(…, 'rb')")
    named = _checked_source(getattr(file, "name", None) if source is None else source)
    if create_missing is not None:
        check_ulid("create_missing", create_missing)
    yield from rows(LOCK_IMPORTS)
    project = None
    if create_missing is not None:
        project = yield from ProjectsDao.get(dao, create_missing)
        if project.deleted_at is not None:
            raise NotFound("project", create_missing)
    standing = yield from standing_of(dao.context)
    replay = _Import(dao, named, project, standing)
    remaining = _numbered(file)
    while chunk := [*islice(remaining, CHUNK_LINES)]:
        yield from replay.take(chunk)
    return (yield from replay.finish())


class _Line(NamedTuple):
    """A line that was read: its event, or why it was refused."""

    number: int
    sha256: bytes
    event: Event | None
    refused: InvalidValue | None


class _Held:
    """A repository that this transaction has locked, with its last lease."""

    def __init__(self, context: Context, locked: LockedRepository, last: Lease | None) -> None:
        self.locked = locked
        self.last = last
        self.last_id: str | None = None
        """The id of the last lease in the log, if it came from there."""
        self.stream: Stream = stream_of(context, locked)
        self.lease_epoch = locked.lease_epoch

    @property
    def takes_leases(self) -> bool:
        return self.locked.state is RepositoryState.ACTIVE and self.locked.deleted_at is None

    @property
    def has_advanced(self) -> bool:
        return self.stream.seq > self.locked.audit_seq


class _Import:
    """The import of one log."""

    def __init__(
        self, dao: Dao[Any], source: str, project: Project | None, standing: Standing
    ) -> None:
        self._dao = dao
        self._standing = standing
        self._context = dao.context
        self._source = source
        self._project = project
        self._before: datetime | None = None
        self._counted = {"lines": 0, "imported": 0, "already_there": 0, "leases": 0}
        self._created: list[Repository] = []
        self._unknown: dict[str, UnknownRepository] = {}
        self._waiting = Waiting()
        self._names: dict[str, Ulid] = {}
        """Ids of repositories by their names in the log."""
        self._misplaced: dict[Ulid, tuple[int, str]] = {}
        """Open leases of repositories that accept no leases, with the line that began each."""
        # What follows is of the current chunk.
        self._at: datetime
        self._lines: dict[int, ImportedLine] = {}
        self._known: dict[tuple[str, str], ImportedLine] = {}
        self._leases: dict[Ulid, Lease] = {}
        self._held: dict[Ulid, _Held] = {}
        self._begun: dict[Ulid, Lease] = {}
        self._ended: list[Lease] = []
        self._entries: list[dict[str, Any]] = []
        self._new_lines: list[ImportedLine] = []
        self._resolved: list[ImportedLine] = []

    def take(self, chunk: Lines) -> Steps[None]:
        """Replay the next lines.  Raises LineRefused."""
        # Read for each chunk: a log may still grow while it is read.
        self._at = yield from now()
        # A line that was refused is always the last one of its chunk.
        events = [line for line in _readable(chunk) if line.event is not None]
        yield from self._look_up(chunk, events)
        for line in chunk:
            with _at(self._source, line.number):
                if line.refused is not None:
                    raise line.refused
                assert line.event is not None
                self._take_line(line, line.event)
        yield from self._write()

    def finish(self) -> Steps[LeaseImport]:
        """The result.  Raises LineRefused for what can be checked only after the last line."""
        last = self._counted["lines"]
        cut = yield from many(ImportedLine, LINE_AFTER, source=self._source, last=last)
        if cut:
            raise LineRefused(
                self._source,
                cut[0].line_number,
                "source",
                self._source,
                f"this line was imported, and the file ends at line {last}: give the whole file",
            )
        for line_number, lease_id in self._misplaced.values():
            raise LineRefused(
                self._source,
                line_number,
                "lease_id",
                lease_id,
                "it is live, and its repository is deleted, archived or read-only here:"
                " make the repository active, or end the lease first",
            )
        unknown = [*self._unknown.values()]
        return LeaseImport(
            source=self._source,
            waiting=sum(each.lines for each in unknown),
            created=self._created,
            unknown=unknown,
            **self._counted,
        )

    # Reading.

    def _look_up(self, chunk: Lines, events: Lines) -> Steps[None]:
        first, last = chunk[0].number, chunk[-1].number
        found = yield from many(
            ImportedLine, LINES_BETWEEN, source=self._source, first=first, last=last
        )
        self._lines = {line.line_number: line for line in found}
        told = [line.event for line in events if line.event is not None]
        legacy_ids = {event.lease_id for event in told}
        known = yield from by_ids(ImportedLine, LINES_OF_LEASES, legacy_ids)
        self._known = {(line.legacy_lease_id, line.event): line for line in known}
        # A lease never changes its id or its repository, so these can be read without a lock.
        lease_ids = {line.lease_id for line in known if line.lease_id is not None}
        lease_ids |= {each for each in legacy_ids if _is_ulid(each)}
        leases = yield from by_ids(Lease, LEASES_BY_ID, lease_ids)
        belongs = {lease.id: lease.repository_id for lease in leases}
        for line in known:
            if line.repository_id is not None and line.lease_id is not None:
                self._names[line.repository_id] = belongs[line.lease_id]
        needed = {*belongs.values()}
        for line in events:
            if isinstance(line.event, Acquired):
                with _at(self._source, line.number):
                    repository_id = yield from self._find_repository(line.event.repository_id)
                if repository_id is not None:
                    needed.add(repository_id)
        yield from self._lock(needed)
        again = yield from by_ids(Lease, LEASES_BY_ID, lease_ids)
        self._leases = {lease.id: lease for lease in again}

    def _lock(self, repository_ids: Iterable[Ulid]) -> Steps[None]:
        """Lock the repositories, and only then read the last lease of each."""
        locked = yield from by_ids(LockedRepository, LOCK_REPOSITORIES, repository_ids)
        lasts = yield from by_ids(Lease, LAST_LEASES, [each.id for each in locked])
        last_of = {lease.repository_id: lease for lease in lasts}
        self._held = {each.id: _Held(self._context, each, last_of.get(each.id)) for each in locked}

    def _find_repository(self, name: str) -> Steps[Ulid | None]:
        """The repository of this name in the log; creates a missing one if a project is given."""
        if name in self._names:
            return self._names[name]
        if name in self._unknown:
            return None
        found: Repository | None
        if _is_ulid(name):
            found = yield from self._by_id(name)
        else:
            found = yield from self._by_path(name)
        if found is None and self._project is not None:
            found = yield from self._in_project(name, self._project)
        if found is None:
            return None
        self._names[name] = found.id
        return found.id

    def _by_id(self, repository_id: Ulid) -> Steps[Repository | None]:
        try:
            return (yield from RepositoriesDao.get(self._dao, repository_id))
        except NotFound:
            return None

    def _by_path(self, path: str) -> Steps[Repository | None]:
        try:
            return (yield from RepositoriesDao.get_by_path(self._dao, path))
        except (NotFound, InvalidValue):
            return None

    def _in_project(self, name: str, project: Project) -> Steps[Repository]:
        slug = slug_like(name.removeprefix(f"{project.slug}/"))
        if not slug:
            raise InvalidValue(
                "repository_id",
                name,
                "no slug can be made of it: write the id or the path of a repository that is there",
            )
        if not _is_ulid(name):
            found = yield from self._by_path(f"{project.slug}/{slug}")
            if found is not None:
                yield from self._refuse_another(name, found, f"{project.slug}/{slug}")
                return found
        new = yield from RepositoriesDao.create(
            self._dao, project.id, slug, id=name if _is_ulid(name) else None
        )
        self._created.append(new)
        return new

    def _refuse_another(self, name: str, found: Repository, path: str) -> Steps[None]:
        """Refuse to map two repositories of the log to one here."""
        others = {each for each, known_as in self._names.items() if known_as == found.id}
        told = yield from rows(NAME_IN_LOG, repository_id=found.id)
        others |= {other for (other,) in told}
        if others:
            raise InvalidValue(
                "repository_id",
                name,
                f"it would become {path}, as {min(others)!r} did: make a repository for one of"
                " them, and write its path in the log",
            )

    # Writing.

    def _write(self) -> Steps[None]:
        """Write the chunk: audit entries first, then the leases that ended, then the new leases.

        The database checks that each change of a row has its audit entry already.
        """
        ends = [
            (each.ended_at, each.end_reason, each.ended_by, each.end_note, each.id)
            for each in self._ended
        ]
        advanced = [
            (held.lease_epoch, held.stream.seq, held.stream.head, held.locked.id)
            for held in self._held.values()
            if held.has_advanced
        ]
        for statement, written in (
            (INSERT_ENTRIES, [(*entry.values(),) for entry in self._entries]),
            (END_LEASES, ends),
            (INSERT_LEASES, [astuple(lease) for lease in self._begun.values()]),
            (INSERT_LINES, [astuple(line) for line in self._new_lines]),
            (ADVANCE_REPOSITORIES, advanced),
        ):
            if written:
                yield from change_many(statement, [[*zip(*written, strict=True)]])
        for line in self._resolved:
            yield from change(
                RESOLVE_LINE,
                lease_id=line.lease_id,
                source=line.source,
                line_number=line.line_number,
            )
        self._begun.clear()
        for each in (self._ended, self._entries, self._new_lines, self._resolved):
            each.clear()

    # Replaying a line.

    def _take_line(self, line: _Line, event: Event) -> None:
        self._counted["lines"] += 1
        there = self._lines.get(line.number)
        if there is not None and there.line_sha256 != line.sha256:
            raise InvalidValue(
                "line_sha256",
                line.sha256.hex(),
                f"the line was imported at {text(there.imported_at)} and has changed since"
                f" (its SHA-256 was {there.line_sha256.hex()}): put it back,"
                " or give another log another source",
            )
        check_order(event, self._before, self._at, CLOCK_BACKSTEP_MAX)
        self._before = event.at
        known = self._known.get((event.lease_id, name_of(event)))
        if known is not None:
            self._check_same_event(line, event, known)
            if known.lease_id is not None:
                self._counted["already_there"] += 1
                return
        if isinstance(event, Acquired):
            lease_id = self._acquire(line, event)
        else:
            lease_id = self._end(line, event)
        if known is None:
            self._insert(line, event, lease_id)
        elif lease_id is not None:
            self._resolve(known, event, lease_id)

    def _check_same_event(self, line: _Line, event: Event, known: ImportedLine) -> None:
        """Check an event that was imported before, from this line or from another log."""
        if (known.source, known.line_number) == (self._source, line.number):
            return
        where = f"{known.source}:{known.line_number}"
        if known.source == self._source:
            raise InvalidValue(
                "lease_id",
                event.lease_id,
                f"it was {name_of(event)} in line {known.line_number} already:"
                " an id names one lease, so take one of the two out",
            )
        if known.lease_id is None:
            is_same = known.line_sha256 == line.sha256
        else:
            lease = self._leases[known.lease_id]
            # The repository may have another name in this log: compare the id that it maps to.
            repository_id = self._names.get(getattr(event, "repository_id", ""))
            is_same = is_told_by(event, lease, repository_id)
        if not is_same:
            raise InvalidValue(
                "lease_id",
                event.lease_id,
                f"it was {name_of(event)} otherwise in {where}, which was imported before:"
                " correct this line, or take it out",
            )

    def _acquire(self, line: _Line, event: Acquired) -> Ulid | None:
        repository_id = self._names.get(event.repository_id)
        if repository_id is None:
            self._waiting.acquire(event)
            self._wait(line, event.repository_id)
            return None
        there = self._leases.get(event.lease_id)
        if there is not None:
            if not is_told_by(event, there, repository_id):
                raise InvalidValue(
                    "lease_id",
                    event.lease_id,
                    f"another lease has this id, of {named(there.holder)} since"
                    f" {text(there.acquired_at)}: give this one another id",
                )
            self._counted["already_there"] += 1
            return there.id
        held = self._held[repository_id]
        check_grant(event, held.last, held.last_id)
        origin = self._origin(line)
        if held.last is not None and held.last.ended_at is None:
            over = expired_lease(self._context, held.last)
            self._over(held, "expire", held.last, over, event.at, origin)
        lease_id = event.lease_id if _is_ulid(event.lease_id) else new_ulid()
        held.lease_epoch = next_token(held.lease_epoch, self._standing)
        lease = granted(event, lease_id, repository_id, held.lease_epoch, held.last)
        entry = held.stream.entry(event.at, "lease.acquire", lease.id, {**created(lease), **origin})
        self._entries.append(entry.params)
        self._begun[lease.id] = self._leases[lease.id] = held.last = lease
        held.last_id = event.lease_id
        self._counted["imported"] += 1
        self._counted["leases"] += 1
        self._misplaced.pop(repository_id, None)
        if not held.takes_leases and lease.expires_at > self._at:
            # A later line may end the lease.
            self._misplaced[repository_id] = line.number, event.lease_id
        return lease.id

    def _end(self, line: _Line, event: Ended) -> Ulid | None:
        lease = self._lease_of(event)
        if lease is None:
            name = self._waiting.end(event)
            began = self._known.get((event.lease_id, "acquired"))
            if name is None and began is not None and began.source != self._source:
                name = began.repository_id
            if name is None:
                raise InvalidValue(
                    "lease_id",
                    event.lease_id,
                    "no lease of this id was acquired before and is still live:"
                    " correct the line, or take it out",
                )
            self._wait(line, name)
            return None
        if is_told_by(event, lease, lease.repository_id):
            self._counted["already_there"] += 1
            return lease.id
        check_end(event, lease)
        over = ended(event, lease)
        verb = "force_release" if over.end_reason is EndReason.FORCED else "release"
        held = self._held[lease.repository_id]
        self._over(held, verb, lease, over, event.at, self._origin(line))
        self._misplaced.pop(lease.repository_id, None)
        self._counted["imported"] += 1
        return lease.id

    def _over(
        self,
        held: _Held,
        verb: str,
        before: Lease,
        over: Lease,
        at: datetime,
        origin: dict[str, Any],
    ) -> None:
        entry, _ = end_steps(held.stream, verb, before, over, at, origin)
        self._entries.append(entry.params)
        self._leases[over.id] = held.last = over
        if over.id in self._begun:
            self._begun[over.id] = over
        else:
            self._ended.append(over)

    def _lease_of(self, event: Ended) -> Lease | None:
        began = self._known.get((event.lease_id, "acquired"))
        if began is None:
            return self._leases.get(event.lease_id)
        return None if began.lease_id is None else self._leases[began.lease_id]

    def _wait(self, line: _Line, name: str) -> None:
        seen = self._unknown.get(name) or UnknownRepository(name, line.number, 0)
        self._unknown[name] = replace(seen, lines=seen.lines + 1)

    def _insert(self, line: _Line, event: Event, lease_id: Ulid | None) -> None:
        new = ImportedLine(
            self._source,
            line.number,
            line.sha256,
            name_of(event),
            event.lease_id,
            event.repository_id if isinstance(event, Acquired) else None,
            lease_id,
            self._at,
        )
        self._known[event.lease_id, new.event] = new
        self._new_lines.append(new)

    def _resolve(self, known: ImportedLine, event: Event, lease_id: Ulid) -> None:
        resolved = replace(known, lease_id=lease_id)
        self._known[event.lease_id, known.event] = resolved
        self._resolved.append(resolved)

    def _origin(self, line: _Line) -> dict[str, Any]:
        """The source and line of the log, for the changes of an audit entry."""
        return {"imported_from": (None, f"{self._source}:{line.number}")}


def _checked_source(source: object) -> str:
    checked = check_text("source", source, LOG_SOURCE_CHARS_MAX, length_min=1)
    if len(checked.encode()) > LOG_SOURCE_BYTES_MAX:
        raise InvalidValue(
            "source",
            source,
            f"it has over {LOG_SOURCE_BYTES_MAX} bytes: give the log a shorter name",
        )
    return checked


def _numbered(file: IO[bytes]) -> Iterator[_Line]:
    """The file's lines; of a line that is too long only the beginning is read."""
    number = 0
    # One byte more for the newline, and one to detect a line that is too long.
    while read := file.readline(LOG_LINE_BYTES_MAX + 2):
        if not isinstance(read, bytes):
            raise InvalidValue("file", file, "it must be open for reading bytes: open(…, 'rb')")
        number += 1
        line = read.removesuffix(b"\n")
        event, refused = None, None
        try:
            event = parse(line)
        except InvalidValue as error:
            refused = error
            if len(read) == len(line) <= LOG_LINE_BYTES_MAX and error.__cause__ is not None:
                refused = InvalidValue(
                    "line",
                    line[:200].decode(errors="replace"),
                    "it is torn, the last one and without its end: whoever wrote it was cut off,"
                    " so complete it, or take it out",
                )
        yield _Line(number, sha256(line).digest(), event, refused)
        if refused is not None:
            return


def _readable(chunk: Lines) -> Lines:
    return chunk if chunk[-1].refused is None else chunk[:-1]


@contextmanager
def _at(source: str, line_number: int) -> Generator[None]:
    """Turn an InvalidValue into a LineRefused that names the line."""
    try:
        yield
    except LineRefused:
        raise
    except InvalidValue as error:
        raise LineRefused(source, line_number, error.field, error.value, error.why) from error
