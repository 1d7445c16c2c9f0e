"""Which host a connection goes to, with servers that are only told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from forgedb.drivers.postgres.hosts import Dialer, Hosts, NoHost, may_pass, said
from forgedb.drivers.postgres.options import postgres_options
from forgedb.drivers.postgres.timelines import QUESTIONS, OldTimeline, Timelines
from forgedb.drivers.postgres.url import postgres_url
from forgedb.drivers.sync_facade import finish

STANDBY = (b"t", None, b"7")


def primary(timeline: int, system: bytes | None = b"7") -> tuple[bytes | None, ...]:
    return (b"f", b"%08X" % timeline, system)


class Answer:
    """As psycopg's cursor has it, behind the answers to the settings."""

    def __init__(self, row: Sequence[bytes | None]) -> None:
        self._row = row
        self._more = 2

    def nextset(self) -> bool:
        self._more -= 1
        return self._more > 0

    @property
    def pgresult(self) -> Any:
        return self

    def get_value(self, row: int, column: int) -> bytes | None:
        assert (row, self._more) == (0, 0)
        return self._row[column]


class Raw:
    """A connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False


class Asked(NamedTuple):
    name: str
    params: Mapping[str, Any]


class Network(Dialer[Any]):
    """Servers by ``host:port``: a row is what a primary or standby answers, an error a refusal."""

    def __init__(self, **servers: Any) -> None:
        super().__init__(Raw)
        self.servers = servers
        self.names: dict[str, list[str]] = {}
        self.asked: list[Asked] = []
        self.questions: list[str] = []
        self.opened: list[Raw] = []

    async def resolve(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        addresses = self.names.get(params["host"], [params["hostaddr"]])
        if not addresses:
            raise psycopg.OperationalError(f"failed to resolve host {params['host']!r}")
        return [{**params, "hostaddr": address} for address in addresses]

    async def connect(self, url: str, params: Mapping[str, Any]) -> Any:
        name = params["hostaddr"] or params["host"]
        self.asked.append(Asked(name, params))
        answer = self.servers[name]
        if isinstance(answer, psycopg.Error):
            raise answer
        self.opened.append(Raw(name))
        return self.opened[-1]

    async def ask(self, raw: Any, text: str) -> Any:
        self.questions.append(text)
        answer = self.servers[raw.name]
        if isinstance(answer, dict):
            answer = answer[next(each for each in QUESTIONS if text.endswith(each))]
        if isinstance(answer, psycopg.Error):
            raise answer
        return Answer(answer)

    async def close(self, raw: Any) -> None:
        raw.closed = True

    @property
    def names_asked(self) -> list[str]:
        names = [each.name for each in self.asked]
        self.asked.clear()
        return names


def refusing() -> psycopg.Error:
    return psycopg.OperationalError(
        'connection failed: connection to server at "10.1.1.1", port 5 failed: Connection refused'
    )


def hosts_of(url: str, timelines: Timelines | None = None, **options: Any) -> Hosts:
    return Hosts(postgres_options(postgres_url(url), options), timelines)


def connected(hosts: Hosts, network: Network) -> str:
    """The name of the server that a new connection goes to; no other one is left open."""
    raw, server = finish(hosts.connect(network, "SET a TO b", {}))
    assert [each for each in network.opened if not each.closed] == [raw]
    assert server.host.startswith(raw.name) or f"({raw.name})" in server.host
    network.opened.clear()
    name: str = raw.name
    return name


def refused(hosts: Hosts, network: Network) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as raised:
        finish(hosts.connect(network, "SET a TO b", {}))
    assert all(each.closed for each in network.opened)
    return raised.value


URL = "postgresql://a,b,c/forge"


def test_the_primary_is_found_wherever_it_stands() -> None:
    for found in ("a", "b", "c"):
        network = Network(**{**dict.fromkeys("abc", STANDBY), found: primary(1)})
        hosts = hosts_of(URL)
        assert connected(hosts, network) == found
        assert hosts.has_primary


def test_all_are_looked_at_first_and_then_none_behind_the_primary() -> None:
    network = Network(a=STANDBY, b=primary(3), c=primary(4))
    hosts = hosts_of(URL)
    assert connected(hosts, network) == "c"
    assert network.names_asked == ["a", "b", "c"]
    network.servers["c"] = STANDBY
    network.servers["b"] = primary(5)
    assert connected(hosts, network) == "b"
    assert network.names_asked == ["a", "b"]


def test_all_are_looked_at_again_when_a_connection_was_lost_or_the_last_host_is_gone() -> None:
    network = Network(a=primary(1), b=STANDBY, c=STANDBY)
    hosts = hosts_of(URL)
    assert connected(hosts, network) == "a"
    network.servers["c"] = primary(2)
    assert connected(hosts, network) == "a"
    hosts.look_again()
    assert connected(hosts, network) == "c"
    network.servers.update(c=refusing(), a=primary(2), b=primary(3))
    network.asked.clear()
    assert connected(hosts, network) == "a"
    hosts.look_again()
    assert connected(hosts, network) == "b"
    network.servers.update(a=primary(3), b=refusing(), c=primary(4))
    assert connected(hosts, network) == "a"


def test_a_primary_of_a_lower_timeline_is_refused_as_what_it_is() -> None:
    network = Network(a=primary(1), b=primary(0x1F), c=STANDBY)
    hosts = hosts_of("postgresql://a,b/forge")
    assert connected(hosts, network) == "b"
    network.servers["b"] = refusing()
    error = refused(hosts, network)
    assert isinstance(error, NoHost)
    assert str(error) == (
        "b: Connection refused; a: a is a primary on timeline 1, and timeline 31 of this database"
        " has been seen: it is an old primary; make it a standby of the new one (pg_rewind does),"
        " or stop it"
    )
    single = hosts_of("postgresql://a/forge", hosts.timelines)
    assert isinstance(refused(single, network), OldTimeline)
    network.servers["a"] = STANDBY
    assert connected(hosts, network) == "a"
    assert not hosts.has_primary
    assert hosts.passed_over == "a: in recovery; b: Connection refused"


def test_each_database_system_has_timelines_of_its_own_and_each_handle_its_memory() -> None:
    network = Network(a=primary(5, b"7"), b=primary(1, b"8"), c=primary(2, None))
    timelines = Timelines()
    for name in "abc":
        assert connected(hosts_of(f"postgresql://{name}/forge", timelines), network) == name
    network.servers["a"] = primary(4, b"7")
    assert isinstance(refused(hosts_of("postgresql://a/forge", timelines), network), OldTimeline)
    assert connected(hosts_of("postgresql://a/forge"), network) == "a"


def test_a_server_that_was_left_knows_it() -> None:
    network = Network(a=primary(1), b=STANDBY)
    hosts = hosts_of("postgresql://a,b/forge")
    _, old = finish(hosts.connect(network, "", {}))
    assert not old.is_overtaken
    assert (old.in_recovery, old.has_others) == (False, True)
    network.servers.update(a=STANDBY, b=primary(2))
    _, new = finish(hosts.connect(network, "", {}))
    assert (old.is_overtaken, new.is_overtaken) == (True, False)
    assert repr(old) == "Server('a', on timeline 1)"


# What a service refuses to tell


UNDEFINED = psycopg.errors.UndefinedFunction("no such function")
CANCELLED = psycopg.errors.QueryCanceled("statement timeout")


def test_what_a_service_doesnt_tell_is_asked_for_once_and_the_timeline_counts_as_one() -> None:
    network = Network(a=dict.fromkeys(QUESTIONS, UNDEFINED))
    network.servers["a"][QUESTIONS[2]] = (b"f", None, None)
    hosts = hosts_of("postgresql://a/forge")
    _, server = finish(hosts.connect(network, "SET a TO b", {}))
    assert server.timeline == 1
    assert network.questions == [f"SET a TO b; {each}" for each in QUESTIONS[:3]]
    network.questions.clear()
    finish(hosts.connect(network, "", {}))
    assert network.questions == [QUESTIONS[2]]


def test_a_question_that_failed_by_chance_is_asked_again_the_next_time() -> None:
    network = Network(a=dict.fromkeys(QUESTIONS, (b"f", None, None)))
    network.servers["a"][QUESTIONS[0]] = CANCELLED
    hosts = hosts_of("postgresql://a/forge")
    for _ in range(2):
        finish(hosts.connect(network, "", {}))
    assert network.questions == [*QUESTIONS[:2]] * 2


def test_a_server_that_answers_nothing_is_refused_with_its_last_words() -> None:
    network = Network(a=dict.fromkeys(QUESTIONS, UNDEFINED))
    assert refused(hosts_of("postgresql://a/forge"), network) is UNDEFINED
    assert len(network.questions) == len(QUESTIONS)


# What the URL says


def test_hosts_addresses_and_ports_are_taken_as_libpq_takes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def places(url: str) -> list[tuple[str, str, str]]:
        network = Network(**dict.fromkeys(("a", "b", "c", "1", "2", "", "/tmp"), STANDBY))
        finish(hosts_of(url).connect(network, "", {}))
        keys = ("host", "hostaddr", "port")
        return [
            (each[0], each[1], each[2])
            for each in ([asked.params[key] for key in keys] for asked in network.asked)
        ]

    assert places("postgresql://a:1,b,c:3/forge") == [("a", "", "1"), ("b", "", ""), ("c", "", "3")]
    assert places("postgresql:///forge?host=a,b&port=7") == [("a", "", "7"), ("b", "", "7")]
    both = places("postgresql:///forge?host=a,b&hostaddr=1,2&port=7,8")
    assert both == [("a", "1", "7"), ("b", "2", "8")]
    assert places("postgresql:///forge?hostaddr=1,2") == [("", "1", "5432"), ("", "2", "5432")]
    assert places("postgresql:///forge?host=/tmp,b") == [("/tmp", "", "5432"), ("b", "", "5432")]
    assert places("postgresql:///forge") == [("", "", "5432")]
    (tmp_path / "services").write_text("[ha]\nhost=a,b\nport=1,2\ndbname=forge\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert places("postgresql:///?service=ha") == [("a", "", "1"), ("b", "", "2")]
    monkeypatch.setenv("PGHOST", "b,c")
    assert places("postgresql:///forge") == [("b", "", "5432"), ("c", "", "5432")]


def test_lists_that_dont_fit_together_are_refused_by_libpq_itself() -> None:
    from forgedb.drivers.postgres.hosts import BlockingDialer

    hosts = hosts_of("postgresql:///forge?host=a,b&port=1,2,3")
    with pytest.raises(psycopg.Error, match="port"):
        finish(hosts.connect(BlockingDialer(psycopg.Connection), "", {}))


def test_each_address_of_a_name_is_a_host_and_one_of_each_kind_is_one_machine() -> None:
    network = Network(**{"10.0.0.1": STANDBY, "10.0.0.2": primary(1), "::1": STANDBY})
    network.names = {"db": ["10.0.0.1", "10.0.0.2"]}
    hosts = hosts_of("postgresql://db/forge")
    assert connected(hosts, network) == "10.0.0.2"
    assert hosts.are_several
    network.names = {"db": ["::1", "10.0.0.1"]}
    hosts = hosts_of("postgresql://db/forge")
    assert connected(hosts, network) == "::1"
    assert not hosts.are_several


def test_a_name_without_an_address_is_passed_over() -> None:
    network = Network(b=primary(1))
    network.names = {"a": []}
    assert connected(hosts_of("postgresql://a,b/forge"), network) == "b"
    network.servers["b"] = refusing()
    error = refused(hosts_of("postgresql://a,b/forge"), network)
    assert str(error) == "a: failed to resolve host 'a'; b: Connection refused"


def test_whoever_says_what_server_it_wants_has_what_libpq_lets_it_have() -> None:
    for wanted, asked in (
        ("any", ["a"]),
        ("standby", ["a"]),
        ("read-only", ["a"]),
        ("primary", ["a", "b", "c"]),
        ("read-write", ["a", "b", "c"]),
    ):
        network = Network(**dict.fromkeys("abc", primary(1)))
        hosts = hosts_of(f"{URL}?target_session_attrs={wanted}")
        assert connected(hosts, network) == "a"
        assert network.names_asked == asked
        assert hosts.seeks_primary == (len(asked) > 1)


def test_whoever_prefers_a_standby_is_given_any_server_where_none_is() -> None:
    network = Network(**dict.fromkeys("abc", refusing()))
    refused(hosts_of(f"{URL}?target_session_attrs=prefer-standby"), network)
    said_of = [(each.name, each.params["target_session_attrs"]) for each in network.asked]
    assert said_of == [*((each, "standby") for each in "abc"), *((each, "any") for each in "abc")]


def test_hosts_are_tried_in_any_order_where_their_load_is_balanced() -> None:
    firsts = set()
    for _ in range(100):
        network = Network(**dict.fromkeys("abc", STANDBY))
        any_standby = "load_balance_hosts=random&target_session_attrs=any"
        firsts.add(connected(hosts_of(f"{URL}?{any_standby}"), network))
    assert firsts == {"a", "b", "c"}


# How long


@pytest.mark.parametrize(
    ("url", "pool_timeout", "seconds"),
    [
        ("postgresql://a/forge", 10.0, 10),
        ("postgresql://a/forge", 0.5, 1),
        ("postgresql://a,b/forge", 10.0, 5),
        (URL, 10.0, 3),
        (URL, 1.0, 2),
        (f"{URL}?connect_timeout=7", 10.0, None),
    ],
)
def test_each_host_has_its_share_of_the_time(
    url: str, pool_timeout: float, seconds: int | None
) -> None:
    network = Network(**dict.fromkeys("abc", primary(1)))
    connected(hosts_of(url, pool_timeout=pool_timeout), network)
    assert {each.params.get("connect_timeout") for each in network.asked} == {seconds}


def test_a_host_that_kept_silent_is_tried_after_the_others_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = psycopg.errors.ConnectionTimeout("connection timeout expired")
    network = Network(a=silent, b=primary(1), c=STANDBY)
    hosts = hosts_of(URL)
    assert connected(hosts, network) == "b"
    assert network.names_asked == ["a", "b", "c"]
    hosts.look_again()
    assert connected(hosts, network) == "b"
    assert network.names_asked == ["b", "c"]
    network.servers.update(a=primary(2), b=refusing())
    assert connected(hosts, network) == "a"
    assert network.names_asked == ["b", "c", "a"]
    hosts.look_again()
    assert connected(hosts, network) == "a"
    assert network.names_asked == ["a", "b", "c"]
    network.servers.update(a=silent, c=refusing())
    refused(hosts, network)
    network.asked.clear()
    monkeypatch.setattr("forgedb.drivers.postgres.hosts.SILENT_SECONDS", 0.0)
    refused(hosts, network)
    assert network.names_asked[0] == "a"


# Why not


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ('FATAL:  password authentication failed for user "ada"', False),
    ],
)
def test_whether_waiting_is_of_use_is_seen_from_what_was_said(words: str, passes: bool) -> None:
    error = psycopg.OperationalError(
        f'connection failed: connection to server at "::1", port 5 failed: {words}'
    )
    assert said(error) == " ".join(words.split())
    assert may_pass(error) == passes
    final = psycopg.OperationalError("FATAL: no pg_hba.conf entry")
    assert may_pass(NoHost([("a", final), ("b", error)])) == passes
