"""The remotes that a repository's own configuration names."""

from __future__ import annotations

import msgspec

from forgedb.git.configuration import read_settings


class Remote(msgspec.Struct, frozen=True):
    """Another copy of the repository, with its URLs as configured: credentials may be in them.

    ``push_urls`` is where git pushes to; without a setting of its own that is where it fetches.
    """

    name: str
    fetch_url: str | None
    push_urls: list[str]
    is_mirror: bool


def read_remotes(git_dir: str) -> list[Remote]:
    """The remotes that have a URL, in the order of the configuration.  Raises GitError."""
    settings = read_settings(
        git_dir, r"^remote\..+\.(url|pushurl|mirror)$", "--local", "--includes"
    )
    urls: dict[str, dict[str, list[str]]] = {}
    mirrors: set[str] = set()
    for setting in settings:
        if setting.key == "mirror":
            (mirrors.add if setting.is_true else mirrors.discard)(setting.subsection)
        else:
            of_remote = urls.setdefault(setting.subsection, {"url": [], "pushurl": []})
            # An empty value takes back what came before it.
            if setting.value:
                of_remote[setting.key].append(setting.value)
            else:
                of_remote[setting.key].clear()
    return [
        Remote(
            name,
            fetch_url=of_remote["url"][0] if of_remote["url"] else None,
            push_urls=of_remote["pushurl"] or of_remote["url"],
            is_mirror=name in mirrors,
        )
        for name, of_remote in urls.items()
        if of_remote["url"] or of_remote["pushurl"]
    ]
