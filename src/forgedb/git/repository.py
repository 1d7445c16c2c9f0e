"""A Git repository on this machine, and how one is found from a path that a user gives."""

from __future__ import annotations

import os
from collections.abc import Generator

import msgspec

from forgedb.git.alternates import read_alternates
from forgedb.git.complaints import error_of
from forgedb.git.configuration import read_settings
from forgedb.git.errors import GitMissing, NotARepository
from forgedb.git.objects import BATCH_OBJECTS, GitObject, count_objects, list_objects
from forgedb.git.process import run_in, run_on
from forgedb.git.remotes import Remote, read_remotes
from forgedb.git.submodules import Submodule, read_submodules

DEFAULT_BRANCH = "main"

_BRANCHES = "refs/heads/"


class GitRepository(msgspec.Struct, frozen=True):
    """A repository as git sees it; ``path`` is its git directory, shared by all its work trees.

    ``warnings`` grows as the methods meet something that is odd but no obstacle.
    """

    path: str
    name: str
    object_format: str
    is_bare: bool
    is_shallow: bool
    default_branch: str
    warnings: list[str] = msgspec.field(default_factory=list[str])

    def remotes(self) -> list[Remote]:
        """The remotes that have a URL, which may hold credentials.  Raises GitError."""
        return read_remotes(self.path)

    def submodules(self) -> list[Submodule]:
        """The submodules of the commit at HEAD, with whole URLs where a remote gives the base.

        Raises GitError.
        """
        base = self._default_remote()
        return read_submodules(self.path, base.fetch_url if base else None, self.warnings)

    def alternates(self) -> list[str]:
        """The repositories it borrows objects from, as absolute paths of git directories."""
        return read_alternates(self.path)

    def count_objects(self) -> int | None:
        """About how many objects there are, rather too many than too few; None if unknown."""
        return count_objects(self.path)

    def objects(self, batch_size: int = BATCH_OBJECTS) -> Generator[list[GitObject]]:
        """All objects in the order of their ids, in batches; borrowed ones too.

        A reader that stops early ends git by closing the iterator.  Raises CorruptRepository
        rather than leave out what git can't read.
        """
        return list_objects(self.path, self.warnings, batch_size)

    def _default_remote(self) -> Remote | None:
        """The remote that git uses: that of the branch, or origin, or the only one."""
        remotes = {remote.name: remote for remote in self.remotes()}
        for setting in read_settings(self.path, r"^branch\..+\.remote$"):
            if setting.subsection == self.default_branch and setting.value in remotes:
                return remotes[setting.value]
        only = next(iter(remotes.values())) if len(remotes) == 1 else None
        return remotes.get("origin", only)


def open_repository(path: str | os.PathLike[str]) -> GitRepository:
    """The repository at a path: bare or not, its root, a folder inside, or a linked work tree.

    Raises NotARepository, GitMissing, and GitError for one that git refuses to read.
    """
    folder = _folder(os.fspath(path))
    done = run_in(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")
    if done.exit_code:
        raise error_of(folder, done.exit_code, done.stderr)
    if done.output.startswith(b"--"):
        raise _too_old(folder)
    git_dir = os.fsdecode(done.output.removesuffix(b"\n"))
    done = run_on(
        git_dir,
        *("rev-parse", "--show-object-format", "--is-bare-repository", "--is-shallow-repository"),
    )
    if done.exit_code:
        raise error_of(folder, done.exit_code, done.stderr)
    object_format, is_bare, is_shallow = done.output.decode("ascii").split()
    return GitRepository(
        git_dir,
        name=_name(git_dir),
        object_format=object_format,
        is_bare=is_bare == "true",
        is_shallow=is_shallow == "true",
        default_branch=_default_branch(git_dir),
    )


def _folder(path: str) -> str:
    """The path, absolute.  Raises NotARepository where git's own message would be less clear."""
    # An empty path, say from an unset variable, would mean the current folder.
    if not path or "\0" in path:
        raise NotARepository(path, "no path looks like this")
    if not os.path.isdir(path):
        is_there = os.path.lexists(path)
        raise NotARepository(path, "it is no folder" if is_there else "there is no such folder")
    return os.path.abspath(path)


def _name(git_dir: str) -> str:
    folder, name = os.path.split(git_dir)
    return (os.path.basename(folder) if name == ".git" else name).removesuffix(".git")


def _default_branch(git_dir: str) -> str:
    """The branch at HEAD, born or not; with a detached HEAD what a new repository would have."""
    done = run_on(git_dir, "symbolic-ref", "--quiet", "HEAD")
    if done.exit_code == 0:
        return os.fsdecode(done.output.removesuffix(b"\n")).removeprefix(_BRANCHES)
    configured = read_settings(git_dir, r"^init\.defaultbranch$")
    return (configured[-1].value if configured else None) or DEFAULT_BRANCH


def _too_old(folder: str) -> GitMissing:
    version = run_in(folder, "version").output.decode("utf-8", "backslashreplace").strip()
    return GitMissing(folder, f"{version} is too old for this")
