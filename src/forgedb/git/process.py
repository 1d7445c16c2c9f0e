"""The git program as a child process: how it is started, what it may not do, how it ends.

Git refuses a repository that belongs to another user, since its configuration can name programs
to run.  None of the commands used here runs any, but only the machine's owner may lift that guard.
``complaints`` turns the refusal into the command that lifts it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO

import msgspec

from forgedb.git.complaints import complaint_in, error_of
from forgedb.git.errors import GitError, GitMissing

CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20
STDERR_BYTES_MAX = 1 << 16

# What the caller's environment may say: where git and its configuration are, never which
# repository is meant, as it does inside a hook.
_KEPT = (
    "GIT_EXEC_PATH",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
)

_SET = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # A partial clone would fetch what it lacks.  Versions that don't know the first variable
    # have no transport to do it with.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}

# safe.bareRepository asks that a bare repository be named, and here the caller names it.
_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "safe.bareRepository=all")


class Finished(msgspec.Struct, frozen=True):
    """A git that has ended by itself."""

    exit_code: int
    output: bytes
    stderr: str


class Running:
    """A git whose output is read while it runs."""

    def __init__(self, path: str, process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        assert process.stdout is not None
        self._path = path
        self._process = process
        self._stdout = process.stdout
        self._stderr = stderr

    @property
    def stderr(self) -> str:
        """What git has complained of so far, up to 64 KiB."""
        # Git's writes follow the offset that both processes share, so reading must not move it.
        written = os.pread(self._stderr.fileno(), STDERR_BYTES_MAX, 0)
        return written.decode("utf-8", "backslashreplace")

    def check(self) -> None:
        """Raise CorruptRepository if git has complained so far."""
        stderr = self.stderr
        if complaint_in(stderr):
            raise error_of(self._path, 0, stderr)

    def chunks(self) -> Iterator[bytes]:
        """The output in pieces of whole lines, without each piece's last line break.

        Raises GitError at the end, if git has failed.
        """
        if sys.platform == "linux":
            # Room for git to work on while the reader stores what it has; a limit on the user's
            # pipes may forbid it.
            with suppress(OSError):
                fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        rest = b""
        while chunk := self._stdout.read(CHUNK_BYTES):
            lines, _, rest = (rest + chunk).rpartition(b"\n")
            yield lines
        if self._process.wait():
            raise error_of(self._path, self._process.returncode, self.stderr)
        if rest:
            raise GitError(self._path, f"git's output ends within a line, {rest!r}", "try again")

    def finish(self) -> Finished:
        output = self._stdout.read()
        return Finished(self._process.wait(), output, self.stderr)


def run_in(folder: str, *arguments: str) -> Finished:
    """Run git in a folder, from where it looks for the repository itself.  Raises GitMissing."""
    with _running(folder, arguments) as git:
        return git.finish()


def run_on(git_dir: str, *arguments: str, object_directory: str | None = None) -> Finished:
    """Run git on the repository at ``git_dir``, looking no further.  Raises GitMissing."""
    with running_on(git_dir, *arguments, object_directory=object_directory) as git:
        return git.finish()


def running_on(
    git_dir: str, *arguments: str, object_directory: str | None = None
) -> AbstractContextManager[Running]:
    """Start git on the repository at ``git_dir``; it is gone when the block ends.

    Raises GitMissing.
    """
    extra = {"GIT_OBJECT_DIRECTORY": object_directory} if object_directory else None
    return _running(git_dir, ("--git-dir", git_dir, *arguments), extra)


@contextmanager
def _running(
    path: str, arguments: Sequence[str], extra: dict[str, str] | None = None
) -> Generator[Running]:
    # A file takes any amount of output; a pipe that nobody reads would fill up and block git.
    with tempfile.TemporaryFile() as stderr:
        try:
            # In a process group of its own, Ctrl-C reaches git through us alone: a caller that
            # handles the signal finds git still at work.
            process = subprocess.Popen(
                ["git", *_OPTIONS, "-C", path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment() | (extra or {}),
                process_group=0,
            )
        except OSError as error:
            raise GitMissing(path, f"git can't be started ({error.strerror})") from error
        try:
            yield Running(path, process, stderr)
        finally:
            # Git only reads here: there is nothing that it would have to put in order.
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    return kept | _SET
