"""What can be wrong with a Git repository, or with the git program that should read it.

``complaints`` chooses one of these by git's own message.
"""

from __future__ import annotations

from forgedb.errors import ForgeDbError


class GitError(ForgeDbError):
    """A Git repository can't be read; ``path`` is the one asked for, ``why`` often git's words."""

    ADVICE = "see whether `git -C PATH status` works there"

    def __init__(self, path: str, why: str, advice: str = "") -> None:
        super().__init__(path, why, advice)
        self.path = path
        self.why = why
        self.advice = advice or self.ADVICE

    def __str__(self) -> str:
        return f"can't read {self.path!r} as a Git repository: {self.why}; {self.advice}"


class NotARepository(GitError):
    """There is no Git repository at the path."""

    ADVICE = "name the folder of a repository, or one inside it"


class CorruptRepository(GitError):
    """Git finds the repository damaged, so that a list of its objects would have gaps."""

    ADVICE = "run `git fsck --full` there, and repair it or clone it anew"


class GitMissing(GitError):
    """The git program isn't installed, or is too old."""

    ADVICE = "install git 2.31 or newer, on the PATH"
