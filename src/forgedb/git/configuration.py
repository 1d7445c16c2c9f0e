"""Reads settings out of ``git config -z``, whichever file or blob they are in."""

from __future__ import annotations

import os

import msgspec

from forgedb.git.complaints import complaint_in, error_of
from forgedb.git.process import run_on

EXIT_NOTHING_FOUND = 1


class Setting(msgspec.Struct, frozen=True):
    """One line of a configuration file: ``[section "subsection"] key = value``.

    ``value`` is None where the line has no ``=``, which git takes as true.
    """

    subsection: str
    key: str
    value: str | None

    @property
    def is_true(self) -> bool:
        return self.value is None or self.value.lower() in ("true", "yes", "on", "1")


def read_settings(git_dir: str, pattern: str, *source: str) -> list[Setting]:
    """The settings whose full name matches, in the file's order.  Raises GitError."""
    done = run_on(git_dir, "config", *source, "-z", "--get-regexp", pattern)
    # A blob that is no configuration gives the same exit code, and a complaint.
    found_nothing = done.exit_code == EXIT_NOTHING_FOUND and not complaint_in(done.stderr)
    if done.exit_code and not found_nothing:
        raise error_of(git_dir, done.exit_code, done.stderr)
    return [_setting(os.fsdecode(entry)) for entry in done.output.split(b"\0") if entry]


def _setting(entry: str) -> Setting:
    name, line_break, value = entry.partition("\n")
    section_and_subsection, _, key = name.rpartition(".")
    subsection = section_and_subsection.partition(".")[2]
    return Setting(subsection, key, value if line_break else None)
