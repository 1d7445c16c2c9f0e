"""Makes real Git repositories for tests, quickly and the same ones each time.

Everything goes in through ``git fast-import``, which takes a whole history in one process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

BLOBS_PER_COMMIT = 1000

# A repository made here depends on nothing that the machine's or the user's settings say.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

COMMITTER = b"committer Ada <ada@example.org> 1700000000 +0000\n"


def git(path: Path, *arguments: str) -> str:
    """Run git in a repository, and return what it prints."""
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(path), *arguments]
    done = subprocess.run(
        command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def make_empty_repository(path: Path, *, object_format: str = "sha1", bare: bool = False) -> Path:
    """A repository without a commit; HEAD names the branch ``main``."""
    path.mkdir(parents=True, exist_ok=True)
    shape = ["--bare"] if bare else []
    git(path, "init", "--initial-branch=main", f"--object-format={object_format}", *shape)
    return path


def make_repository(
    path: Path, *, object_format: str = "sha1", bare: bool = False, commits: int = 3
) -> Path:
    """A repository of ``3 * commits + 1`` objects: each commit has a tree and a blob of its own.

    The last object is the tag ``v1`` on the last commit.
    """
    make_empty_repository(path, object_format=object_format, bare=bare)
    add_commits(path, commits)
    tag = b"tag v1\nfrom refs/heads/main\ntagger" + COMMITTER.removeprefix(b"committer")
    fast_import(path, [tag + _data(b"the first version")])
    if not bare:
        git(path, "reset", "--hard")
    return path


def add_commits(path: Path, commits: int) -> None:
    """Three more objects for each commit, on the branch ``main``."""
    before = int(git(path, "rev-list", "--all", "--count"))
    numbers = range(before, before + commits)
    fast_import(path, [_commit(b"%d" % number, on_top=0 < number == before) for number in numbers])


def make_with_submodule(path: Path, *, url: str = "../library.git", name: str = "library") -> Path:
    """A repository with a submodule at ``libs/<name>``, which isn't checked out."""
    make_repository(path)
    add_gitmodules(path, f'[submodule "{name}"]\n\tpath = libs/{name}\n\turl = {url}\n', name)
    return path


def add_gitmodules(path: Path, text: str, *names: str) -> None:
    """Commit a ``.gitmodules`` of any text, and a submodule at ``libs/<name>`` for each name."""
    head = git(path, "rev-parse", "HEAD")
    change = b"M 100644 inline .gitmodules\n" + _data(text.encode())
    for name in names:
        change += f"M 160000 {head} libs/{name}\n".encode()
    fast_import(path, [_commit(b"modules", on_top=True) + change])


def make_with_alternates(path: Path, pool: Path, *, bare: bool = False) -> Path:
    """A clone of ``pool`` that has no object of its own."""
    shape = ["--bare"] if bare else []
    git(path.parent, "clone", "--shared", *shape, str(pool), str(path))
    return path


def make_shallow_clone(path: Path, source: Path, *, depth: int = 1) -> Path:
    git(path.parent, "clone", f"--depth={depth}", source.as_uri(), str(path))
    return path


def make_partial_clone(path: Path, source: Path) -> Path:
    """A clone that has no blobs yet."""
    git(source, "config", "uploadpack.allowFilter", "true")
    git(path.parent, "clone", "--filter=blob:none", "--no-checkout", source.as_uri(), str(path))
    return path


def make_corrupt_repository(path: Path, damage: str) -> Path:
    """A bare repository of ten objects, damaged in one of the ways that ``DAMAGES`` names."""
    make_repository(path, bare=True)
    DAMAGES[damage](path)
    return path


def make_large_repository(path: Path, objects: int) -> Path:
    """A bare repository of exactly ``objects`` objects (at least 3) in one pack, mostly blobs.

    Memory stays bounded, here and in git; a million take about 20 s.
    """
    make_empty_repository(path, bare=True)
    settings = ["-c", "core.compression=0", "-c", "fastimport.unpackLimit=0"]
    fast_import(path, _large_history(objects), *settings)
    return path


def fast_import(path: Path, pieces: list[bytes] | Iterator[bytes], *settings: str) -> None:
    command = ["git", "-C", str(path), *settings, "fast-import", "--quiet", "--done", "--depth=0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.writelines(pieces)
        stdin.write(b"done\n")
    assert process.wait() == 0


def _commit(content: bytes, *, on_top: bool) -> bytes:
    """A commit after the one before it in the stream, or on top of what the branch was."""
    head = b"commit refs/heads/main\n" + COMMITTER + _data(b"change " + content)
    parent = b"from refs/heads/main^0\n" if on_top else b""
    return head + parent + b"M 100644 inline file.txt\n" + _data(content)


def _large_history(objects: int) -> Iterator[bytes]:
    made = 0
    while objects - made >= 3:
        blobs = min(BLOBS_PER_COMMIT, objects - made - 2)
        # Each commit forgets the files of the one before, so that git's tree stays small.
        yield b"commit refs/heads/main\n" + COMMITTER + _data(b"") + b"deleteall\n"
        yield b"".join(
            b"M 100644 inline %d\ndata 10\n%010d\n" % (number, number)
            for number in range(made, made + blobs)
        )
        made += blobs + 2
    for number in range(made, objects):
        yield b"blob\n" + _data(b"%010d" % number)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _loose_object(path: Path) -> Path:
    oid = git(path, "rev-parse", "HEAD:file.txt")
    file = path / "objects" / oid[:2] / oid[2:]
    file.chmod(0o644)
    return file


def _remove_loose_objects(path: Path) -> None:
    for folder in (path / "objects").glob("??"):
        shutil.rmtree(folder)


def _pack_file(path: Path, suffix: str) -> Path:
    git(path, "gc", "--quiet")
    (file,) = (path / "objects" / "pack").glob(f"*.{suffix}")
    file.chmod(0o644)
    return file


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _scramble(file: Path) -> None:
    """Change what is inside, and leave the beginning and the checksums at the end."""
    content = file.read_bytes()
    file.write_bytes(content[:12] + bytes(byte ^ 0x5A for byte in content[12:-40]) + content[-40:])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a loose object is empty": lambda path: _loose_object(path).write_bytes(b""),
    "a loose object is garbage": lambda path: _loose_object(path).write_bytes(b"garbage"),
    "a pack is truncated": lambda path: _truncate(_pack_file(path, "pack")),
    "a pack is scrambled": lambda path: _scramble(_pack_file(path, "pack")),
    "a pack is gone": lambda path: _pack_file(path, "pack").unlink(),
    "an index is truncated": lambda path: _truncate(_pack_file(path, "idx")),
    "the loose objects are gone": _remove_loose_objects,
}
