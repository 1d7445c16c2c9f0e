"""The pages do what they say: their code runs, their links lead somewhere, and nothing is left out.

Code blocks are run by ``tests.docs.page``, a process for each page in a folder of its own.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import forgedb
from forgedb.audit.kinds import OWN_ACTIONS
from forgedb.cli import exit_code_of
from forgedb.errors import ForgeDbError
from forgedb.testing.failover import verdict as failover
from forgedb.testing.failover.suite import RUNS
from forgedb.testing.history import RULES
from tests.docs.blocks import blocks_of
from tests.docs.page import EXEMPT
from tests.docs.shell import Shell, commands_in, is_shown
from tests.servers.litestream import litestream_program

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

ENVIRONMENT = {
    "COLUMNS": "100",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    "PYTHONWARNINGS": "error",
    "TZ": "UTC",
}
"""What a page's commands find beside PATH: nothing of this machine's settings."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def page_text(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.fixture
def as_a_stranger(tmp_path: Path) -> dict[str, str]:
    """The environment of someone who has forgedb on the PATH and an empty home."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "forgedb").write_text(f'#!/bin/sh\nexec {sys.executable} -m forgedb "$@"\n')
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for program in ("forgedb", "python"):
        (programs / program).chmod(0o755)
    (programs / "squawk").symlink_to(Path(sys.executable).with_name("squawk"))
    (programs / "litestream").symlink_to(litestream_program())
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**ENVIRONMENT, "HOME": str(tmp_path), "PATH": path}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_code_block_of_a_page_does_what_the_page_says(
    page, tmp_path, as_a_stranger, postgres
):
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.docs.page", str(page)]
    # Given to the pages that ask for it: it is the default of every command.
    asks = any("DATABASE_URL" in block.text for block in blocks_of(page))
    with postgres.new() as url:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**as_a_stranger, **({"DATABASE_URL": url} if asks else {})},
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(blocks_of(page))} blocks" in done.stdout


def test_blocks_that_are_not_run_are_on_a_page():
    texts = {block.text for page in PAGES for block in blocks_of(page)}
    assert EXEMPT.keys() <= texts


# What runs the blocks would find a mistake.


def test_what_a_command_prints_is_compared_with_what_the_page_shows():
    assert is_shown("applied ... in ... ms\n", "applied 0001_initial in 7 ms\n")
    assert is_shown("first\n...\nlast\n", "first\nsecond\nthird\nlast\n")
    assert not is_shown("applied ... in ... ms\n", "applied nothing\n")
    assert not is_shown("first\n", "first\nsecond\n")


def test_a_block_of_commands_is_read_with_what_stands_under_each():
    text = "$ cd there\n$ cat <<END\n> inside\n> END\ninside\n"
    assert [(each.text, each.output) for each in commands_in(text)] == [
        ("cd there", ""),
        ("cat <<END\ninside\nEND", "inside\n"),
    ]


def test_the_shell_of_a_page_remembers_folder_variables_and_status(tmp_path):
    shell = Shell()
    try:
        assert shell.run(f"cd {tmp_path}; name=ada") == ("", 0)
        assert shell.run('pwd; echo "$name"; (exit 7)') == (f"{tmp_path}\nada\n", 7)
        assert shell.run("echo $?") == ("7\n", 0)
    finally:
        shell.close()


@pytest.mark.parametrize(
    "block",
    [
        "```python\nassert 1 == 2\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ echo one\ntwo\n```\n",
        "```sh\nfalse\n```\n",
        "```sql\nSELECT nothing FROM nowhere;\n```\n",
        "```mermaid\nerDiagram\n```\n",
        "```text\nanything\n```\n",
    ],
    ids=lambda block: block.partition("\n")[0].removeprefix("```"),
)
def test_a_block_that_is_wrong_fails_its_page(block, tmp_path, as_a_stranger):
    page = tmp_path / "page.md"
    page.write_text(block)
    command = [sys.executable, "-m", "tests.docs.page", str(page)]
    done = subprocess.run(command, cwd=tmp_path, env=as_a_stranger, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Error" in done.stderr


# Links.


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """The file and the heading that each link within the project leads to."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            file, _, heading = target.partition("#")
            yield (page.parent / file).resolve() if file else page, heading


