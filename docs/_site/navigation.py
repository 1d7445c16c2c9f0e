"""The site's navigation, read from the front page's own lists; and the pages from above docs/."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

FRONT = "index"

ROOT = Path(__file__).parents[2]

FROM_ABOVE = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""Pages that are only a link on a forge; on the site the file that they lead to stands there."""

_SECTION = re.compile(r"^## (.+)\n((?:\n|- .+\n|  .+\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^- \[(.+?)\]\(([^)#]+)\.(?:md|rst)\)", re.MULTILINE)


def sections(front: str) -> dict[str, list[tuple[str, str]]]:
    """The front page's lists: each heading, and the title and page of each of its links."""
    return {title: _ENTRY.findall(entries) for title, entries in _SECTION.findall(front)}


def toctree(title: str, entries: list[tuple[str, str]]) -> str:
    """The list as Sphinx wants it told; the page itself shows the front page's own."""
    lines = "\n".join(f"{name} <{page}>" for name, page in entries)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{lines}\n```\n"


def on_read(_app: Sphinx, page: str, source: list[str]) -> None:
    """What a page is made of instead of its file, or beside it."""
    if page in FROM_ABOVE:
        source[0] = (ROOT / FROM_ABOVE[page]).read_text().replace("](docs/", "](")
    elif page == FRONT:
        source[0] += "".join(toctree(*each) for each in sections(source[0]).items())


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", on_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
