"""One file in the place of many: which files its header says it replaces, and in which histories.

Each line of the header names a file that was joined, with its checksum.  A history that has exactly
these files counts as one that has the squashed file.  Where a line's number isn't higher than the
one before, that line's file was itself a squash of the files above it, and a history may have
either that or them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from forgedb.migrations.applied import AppliedMigration, Numbered
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.history import History

SQUASHES = "-- forgedb: squashes "

LINE = rf"{SQUASHES}([0-9]+)_([a-z0-9_]+) ([0-9a-f]{{64}})\s*"


class Replaced(Numbered, frozen=True):
    """A file that another one was made of."""

    checksum: str


def replaced_by(migration: MigrationFile) -> list[Replaced]:
    """The files that a file was made of, by its header; empty for most files."""
    found: list[Replaced] = []
    if SQUASHES in migration.text:
        for line in migration.text.splitlines():
            if not line.startswith("--"):
                break
            parsed = re.fullmatch(LINE, line)
            if parsed is not None:
                found.append(Replaced(int(parsed[1]), parsed[2], parsed[3]))
    return found


def header_lines(files: Sequence[MigrationFile]) -> list[str]:
    """The header's lines for a file that is made of these."""
    lines: list[str] = []
    for migration in files:
        itself = Replaced(migration.version, migration.name, migration.checksum)
        width = migration.file.index("_")
        lines += [
            f"{SQUASHES}{part.version:0{width}}_{part.name} {part.checksum}"
            for part in (*replaced_by(migration), itself)
        ]
    return lines


def as_squashed(files: Sequence[MigrationFile], history: History) -> History:
    """The history as if the squashed files had been applied in the place of those they replace."""
    for migration in files:
        replaced = replaced_by(migration)
        if replaced:
            applied = _with(migration, replaced, history.applied)
            history = msgspec.structs.replace(history, applied=applied)
    return history


def partly(migration: MigrationFile, history: History) -> str:
    """Why a history that has some of what a file was made of doesn't count as having it."""
    replaced = replaced_by(migration)
    there = {entry.version: entry for entry in history.applied}
    ways = _ways(replaced)
    way = max(ways, key=lambda way: sum(_is_in(there, part) for part in way))
    for part in way:
        entry = there.get(part.version)
        if entry is not None and entry.checksum != part.checksum:
            return (
                f"{migration.file} was made of {part.label} with another text (expected"
                f" {part.checksum}, found {entry.checksum}): bring the database to the text that"
                " was squashed, or mark that one"
            )
    count = sum(part.version in there for part in way)
    return (
        f"the database has {count} of the {len(way)} files that {migration.file} was made of: first"
        f" run the rest of them, which are in {kept_in(migration)}, with --dir and the same --table"
    )


def made_of(version: int, files: Sequence[MigrationFile]) -> MigrationFile | None:
    """The squashed file that replaces the migration of this number, if there is one."""
    for migration in files:
        if any(part.version == version for part in replaced_by(migration)):
            return migration
    return None


def kept_in(migration: MigrationFile) -> str:
    """The folder, within the file's own, for the files that it was made of."""
    return f"squashed-to-{migration.file.partition('_')[0]}"


def _with(
    migration: MigrationFile, replaced: Sequence[Replaced], applied: Sequence[AppliedMigration]
) -> Sequence[AppliedMigration]:
    below = [entry for entry in applied if entry.version <= migration.version]
    above = [entry for entry in applied if entry.version > migration.version]
    known = {(part.version, part.checksum) for part in replaced}
    if below and below[-1].checksum == migration.checksum:
        # The squashed file was marked as applied after some of those it replaces had been run.
        return [
            *(entry for entry in below[:-1] if (entry.version, entry.checksum) not in known),
            below[-1],
            *above,
        ]
    has = [(entry.version, entry.checksum) for entry in below]
    if has not in [[(part.version, part.checksum) for part in way] for way in _ways(replaced)]:
        return applied
    joined = AppliedMigration(
        migration.version,
        migration.name,
        migration.checksum,
        below[-1].applied_at,
        sum(entry.duration_ms for entry in below),
    )
    return [joined, *above]


def _ways(replaced: Sequence[Replaced]) -> list[list[Replaced]]:
    """Each list of files that a history may have, the longest first."""
    begins = [
        place
        for place, part in enumerate(replaced)
        if place == 0 or part.version <= replaced[place - 1].version
    ]
    return [
        [
            part
            for place, part in enumerate(replaced)
            if place == begin or (place > begin and place not in begins)
        ]
        for begin in begins
    ]


def _is_in(there: dict[int, AppliedMigration], part: Replaced) -> bool:
    return part.version in there and there[part.version].checksum == part.checksum
