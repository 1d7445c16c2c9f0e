"""Lists every object of a repository: its id, type and sizes, in the order of the ids.

The list holds what the repository can see, so also what it borrows through alternates.  It does
not hold what a partial or shallow clone lacks.
"""

from __future__ import annotations

import os
import re
from binascii import unhexlify
from collections.abc import Generator, Iterator
from typing import TypeAlias

import msgspec

from forgedb.git.alternates import unquoted
from forgedb.git.complaints import complaint_in, error_of, warnings_in
from forgedb.git.errors import CorruptRepository
from forgedb.git.process import Running, run_on, running_on

BATCH_OBJECTS = 50_000

GitObject: TypeAlias = tuple[bytes, int, int, int]
"""An object's id, type (1 commit, 2 tree, 3 blob, 4 tag), size and size on disk, in bytes."""

_FORMAT = "%(objectname) %(objecttype) %(objectsize),%(objectsize:disk)"

_TYPES = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}

_is_object = re.compile(rb"[0-9a-f]+ (?:commit|tree|blob|tag) [0-9]+,[0-9]+").fullmatch
_find_counts = re.compile(rb"^(count|in-pack|prune-packable): ([0-9]+)$", re.MULTILINE).findall

# One list of numbers in JSON decodes in a third of the time that int() takes for each.
_decode_numbers = msgspec.json.Decoder(list[int]).decode


def list_objects(
    git_dir: str, warnings: list[str], batch_size: int = BATCH_OBJECTS
) -> Generator[list[GitObject]]:
    """Batches of ``batch_size`` objects, the last one shorter; git's warnings are collected.

    Raises CorruptRepository for an object that can't be read, or when git complains of anything:
    it skips a broken pack and still exits with 0.  Batches given until then are sound.
    """
    _check_references(git_dir, warnings)
    waiting: list[GitObject] = []
    command = ("cat-file", "--batch-all-objects", "--buffer", f"--batch-check={_FORMAT}")
    with running_on(git_dir, *command) as git:
        for lines in git.chunks():
            try:
                waiting += _parsed(lines)
            except (KeyError, ValueError, msgspec.DecodeError):
                raise _unreadable(git_dir, git, lines) from None
            while len(waiting) >= batch_size:
                git.check()
                yield waiting[:batch_size]
                del waiting[:batch_size]
        git.check()
        warnings += warnings_in(git.stderr)
    if waiting:
        yield waiting


def count_objects(git_dir: str) -> int | None:
    """About how many objects ``list_objects`` gives, or None if git can't say.

    At least as many as there are: an object in several packs or alternates counts for each.
    """
    done = run_on(git_dir, "count-objects", "-v")
    counts = [_count(done.output)]
    for line in done.output.split(b"\n"):
        label, _, directory = line.partition(b": ")
        if label == b"alternate":
            path = os.path.join(git_dir, os.fsdecode(unquoted(directory)))
            there = run_on(git_dir, "count-objects", "-v", object_directory=path)
            counts.append(_count(there.output))
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _check_references(git_dir: str, warnings: list[str]) -> None:
    """Find a missing pack: the list of objects has no trace of it, but references are broken."""
    done = run_on(git_dir, "for-each-ref", "--format=%(objecttype)")
    if done.exit_code or complaint_in(done.stderr):
        raise error_of(git_dir, done.exit_code, done.stderr)
    warnings += warnings_in(done.stderr)


def _parsed(lines: bytes) -> Iterator[GitObject]:
    words = lines.split()
    numbers = _decode_numbers(b"[" + b",".join(words[2::3]) + b"]")
    types = map(_TYPES.__getitem__, words[1::3])
    return zip(map(unhexlify, words[::3]), types, numbers[::2], numbers[1::2], strict=True)


def _unreadable(git_dir: str, git: Running, lines: bytes) -> CorruptRepository:
    """The error for the first line that isn't an object; git's own reason, where it gave one."""
    line = next((line for line in lines.split(b"\n") if not _is_object(line)), b"")
    oid, _, what = line.decode("utf-8", "backslashreplace").partition(" ")
    why = complaint_in(git.stderr)
    return CorruptRepository(git_dir, f"object {oid} is {what}" + (f" ({why})" if why else ""))


def _count(output: bytes) -> int | None:
    """Objects in loose files and packs, less the loose ones that are packed too."""
    counts = {label: int(count) for label, count in _find_counts(output)}
    if b"count" not in counts or b"in-pack" not in counts:
        return None
    return counts[b"count"] + counts[b"in-pack"] - counts.get(b"prune-packable", 0)
