"""What measures forgedb beside other libraries: it is there without any of them, compares what each
side did, and runs them in an interpreter of their own."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks import limit, server
from benchmarks.peers import ours, table
from benchmarks.peers.contest import Contest
from benchmarks.peers.sides import Blocking, Side
from benchmarks.peers.table import PEERS, Opened
from benchmarks.peers.works import WORKS
from benchmarks.places import Databases, Files
from benchmarks.scale import QUICK

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/peers"

METHODS = {name for name, member in vars(Opened).items() if callable(member) and name[0] != "_"}


def test_the_peers_are_the_libraries_that_people_use_instead():
    assert [peer.name for peer in PEERS] == [
        "SQLAlchemy Core",
        "SQLAlchemy ORM",
        "Django ORM",
        "sqlite-utils",
        "aiosqlite",
        "asyncpg",
    ]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_a_file_of_its_own_that_does_all_works(peer):
    tree = ast.parse((FOLDER / f"{peer.module}.py").read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    functions |= {node.name: node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    assert isinstance(functions["opened"], ast.AsyncFunctionDef) is peer.is_async
    (contender,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and {*_methods(node)} >= METHODS
    )
    for name in METHODS - {"rows"}:
        assert isinstance(_methods(contender)[name], ast.AsyncFunctionDef) is peer.is_async


def _methods(node):
    """Its own, and those of the class that drivers which are awaited share."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    own = {each.name: each for each in node.body if isinstance(each, kinds)}
    if "Awaited" in map(ast.unparse, node.bases):
        tree = ast.parse((FOLDER / "statements.py").read_text())
        (shared,) = (each for each in tree.body if isinstance(each, ast.ClassDef))
        return _methods(shared) | own
    return own


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_is_locked_among_the_peers_alone(peer):
    locked = (ROOT / "requirements/peers.txt").read_text()
    assert re.search(rf"^{peer.package}==", locked, re.MULTILINE)
    assert not re.search(rf"^{peer.package}==", (ROOT / "requirements/run.txt").read_text())


def test_forgedb_meets_its_peers_in_the_versions_that_users_get():
    pins = dict.fromkeys(re.findall(r"^\S+==\S+", _lock("run.txt"), re.MULTILINE))
    assert pins
    assert pins.keys() <= {*re.findall(r"^\S+==\S+", _lock("peers.txt"), re.MULTILINE)}


def _lock(name):
    return (ROOT / "requirements" / name).read_text()


def test_nothing_imports_a_peer_before_it_is_asked_for():
    program = (
        "import sys, benchmarks.limit, benchmarks.peers.running;"
        "print(*[m for m in sys.modules if m.startswith('benchmarks.peers.')], sep='\\n')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.rpartition(".")[2] for name in ran.stdout.split()}
    assert {"works", "table"} <= loaded
    assert loaded.isdisjoint(peer.module for peer in PEERS)


def test_the_works_are_known_by_name_without_what_does_them():
    assert [*limit.PEERS_WORKS] == [*WORKS]


def test_a_peer_that_is_not_installed_says_so():
    assert not table.Peer("none", "none", "there-is-no-such-package").is_installed
    here = table.Peer("pytest", "none", "pytest")
    assert here.is_installed
    assert here.words == f"pytest {version('pytest')}"


class Again(ours.Ours):
    """forgedb once more, in the place of a peer."""

    def rows(self, repository_id, objects):
        asked = super().rows(repository_id, objects)
        return (asked[0], [*asked[1]], asked[2])

    def page_by_offset(self, repository_id, offset, limit):
        first = self.page(repository_id, b"\x00" * 20, offset, 1)[0]
        return self.page(repository_id, first[-1].oid, limit, 1)[0]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path, monkeypatch):
    if request.param == "sqlite":
        yield Files(QUICK, tmp_path)
    else:
        monkeypatch.setenv(server.URL, request.getfixturevalue("postgres_url"))
        with server.Server() as started:
            yield Databases(QUICK, started)


def contest(place, peer):
    forgedb = Side("forgedb", True, False, ours.opened)
    return Contest(place, [forgedb, Side("a peer", False, False, peer)])


def test_every_work_gives_a_row_for_each_peer(place):
    met = contest(place, Again)
    for name, work in WORKS.items():
        (row,) = met.rows(name, work)
        assert row.name == f"{place.prefix}peers-{name}"
        assert row.work == f"{work.words}, {place.words}"
        assert (row.against, row.bound) == ("a peer", None)
        assert row.ratio > 0


def test_a_peer_of_asyncio_is_compared_with_forgedb_awaited(tmp_path):
    with asyncio.Runner() as loop:

        def awaited(url):
            return Blocking(loop.run(ours.opened_async(url)), loop)

        sides = [
            Side("forgedb", True, False, ours.opened),
            Side("forgedb, async", True, True, awaited),
            Side("a peer", False, True, awaited),
        ]
        met = Contest(Files(QUICK, tmp_path), sides)
        for name in WORKS.keys() - {"offset"}:
            _, taken = WORKS[name].measure(met)
            times = {side.words: each for side, each in taken}
            (row,) = met.rows(name, WORKS[name]._replace(measure=lambda _, of=taken: (1, of)))
            assert row.work.startswith("await ")
            assert row.ours is times["forgedb, async"]


class Idle(Again):
    """A peer that wins by not doing the work."""

    def get(self, ids):
        return super().get(ids[:1]) * len(ids)

    def create(self, project_id, slugs):
        super().create(project_id, slugs[1:])

    def page(self, repository_id, after, limit, times):
        return [[*page[1:], page[0]] for page in super().page(repository_id, after, limit, 1)]

    def add(self, rows):
        repository_id, objects, token = rows
        super().add((repository_id, objects[1:], token))

    def lease(self, repository_ids):
        super().lease(repository_ids[1:])

    def missing(self, repository_id, oids):
        return super().missing(repository_id, oids)[1:]


@pytest.mark.parametrize("name", [*WORKS])
def test_a_peer_that_does_other_work_than_forgedb_gets_no_row(name, tmp_path):
    met = contest(Files(QUICK, tmp_path), Idle)
    with pytest.raises(AssertionError, match="a peer did other work than forgedb"):
        next(met.rows(name, WORKS[name]))


def test_the_peers_interpreter_gets_the_works_the_options_and_this_checkout(tmp_path):
    python = tmp_path / "python"
    said = tmp_path / "said.json"
    python.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "told = [sys.argv[1:], os.environ['PYTHONPATH'], os.environ[sys.argv[-1]]]\n"
        f"open({str(said)!r}, 'w').write(json.dumps(told))\n"
    )
    python.chmod(0o755)
    limit.run_peers(python, "postgres", ["get", server.URL], "--quick", url="postgresql://h/d")
    arguments, path, url = json.loads(said.read_text())
    assert arguments[:6] == ["-m", "benchmarks", "peers", "--on", "postgres", "--quick"]
    assert arguments[6:8] == ["--work", "get"]
    assert path.split(":") == [str(ROOT / "src"), str(ROOT)]
    assert url == "postgresql://h/d"


def test_a_failure_of_the_peers_process_ends_the_run(tmp_path):
    with pytest.raises(SystemExit, match="the peers' process ended with 1"):
        limit.run_peers(Path("/bin/false"), "sqlite", ["get"])


def test_a_work_with_peers_is_refused_where_there_are_none():
    refused = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "peers-get"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert refused.returncode == 1
    assert "peers-get needs --peers: see `make bench-peers`" in refused.stderr