def anchors_of(page: Path) -> set[str]:
    """The headings of a page as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page):
    for file, heading in links_of(page):
        assert file.exists(), file
        assert not heading or heading in anchors_of(file), f"{file}#{heading}"


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [file for file, _ in links_of(page)]
    assert set(PAGES) == reached


# The pages name what there is.


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its level."""
    found = re.search(
        rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", page_text(page), re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{page} has no section {title!r}"
    return found[1]


@pytest.fixture(scope="module")
def schema() -> Iterator[forgedb.DbClient]:
    with forgedb.connect("sqlite://") as db:
        db.migrate()
        yield db.client


def tables_of(schema) -> list[str]:
    return [name for (name,) in schema.query("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def columns_of(schema, table: str) -> list[str]:
    found = schema.query("SELECT name FROM pragma_table_info(:table)", {"table": table})
    return [name for (name,) in found]


def test_the_data_model_names_every_column_of_the_live_schema_in_order_and_no_other(schema):
    for table in tables_of(schema):
        rows = re.findall(r"^\| `(\w+)` \|", section("docs/data-model.md", table), re.MULTILINE)
        assert rows == columns_of(schema, table), table


def test_the_data_model_names_every_index_and_every_rule_that_the_database_holds(schema):
    texts = [text for (text,) in schema.query("SELECT sql FROM sqlite_schema WHERE sql <> ''")]
    indexes = schema.query("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> ''")
    of_one_column = {
        f"{table}_{column}_check"
        for table in tables_of(schema)
        for column in columns_of(schema, table)
    }
    checks = {name for text in texts for name in re.findall(r"CONSTRAINT (\w+) CHECK", text)}
    triggers = {name for text in texts for name in re.findall(r"'forgedb: (\w+):", text)}
    assert indexes
    assert checks
    assert triggers
    page = page_text("docs/data-model.md")
    for name in {name for (name,) in indexes} | (checks - of_one_column) | triggers:
        assert f"`{name}`" in page


def errors_under(kind: type[ForgeDbError]) -> Iterator[type[ForgeDbError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from errors_under(narrower)


def all_errors() -> list[type[ForgeDbError]]:
    for module in pkgutil.walk_packages(forgedb.__path__, "forgedb."):
        if not module.name.endswith(".__main__"):
            import_module(module.name)
    found = dict.fromkeys(errors_under(ForgeDbError))
    return [kind for kind in found if kind.__module__.startswith("forgedb.")]


def test_every_error_is_on_the_page_at_its_place_in_the_tree():
    page = page_text("docs/errors.md")
    for kind in all_errors():
        depth = kind.__mro__.index(ForgeDbError)
        entry = f"{'  ' * depth}- [{kind.__name__}](#{kind.__name__.lower()})"
        assert re.search(rf"^{re.escape(entry)}", page, re.MULTILINE), entry


def test_every_attribute_of_an_error_is_in_its_section():
    for kind in all_errors():
        parameters = inspect.signature(kind.__init__).parameters
        for attribute in parameters.keys() - {"self", "args", "kwargs"}:
            assert f"`{attribute}`" in section("docs/errors.md", kind.__name__), kind


def test_the_exit_code_that_the_page_gives_an_error_is_the_commands():
    for kind in all_errors():
        codes = re.findall(r"Exit code (\d)(.*)", section("docs/errors.md", kind.__name__))
        assert codes == [(str(exit_code_of(kind.__new__(kind))), ".")], kind


def test_the_audit_page_names_every_action_that_is_recorded():
    page = page_text("docs/audit.md")
    for action in OWN_ACTIONS:
        assert f"`{action}`" in page


def test_the_lease_page_names_every_way_in_which_a_lease_ends():
    page = page_text("docs/leases.md")
    for reason in forgedb.EndReason:
        assert f"`{reason}`" in page


def test_the_soaks_page_names_every_rule_of_a_history():
    page = page_text("docs/soak.md")
    for rule in RULES:
        assert f"`{rule}`" in page


def test_the_failovers_page_names_every_rule_and_every_kind():
    page = page_text("docs/failover.md")
    for name in (*failover.RULES, *RUNS):
        assert f"| `{name}` |" in page


def test_the_readme_names_every_folder_and_every_dependency():
    readme = page_text("README.md")
    for folder in (ROOT / "src/forgedb").iterdir():
        if any(folder.glob("*.py")):
            assert f"`src/forgedb/{folder.name}/`" in readme
    project = tomllib.loads(page_text("pyproject.toml"))["project"]
    for needed in project["dependencies"]:
        assert f"| [{re.split('[<>=]', needed)[0]}] |" in readme
    assert f"Version {forgedb.__version__}." in readme
    assert f"## [{forgedb.__version__}]" in page_text("CHANGELOG.md")


def test_contributing_names_files_and_folders_that_are_there_and_hold_what_it_says():
    page = page_text("CONTRIBUTING.md")
    paths = re.findall(r"(?:`(\w+)` in\s)?`([\w./]+(?:/|\.\w+))`", page)
    assert paths
    for name, path in paths:
        pattern = path.replace("NNNN_name", "*")
        found = [*ROOT.glob(pattern), *(ROOT / "src/forgedb").glob(pattern)]
        assert found, path
        assert not name or any(name in file.read_text() for file in found), f"{name} in {path}"


def test_contributing_names_layers_that_are_there():
    layout = section("CONTRIBUTING.md", "How it is laid out")
    lines = re.findall(r"^(?:\d+\.|  ) .*$", layout, re.MULTILINE)
    layers = [name for line in lines for name in re.findall(r"`(\w+)`(?=[:,])", line)]
    assert layers
    for layer in layers:
        assert any((ROOT / "src/forgedb").glob(f"{layer}*")), layer


def test_contributing_names_every_folder_of_tests():
    page = section("CONTRIBUTING.md", "Tests")
    for folder in (ROOT / "tests").iterdir():
        if any(folder.rglob("*.py")):
            assert f"`tests/{folder.name}/`" in page
