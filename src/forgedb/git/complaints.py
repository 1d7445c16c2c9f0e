"""What git writes to stderr, and the error that is raised for it.

Git often reports damage there and still exits with 0, so its lines are read in any case.
"""

from __future__ import annotations

import re

from forgedb.git.errors import CorruptRepository, GitError, NotARepository

_KNOWN: tuple[tuple[str, type[GitError], str], ...] = (
    ("not a git repository", NotARepository, ""),
    ("Permission denied", GitError, "run this as a user who may read it"),
    ("bad config", GitError, "correct that line of git's configuration"),
    ("repository extension", GitError, "install a newer git, which knows it"),
    ("expected git repo version", GitError, "install a newer git, which knows it"),
)

_find_complaint = re.compile(r"^(?:error|fatal): (.+(?:\n\t.+)*)", re.MULTILINE).search
_find_warnings = re.compile(r"^warning: (.+)", re.MULTILINE).findall
_find_trust_command = re.compile(r"^\s*(git config .*safe\.directory .+)", re.MULTILINE).search


def complaint_in(stderr: str) -> str | None:
    """The first error that git reports: later ones are mostly its consequences."""
    found = _find_complaint(stderr)
    return " ".join(found[1].split()) if found else None


def warnings_in(stderr: str) -> list[str]:
    """Git's warnings, each once, in the order of appearance."""
    return list(dict.fromkeys(_find_warnings(stderr)))


def error_of(path: str, exit_code: int, stderr: str) -> GitError:
    """The error to raise for a git that failed, or complained."""
    if exit_code < 0:
        return GitError(path, f"git was ended by signal {-exit_code}", "try again")
    why = complaint_in(stderr) or f"git ended with exit code {exit_code}"
    trust = _find_trust_command(stderr)
    if trust:
        return GitError(path, why, f"if you trust what is in it, run `{trust[1]}`")
    for words, kind, advice in _KNOWN:
        if words.lower() in why.lower():
            return kind(path, why, advice)
    return CorruptRepository(path, why)
