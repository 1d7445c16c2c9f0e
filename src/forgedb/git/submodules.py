"""The submodules of the commit at HEAD, and what their relative URLs stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

import msgspec

from forgedb.git.complaints import error_of
from forgedb.git.configuration import read_settings
from forgedb.git.errors import GitError
from forgedb.git.process import run_on

PATHS_AT_ONCE = 1000

_GITMODULES = "HEAD:.gitmodules"
_GITLINK_MODE = b"160000 "

# The part of a URL that no step upwards takes away: scheme and host, host:, or the root folder.
_match_root = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*/?|[^/:]+:/?|/?").match


class Submodule(msgspec.Struct, frozen=True):
    """A repository that another one contains at ``path``; credentials may be in its URL."""

    name: str
    path: str
    url: str


def read_submodules(git_dir: str, base_url: str | None, warnings: list[str]) -> list[Submodule]:
    """The submodules, in the order of ``.gitmodules``, their relative URLs resolved.

    Without a base they stay relative.  Entries that describe no submodule of the commit are left
    out, each with a warning.  Raises GitError for a tree that can't be read.
    """
    if run_on(git_dir, "rev-parse", "--quiet", "--verify", _GITMODULES).exit_code:
        return []
    try:
        settings = read_settings(git_dir, r"^submodule\..+\.(path|url)$", "--blob", _GITMODULES)
    except GitError as error:
        # What people commit may be anything; it says nothing about the repository's health.
        warnings.append(f"submodules are left out, since .gitmodules can't be read: {error.why}")
        return []
    entries: dict[str, dict[str, str]] = {}
    for setting in settings:
        entries.setdefault(setting.subsection, {})[setting.key] = setting.value or ""
    gitlinks = _gitlinks_among(git_dir, {entry.get("path", "") for entry in entries.values()})
    found: list[Submodule] = []
    for name, entry in entries.items():
        path, url = entry.get("path", ""), entry.get("url", "")
        if path not in gitlinks:
            warnings.append(f"submodule {name!r} is left out: no submodule is at path {path!r}")
        elif not url or url.startswith("-"):
            warnings.append(f"submodule {name!r} is left out: its URL is {url!r}")
        else:
            resolved = resolve_url(url, base_url) if base_url else url
            if resolved is None:
                warnings.append(f"submodule {name!r} keeps URL {url!r}: it leads nowhere")
            found.append(Submodule(name, path, resolved or url))
    return found


def resolve_url(url: str, base_url: str) -> str | None:
    """What a submodule's URL is, seen from the remote at ``base_url``; None if it leads nowhere.

    Only ``./`` and ``../`` make a URL relative, as gitmodules(5) has it.
    """
    if not url.startswith(("./", "../")):
        return url
    found = _match_root(base_url)
    assert found is not None
    root = found[0] + ("/" if "://" in found[0] and not found[0].endswith("/") else "")
    steps = [step for step in base_url[found.end() :].split("/") if step not in ("", ".")]
    while url.startswith(("./", "../")):
        step, _, url = url.partition("/")
        if step == "..":
            if not steps or steps[-1] == "..":
                return None
            steps.pop()
    return root + "/".join([*steps, url.rstrip("/")])


def _gitlinks_among(git_dir: str, paths: Collection[str]) -> set[str]:
    """Those of the paths at which the commit has a submodule."""
    inside = sorted(path for path in paths if path and ".." not in path.split("/"))
    found: set[str] = set()
    for start in range(0, len(inside), PATHS_AT_ONCE):
        some = inside[start : start + PATHS_AT_ONCE]
        done = run_on(git_dir, "ls-tree", "-z", "--full-tree", "HEAD", "--", *some)
        if done.exit_code:
            raise error_of(git_dir, done.exit_code, done.stderr)
        for entry in done.output.split(b"\0"):
            if entry.startswith(_GITLINK_MODE):
                found.add(os.fsdecode(entry.partition(b"\t")[2]))
    return found
