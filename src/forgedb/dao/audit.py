"""The audit trail: reading it, adding to it by hand, exporting it, and proving it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import IO, Any, cast

import msgspec

from forgedb.audit.anchors import compare_checkpoints
from forgedb.audit.checkpoint import Signer, Verifier
from forgedb.audit.checkpoint_steps import take_checkpoint, write_checkpoints
from forgedb.audit.kinds import OWN_ACTIONS
from forgedb.audit.stream import Stream
from forgedb.audit.verify import Asked, verify_streams
from forgedb.dao.line_writer import line_writer
from forgedb.dao.paging import BY_ID, Key, by_number, page
from forgedb.dao.projects import lock_project
from forgedb.dao.repositories import advanced, lock_repository, stream_of
from forgedb.errors import InvalidValue, NotFound, UsageError
from forgedb.ids import check_ulid
from forgedb.limits import ACTION_CHARS_MAX, ACTOR_CHARS_MAX, CHANGES_BYTES_MAX
from forgedb.models import (
    AuditEntry,
    Checkpoint,
    Page,
    Ulid,
    VerifyProblem,
    VerifyProgress,
    VerifyReport,
)
from forgedb.operations.binding import Dao, H_co, read, snapshot, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, Steps, Together, lookup, many, rows
from forgedb.schema_check.comparison import differences
from forgedb.sql.catalogue import Sql, sql
from forgedb.validation import check_integer, check_offers, check_text, check_time

EXPORT_ENTRIES_A_READ = 1000

ENTRY = columns(AuditEntry)

SELECT_BY_ID = sql(f"SELECT {ENTRY} FROM audit_entries WHERE id = :id")

SELECT_ALL = sql(f"""
SELECT {ENTRY}
FROM audit_entries
WHERE (stream_id, seq) > (:stream_id, :seq)
ORDER BY stream_id, seq
LIMIT :limit
""")

FILTERS = {
    "stream": "stream_id = :stream",
    "target": "target_id = :target",
    "actor": "actor = :actor",
    "action": "action = :action",
    "since": "at >= :since",
    "until": "at < :until",
}


BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


def _following_time(text: str) -> dict[str, object]:
    at, _, entry_id = text.partition("~")
    return {
        "after_at": check_time("after", datetime.fromisoformat(at)),
        "after": check_ulid("after", entry_id),
    }


BY_SEQ = by_number("seq")

BY_TIME = Key(
    lambda entry: f"{entry.at.isoformat()}~{entry.id}",
    {"after_at": BEFORE_ALL, "after": ""},
    _following_time,
)

ORDERS = {
    BY_ID: ("id > :after", "id"),
    BY_SEQ: ("seq > :after", "seq"),
    BY_TIME: ("(at, id) > (:after_at, :after)", "at, id"),
}
"""For each key: the condition that begins a page, and the columns that sort its rows."""


def _key(asked: Collection[str]) -> Key:
    """The sort key: ``seq`` for a stream, time for a span of time, and the id for all else.

    A target has few entries, so its index serves better than the index on time.
    """
    if "stream" in asked:
        return BY_SEQ
    by_time = "since" in asked or "until" in asked
    return BY_TIME if by_time and "target" not in asked else BY_ID


def _list_text(asked: Collection[str], *, plus: str = "") -> str:
    key = _key(asked)
    follows, order = ORDERS[key]
    conditions = [
        (plus if key is BY_TIME and name in ("actor", "action") else "") + FILTERS[name]
        for name in FILTERS
        if name in asked
    ]
    return f"""
    SELECT {ENTRY}
    FROM audit_entries
    WHERE {" AND ".join([*conditions, follows])}
    ORDER BY {order}
    LIMIT :limit
    """


LIST: dict[frozenset[str], Sql] = {
    # A plus keeps SQLite from taking the actor's index and sorting all of its entries by time.
    frozenset(asked): sql(sqlite=_list_text(asked, plus="+"), postgres=_list_text(asked))
    for count in range(len(FILTERS) + 1)
    for asked in combinations(FILTERS, count)
}
"""One statement for each set of filters, paged by the key that its index is sorted by."""

TARGET_TYPE = sql("""
SELECT 'project' FROM projects WHERE id = :id
UNION ALL
SELECT 'repository' FROM repositories WHERE id = :id
""")

ADVANCE_PROJECT = sql("""
UPDATE projects SET audit_seq = :audit_seq, audit_head = :audit_head WHERE id = :id
""")


class AuditDao(Dao[H_co]):
    """Who changed what, when, on whose request; each project and repository is a stream."""

    @read
    def get(self, entry_id: Ulid) -> Steps[AuditEntry]:
        """One entry.  Raises InvalidValue, NotFound."""
        check_ulid("entry_id", entry_id)
        return lookup(AuditEntry, SELECT_BY_ID, "audit entry", entry_id, id=entry_id)

    @read
    def list(
        self,
        *,
        stream: Ulid | None = None,
        target: Ulid | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[AuditEntry]]:
        """Entries that meet all the filters given; ``since`` is included, ``until`` is not.

        The entries of a stream are sorted by ``seq``, those of a span of time by time, and all
        others by id.  Raises InvalidValue.
        """
        asked: dict[str, Any] = {}
        if stream is not None:
            asked["stream"] = check_ulid("stream", stream)
        if target is not None:
            asked["target"] = check_ulid("target", target)
        if actor is not None:
            asked["actor"] = check_text("actor", actor, ACTOR_CHARS_MAX, length_min=1)
        if action is not None:
            asked["action"] = check_text("action", action, ACTION_CHARS_MAX, length_min=1)
        if since is not None:
            asked["since"] = check_time("since", since)
        if until is not None:
            asked["until"] = check_time("until", until)
        return page(AuditEntry, LIST[frozenset(asked)], limit, _key(asked), after, **asked)

    @write
    def record(self, action: str, target: Ulid, changes: Mapping[str, Any]) -> Steps[AuditEntry]:
        """Add an entry of your own to the stream of a project or repository.

        ``action`` reads ``"<what>.<verb>"``; ``changes`` maps each field to ``[before, after]``
        of JSON's types.

        Raises InvalidValue (also for an action that only the DAOs record), NotFound.
        """
        check_text("action", action, ACTION_CHARS_MAX, length_min=1)
        if action in OWN_ACTIONS:
            raise InvalidValue(
                "action", action, "forgedb records it itself, with the change: choose another name"
            )
        fields = _checked_changes(changes)
        found = yield from rows(TARGET_TYPE, id=check_ulid("target", target))
        if not found:
            raise NotFound("project or repository", target)
        if found[0][0] == "repository":
            repository, at = yield from lock_repository(target, include_deleted=True)
            stream = stream_of(self.context, repository)
            entry = stream.entry(at, action, target, fields, target_type="repository")
            end = advanced(repository, stream)
        else:
            project, at = yield from lock_project(target, include_deleted=True)
            stream = Stream(self.context, target, project.audit_seq, project.audit_head)
            entry = stream.entry(at, action, target, fields, target_type="project")
            head = {"id": target, "audit_seq": stream.seq, "audit_head": stream.head}
            end = Change(ADVANCE_PROJECT, head)
        yield Together((entry, end))
        return (yield from AuditDao.get(self, entry.params["id"]))

    @write
    def checkpoint(self, signer: Signer) -> Steps[Checkpoint | None]:
        """Sign the stream ends that no checkpoint has yet; None if there are none.

        Once the transaction is committed, keep the checkpoint's ``line`` where nobody who can
        write to this database can change it.  A checkpoint holds up to 100,000 streams; if it is
        full, call again for the rest.

        Raises InvalidValue (the signer's key id or signature is malformed).
        """
        check_offers("signer", signer, ["key_id", "sign"], "a SigningKey, or another Signer")
        return (yield from take_checkpoint(signer))

    @snapshot(repeatable=False)
    def export_checkpoints(self, file: IO[Any], after: int = 0) -> Steps[int]:
        """Write the checkpoints after number ``after`` as lines of JSON; returns how many.

        ``file`` is open for writing, as text or as bytes.  Raises InvalidValue.
        """
        check_integer("after", after)
        write_line = line_writer(file)
        return (yield from write_checkpoints(lambda line: write_line(line.encode()), after))

    @snapshot
    def verify(
        self,
        stream: Ulid | None = None,
        *,
        after: Ulid | None = None,
        public_keys: Sequence[Verifier] = (),
        anchors: Iterable[str | bytes] | None = None,
        since_checkpoint: int | None = None,
        report: Callable[[VerifyProgress], None] | None = None,
    ) -> Steps[VerifyReport]:
        """Verify the history of one stream, or of all; problems are reported, not raised.

        If all streams are verified, differences from the schema that the migrations made are
        reported too: where a guard is missing, rows may have changed without an audit entry.

        With ``public_keys`` the streams are also compared with the checkpoints in the database
        and, with ``anchors``, with checkpoints whose lines were kept elsewhere: an open file, or
        any lines.

        With ``since_checkpoint``, that checkpoint and those before it are trusted for the entries
        that they cover: a stream is read from the last entry that one of them names, and of its
        rows only what later entries changed is compared.  ``after`` resumes a verification that
        was stopped: only the streams after this one are verified.  ``report`` is called now and
        then while entries are read, in the thread that reads them.

        Raises InvalidValue (also where the anchors hold no line, or come without a key), NotFound
        (no project, repository, entry or anchor has that stream; no such checkpoint).
        """
        keys: object = public_keys
        if not isinstance(keys, Collection) or isinstance(keys, str | bytes):
            raise InvalidValue("public_keys", public_keys, "it must be a list of keys")
        for key in public_keys:
            check_offers("public_keys", key, ["key_id", "verify"], "of PublicKeys, or Verifiers")
        if report is not None and not callable(report):
            raise InvalidValue("report", report, "it must be a function of a VerifyProgress")
        for name, given in (("anchors", anchors), ("since_checkpoint", since_checkpoint)):
            if given is not None and not public_keys:
                raise InvalidValue(
                    "public_keys", public_keys, f"{name} proves nothing without a key"
                )
        if stream is not None:
            check_ulid("stream", stream)
        if after is not None:
            check_ulid("after", after)
            if stream is not None:
                raise InvalidValue(
                    "after", after, "one stream is verified as a whole: leave it out"
                )
        if since_checkpoint is not None:
            check_integer("since_checkpoint", since_checkpoint, least=1)
        # The schema is compared only when all streams are verified: one stream is to stay fast.
        compared = [] if stream is not None else (yield from differences())
        guards = [each for each in compared if not each.harmless]
        problems = [VerifyProblem(None, None, str(each), schema=each.name) for each in guards]
        asked = Asked(stream, after, None, report)
        try:
            found = yield from _proven(asked, public_keys, anchors, since_checkpoint)
        except UsageError as error:
            if not guards:
                raise
            what = f"so the streams can't be read: {error}"
            problems.append(VerifyProblem(None, None, what, schema=guards[0].name))
            found = VerifyReport(False, 0, 0, [])
        problems = [*found.problems, *problems]
        return msgspec.structs.replace(
            found, ok=not problems, problems=problems, since_checkpoint=since_checkpoint
        )

    @snapshot(repeatable=False)
    def export(self, file: IO[Any]) -> Steps[int]:
        """Write every entry as a line of JSON, stream after stream; returns how many.

        ``file`` is open for writing, as text or as bytes.  Hashes are in hexadecimal.

        Raises InvalidValue (it isn't).
        """
        write_line = line_writer(file)
        last_stream, last_seq, count = "", 0, 0
        while True:
            entries = yield from many(
                AuditEntry,
                SELECT_ALL,
                stream_id=last_stream,
                seq=last_seq,
                limit=EXPORT_ENTRIES_A_READ,
            )
            for entry in entries:
                write_line(_line(entry))
            count += len(entries)
            if len(entries) < EXPORT_ENTRIES_A_READ:
                return count
            last_stream, last_seq = entries[-1].stream_id, entries[-1].seq


def _proven(
    asked: Asked,
    public_keys: Sequence[Verifier],
    anchors: Iterable[str | bytes] | None,
    since_checkpoint: int | None,
) -> Steps[VerifyReport]:
    """Verify the streams that were asked for and, with keys, compare them with checkpoints."""
    comparison = None
    if public_keys:
        comparison = yield from compare_checkpoints(
            asked.stream_id, asked.after, public_keys, anchors, since_checkpoint
        )
        if since_checkpoint is not None:
            asked = asked._replace(since=comparison.trusted)
    found = yield from verify_streams(asked)
    if comparison is not None:
        found = yield from comparison.told_in(found)
    # A stream that isn't there is unknown, unless a checkpoint knows of it.
    is_named = any(problem.stream_id == asked.stream_id for problem in found.problems)
    if asked.stream_id is not None and not found.entries and not is_named:
        raise NotFound("stream", asked.stream_id)
    return found


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as JSON keeps them.  Raises InvalidValue."""
    if not isinstance(changes, Mapping):
        raise InvalidValue("changes", changes, "it must map fields to [before, after]")
    for field, pair in changes.items():
        if not isinstance(field, str) or not _is_pair(pair):
            raise InvalidValue("changes", {field: pair}, "each field has a pair [before, after]")
    try:
        if not _is_finite(changes):
            raise InvalidValue("changes", changes, "JSON has no infinity, nor what is no number")
        text = msgspec.json.encode(dict(changes))
    except (TypeError, OverflowError, RecursionError, UnicodeError) as error:
        raise InvalidValue("changes", "…", f"JSON can't hold it: {error}") from error
    if len(text) > CHANGES_BYTES_MAX or b"\\u0000" in text:
        raise InvalidValue(
            "changes", changes, f"it has over {CHANGES_BYTES_MAX} bytes, or a NUL character"
        )
    fields: dict[str, Any] = msgspec.json.decode(text)
    return fields


def _is_finite(value: Any) -> bool:
    """Whether no float in it is infinite or NaN, which JSON would turn into null."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, cast("dict[Any, Any]", value).values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, cast("tuple[Any, ...]", value)))
    return True


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(cast("tuple[Any, ...]", value)) == 2


def _line(entry: AuditEntry) -> bytes:
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    fields["entry_hash"] = entry.entry_hash_hex
    return msgspec.json.encode(fields) + b"\n"
