"""The site: its links lead somewhere, and all that is public is in it, or its build fails."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from click import Context, Group

import forgedb
from docs._site import public
from docs._site.navigation import sections
from forgedb.cli.group import forgedb as command
from tests.docs.site import ROOT, broken_in, build, built, ids_of, loaded_from_elsewhere


@pytest.fixture(scope="module")
def site() -> Path:
    return built()


def test_the_navigation_leads_a_newcomer_and_names_every_page(site):
    lists = sections((ROOT / "docs/index.md").read_text())
    assert [*lists] == ["Start", "Guides", "Reference", "Operating", "How it is built"]
    named = {page for entries in lists.values() for _, page in entries}
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.rst")]
    pages = {str(each.relative_to(ROOT / "docs").with_suffix("")) for each in sources}
    assert named == pages - {"index"}
    front = (site / "index.html").read_text()
    for page in named:
        assert f'href="{page}.html"' in front


def test_every_link_of_the_site_leads_to_a_file_and_to_a_place_in_it(site):
    assert [*broken_in(site)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here"></a> <a href="b.html#x"></a>')
    assert [*broken_in(tmp_path)] == ["a.html: b.html#x"]
    (tmp_path / "b.html").write_text("<p>nothing</p>")
    assert [*broken_in(tmp_path)] == ["a.html: b.html#x"]
    (tmp_path / "b.html").write_text('<p id="x"></p>')
    assert [*broken_in(tmp_path)] == []


def test_nothing_is_loaded_from_another_machine(site, tmp_path):
    assert [*loaded_from_elsewhere(site)] == []
    (tmp_path / "a.html").write_text('<script src="https://cdn.example.org/a.js"></script>')
    (tmp_path / "a.css").write_text("body { background: url('//example.org/a.png') }")
    assert len([*loaded_from_elsewhere(tmp_path)]) == 2


def test_every_public_name_has_a_place_in_the_reference(site):
    reference = [*(site / "reference").glob("*.html")]
    places = set().union(*map(ids_of, reference))
    assert {*public.names()} <= places
    assert "forgedb.LeasesDao.acquire" in places
    assert "forgedb.Database.migrate" in places


def signatures_of(page: Path) -> list[str]:
    found = re.findall(r'<dt class="sig[^>]*>(.*?)</dt>', page.read_text(), re.DOTALL)
    return [
        " ".join(unescape(re.sub(r"<[^>]+>", "", each)).rstrip("¶\n").split()) for each in found
    ]


def test_the_reference_shows_what_a_caller_gives_and_gets(site):
    leases = signatures_of(site / "reference/leases.html")
    assert "release(lease_id: Ulid, holder: str | None = None) → Lease" in leases
    assert any(each.endswith("→ ContextManager[HeldLease]") for each in leases)
    assert 'href="errors.html#forgedb.LeaseHeld"' in (site / "reference/leases.html").read_text()


def test_no_signature_of_the_reference_has_a_word_that_callers_do_not_know(site):
    pages = [*(site / "reference").glob("*.html")]
    signatures = [each for page in pages for each in signatures_of(page) if "--" not in each]
    assert len(signatures) > 300
    unknown = re.compile(r"Steps\[|H_co|SyncRunner|ForwardRef|[<~]|\w+\.\w+\.")
    assert [each for each in signatures if unknown.search(each)] == []


def test_the_data_model_leads_from_its_diagram_to_each_table(site):
    page = (site / "data-model.html").read_text()
    assert "erDiagram" not in page
    assert 'href="#lease_import_lines"' in page


def test_a_public_name_without_a_docstring_is_found(monkeypatch):
    assert [*public.undocumented()] == []
    monkeypatch.setattr(forgedb.every, "__doc__", None)
    monkeypatch.setattr(forgedb.LeasesDao.release, "__doc__", None)
    monkeypatch.setattr(vars(forgedb.LeasesDao)["release"], "__doc__", None)
    assert {*public.undocumented()} == {"forgedb.every", "forgedb.LeasesDao.release"}


def test_a_broken_link_and_a_name_that_is_on_no_page_fail_the_build(tmp_path):
    shutil.copytree(ROOT / "docs/_site", tmp_path / "docs/_site")
    shutil.copy(ROOT / "docs/conf.py", tmp_path / "docs")
    (tmp_path / "docs/index.md").write_text(
        "# Front\n\n[a page](gone.md), [a heading](#gone)\n\n## Start\n\n- [Page](page.md)\n"
    )
    (tmp_path / "docs/page.md").write_text("# Page\n\n[the front](index.md#gone-too)\n")
    (tmp_path / "docs/lost.md").write_text("# In no list\n")
    done = build(tmp_path / "docs", tmp_path / "site")
    assert done.returncode == 1
    for told in (
        "'gone.md'",
        "'gone'",
        "'gone-too'",
        "lost.md: WARNING: document isn't included",
        "forgedb.Database.migrate is public, and on no page",
    ):
        assert told in done.stderr


def commands_under(group: Group, path: str) -> list[str]:
    context = Context(group)
    found: list[str] = []
    for name in group.list_commands(context):
        inner = group.get_command(context, name)
        found.append(f"{path} {name}")
        if isinstance(inner, Group):
            found += commands_under(inner, f"{path} {name}")
    return found


def test_the_help_of_every_command_is_in_the_reference(site):
    text = re.sub(r"<[^>]+>", "", (site / "reference/commands.html").read_text())
    every = commands_under(command, "forgedb")
    assert len(every) > 50
    for each in every:
        assert each in text, each
