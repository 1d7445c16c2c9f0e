"""The site as it lies in build/docs, built anew where a page or the code is newer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/docs"


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """What ``make docs`` does, with the pages of one folder."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--fresh-env"]
    return subprocess.run(
        [*command, "--jobs", "auto", str(source), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def built() -> Path:
    """The site's folder.  It is built here where ``make docs`` hasn't done so already."""
    index = SITE / "index.html"
    if not index.exists() or index.stat().st_mtime < max(map(changed_at, sources())):
        done = build(ROOT / "docs", SITE)
        assert done.returncode == 0, done.stderr
    return SITE


def sources() -> Iterator[Path]:
    """All that the site is made of."""
    yield from ROOT.glob("*.md")
    for folder, ending in (("docs", "*.*"), ("src", "*.py")):
        for path in (ROOT / folder).rglob(ending):
            if "__pycache__" not in path.parts:
                yield path


def changed_at(path: Path) -> float:
    return path.stat().st_mtime


def targets_of(page: Path) -> set[str]:
    """All that a page links to, or loads."""
    text = page.read_text()
    return {unescape(each) for each in re.findall(r'\s(?:href|src)="([^"]*)"', text)}


def ids_of(page: Path) -> set[str]:
    """All that a link can lead to in a page."""
    return {unescape(each) for each in re.findall(r'\sid="([^"]+)"', page.read_text())}


def broken_in(site: Path) -> Iterator[str]:
    """Links within the site that lead to no file of it, or to no place in the file."""
    pages = {page: ids_of(page) for page in sorted(site.rglob("*.html"))}
    for page in pages:
        for target in targets_of(page):
            path, _, place = unquote(target).partition("#")
            if ":" in path:
                continue
            file = (page.parent / path.partition("?")[0]).resolve() if path else page
            if not file.is_file() or (place and place not in pages.get(file, set())):
                yield f"{page.relative_to(site)}: {target}"


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """What a page, or a style of it, loads from another machine."""
    for page in sorted(site.rglob("*.html")):
        tags = re.findall(r"<(?:link|script|img|iframe|source)\b[^>]*>", page.read_text())
        for tag in tags:
            if re.search(r'\s(?:href|src)="(?:https?:)?//', tag):
                yield f"{page.relative_to(site)}: {tag}"
    for style in sorted(site.rglob("*.css")):
        for url in re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)]*)\)|@import", style.read_text()):
            yield f"{style.relative_to(site)}: {url}"
