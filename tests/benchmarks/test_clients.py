"""The benchmark of many clients runs on both databases without an error, tells every figure, and
keeps none where a client failed."""

from array import array

import pytest

from benchmarks.__main__ import main
from benchmarks.clients.crowd import ClientFailed, Done, crowd
from benchmarks.clients.rows import figures
from benchmarks.clients.running import QUICK_COUNTS
from benchmarks.clients.work import READS, WORK, WRITES, Place, writes
from benchmarks.databases import all_ids, open_ours, project_of
from benchmarks.places import Files
from benchmarks.scale import QUICK
from benchmarks.server import URL, Server

KINDS = {
    "mix": (*READS, "read", *WRITES, "write"),
    "reads": (*READS, "read", "raw_read"),
    "one stream": ("record", "write"),
}

RATES = {
    "mix": ("reads_per_second", "writes_per_second"),
    "reads": ("reads_per_second", "raw_reads_per_second", "ratio"),
    "one stream": ("writes_per_second",),
}


@pytest.fixture
def place(tmp_path):
    url = Files(QUICK, tmp_path).base
    with open_ours(url) as db:
        return Place(url, project_of(db), tuple(all_ids(db)))


@pytest.fixture
def saved(monkeypatch):
    """What a run keeps, by its name."""
    kept = {}

    def save(name, rows, *, notes):
        assert notes.startswith("Load of the machine at first: ")
        kept[name] = rows
        return name

    monkeypatch.setattr("benchmarks.clients.running.save", save)
    return kept


@pytest.fixture
def run(postgres_url, monkeypatch):
    """The command, in this process."""
    monkeypatch.setenv(URL, postgres_url)

    return lambda *arguments: main(["clients", *arguments])


def test_a_quick_run_tells_every_figure_on_both_databases_and_has_no_error(run, saved, capsys):
    run("--quick", "--save")
    found = saved["clients"]
    assert [(row["database"], row["clients"], row["work"]) for row in found] == [
        (database, clients, work)
        for database in ("sqlite", "postgres")
        for clients in QUICK_COUNTS
        for work in ("mix", "reads", "one stream")
    ]
    for row in found:
        assert row["errors"] == 0
        for kind in KINDS[row["work"]]:
            assert 0 < row[f"{kind}_p50_ms"] <= row[f"{kind}_p99_ms"]
        for rate in RATES[row["work"]]:
            assert row[rate] > 0
        assert row["writers"] == {"mix": 1, "reads": 0, "one stream": row["clients"]}[row["work"]]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(found) + 2, "a header, the server, and where they are kept"


def test_clients_write_to_repositories_of_their_own_and_leave_no_lease_behind(place):
    places = [place._replace(client=number, clients=3) for number in range(3)]
    owned = [one for each in places for one in each.own]
    assert len(owned) == len(set(owned))
    operations = writes(places[0])
    for _ in range(4):
        next(operations)[1]()
    with open_ours(place.url) as db:
        assert db.leases.active(places[0].own[1]) is not None
        operations.close()
        assert db.leases.active(places[0].own[1]) is None
        assert db.audit.verify().ok


def test_raw_reads_are_the_reads_of_a_client(place):
    ours, raw = WORK["reads"](place), WORK["raw reads"](place)
    for _ in range(20):
        (kind, get), (raw_kind, raw_get) = next(ours), next(raw)
        found, rows = get(), raw_get()
        assert kind == raw_kind
        ids = [found.id] if kind == "get" else [each.id for each in found.items]
        assert ids == [row[0] for row in rows]


def test_a_clients_error_ends_the_run_with_its_text(place):
    with (
        pytest.raises(ClientFailed, match=r"NotFound.*01BX5ZZKBKACTAV9WEVGEMMVRZ"),
        crowd([place._replace(repositories=("01BX5ZZKBKACTAV9WEVGEMMVRZ",) * 101)]) as working,
    ):
        working.turn(["reads"], 0.1)


def test_a_run_whose_client_failed_says_so_and_keeps_nothing(run, saved, monkeypatch):
    def failing(*_):
        raise ClientFailed("NotFound: there is no repository")

    monkeypatch.setattr("benchmarks.clients.running.rows", failing)
    with pytest.raises(SystemExit, match="nothing is kept:\nNotFound: there is no repository"):
        run("--quick", "--only", "sqlite", "--save")
    assert not saved


def test_the_rate_is_the_middle_one_of_the_turns_and_percentiles_are_over_all_of_them():
    def turn(seconds, *latencies):
        return [Done(seconds, {"get": array("d", latencies)})] * 2

    told = figures([turn(1.0, 0.001, 0.002), turn(2.0, 0.003), turn(1.0, *[0.004] * 10)])
    assert told == {
        "errors": 0,
        "reads_per_second": 4.0,
        "read_p50_ms": 4.0,
        "read_p99_ms": 4.0,
        "get_p50_ms": 4.0,
        "get_p99_ms": 4.0,
    }


def test_a_server_on_disk_waits_for_the_disk(monkeypatch):
    monkeypatch.delenv(URL, raising=False)
    with Server(on_disk=True) as server:
        assert server.words().endswith("fsync on, synchronous_commit on, full_page_writes on")
