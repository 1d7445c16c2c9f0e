"""Which of the files a database has, file by file, and which states are errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from forgedb.errors import MigrationDrift, MigrationError
from forgedb.migrations.applied import REPEATABLE, AppliedMigration
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.history import BegunMigration, History
from forgedb.migrations.squashed import as_squashed, made_of, partly, replaced_by

State = Literal[
    "applied", "pending", "late", "edited", "missing", "newer", "running", "failed", "gone"
]
"""What one migration is in one database:

applied and pending; late (pending, though a higher number is applied); edited (applied with
another text); missing (applied, but the file is gone); newer (applied, with a number above all
files'); running and failed (begun outside a transaction, and not at its end); gone (a repeatable
file that was applied once, and isn't there any more).
"""


class MigrationState(msgspec.Struct, frozen=True):
    """A migration that the folder has, or the database, or both."""

    version: int
    name: str
    label: str
    """The number and name, as in ``0001_initial``."""
    state: State
    file: MigrationFile | None
    applied: AppliedMigration | None
    begun: BegunMigration | None
    partly: str = ""
    """Where a squashed file replaces this one: why the history doesn't count as having that."""

    @property
    def applied_at(self) -> datetime | None:
        """When it was applied."""
        return None if self.applied is None else self.applied.applied_at

    @property
    def is_repeatable(self) -> bool:
        """Whether its file is run again when its text has changed."""
        return self.version == REPEATABLE

    @property
    def is_pending(self) -> bool:
        """Whether it is still to be applied."""
        return self.applied is None or self.state == "pending"


def compare(files: Sequence[MigrationFile], history: History) -> list[MigrationState]:
    """The state of each migration, in the order of the numbers."""
    history = as_squashed(files, history)
    known = {migration.version: migration for migration in files}
    applied = {entry.version: entry for entry in history.applied}
    begun = {entry.version: entry for entry in history.begun}
    newest_file = max(known, default=-1)
    newest_applied = max(applied, default=-1)
    states: list[MigrationState] = []
    for version in sorted({*known, *applied, *begun}):
        file, entry, unfinished = known.get(version), applied.get(version), begun.get(version)
        state: State
        if entry is not None:
            if file is None:
                state = "newer" if version > newest_file else "missing"
            else:
                state = "applied" if file.checksum == entry.checksum else "edited"
        elif unfinished is not None and unfinished.state != "resumed":
            state = "failed" if unfinished.state == "failed" else "running"
        elif file is None:
            state = "missing"
        else:
            state = "late" if version < newest_applied else "pending"
        named = file or entry or unfinished
        assert named is not None, "a version comes from one of the three"
        squash = made_of(version, files) if state == "missing" else None
        why = "" if squash is None else partly(squash, history)
        states.append(
            MigrationState(version, named.name, named.label, state, file, entry, unfinished, why)
        )
    return states


def problem_of(
    each: MigrationState,
    states: Sequence[MigrationState],
    *,
    allow_out_of_order: bool = False,
    options: str = "",
) -> MigrationDrift | MigrationError | None:
    """The error if nothing may be applied while a migration is in this state, or None.

    ``options`` are what the command line needs to find the same files and history again.
    """
    if each.state in ("applied", "pending", "running", "gone"):
        return None
    if each.state == "late" and allow_out_of_order:
        return None
    if each.state == "edited":
        assert each.file is not None
        assert each.applied is not None
        return MigrationDrift(each.file.file, each.applied.checksum, each.file.checksum)
    newest = max((other.version for other in states if other.applied), default=-1)
    failed = "" if each.begun is None else f" ({each.begun.error})"
    done = 0 if each.begun is None else each.begun.done
    reasons: dict[State, str] = {
        "newer": "the database has it, and is newer than this program's files: take newer ones"
        " (for forgedb's own, upgrade forgedb)",
        "missing": each.partly or "the database has it, but the file is missing: put it back",
        "late": f"a higher number, {newest}, is applied already: give it the next number,"
        " or allow it with --allow-out-of-order",
        "failed": f"it failed after {done} of its statements, in no transaction{failed}:"
        f" see `forgedb migrate resolve {each.version}{options}`",
    }
    in_history = each.state in ("newer", "missing")
    pending = [other.label for other in states if other.is_pending]
    name = f"{each.label}.sql" if each.file is None else each.file.file
    return MigrationError(name, 0, "", (), () if in_history else pending, reasons[each.state])


def known_of(files: Sequence[MigrationFile]) -> set[tuple[int, str]]:
    """The numbers and names of the files, and of the files that they replace."""
    known = {(migration.version, migration.name) for migration in files}
    return known | {(part.version, part.name) for each in files for part in replaced_by(each)}


def others_files(
    files: Sequence[MigrationFile], history: History, table: str, *, is_own: bool = False
) -> MigrationError | None:
    """The error where the history has none of the files, and so is another folder's, or None.

    The texts of forgedb's own (``is_own``) never change, so that they are compared, not the names.
    """
    history = as_squashed(files, history)
    if not files or not history.applied:
        return None
    if is_own:
        texts = {migration.checksum for migration in files}
        if any(entry.checksum in texts for entry in history.applied):
            return None
        advice = (
            ", which are a folder's: make room with `forgedb migrate move --dir FOLDER`"
            " (a library's Migrator: move), and then migrate"
        )
    else:
        known = known_of(files)
        if any((entry.version, entry.name) in known for entry in history.applied):
            return None
        advice = (
            ": name another table for yours with --table (a library's Migrator: table=), or give"
            " the folder of those files"
        )
    applied = history.applied[-1].label
    why = f"the history in {table} is of other files, up to {applied}{advice}"
    return MigrationError(files[0].file, 0, "", (), (), why)


def pending_of(
    files: Sequence[MigrationFile],
    history: History,
    *,
    allow_out_of_order: bool = False,
    options: str = "",
) -> list[MigrationFile]:
    """The files that the history lacks, in the order of their numbers.

    Raises MigrationDrift (an applied file was edited), MigrationError (an applied file is
    missing, the database is newer than the files, a lower number came late, a file failed halfway).
    """
    states = compare(files, history)
    for each in states:
        problem = problem_of(each, states, allow_out_of_order=allow_out_of_order, options=options)
        if problem is not None:
            raise problem
    return [each.file for each in states if each.is_pending and each.file is not None]
