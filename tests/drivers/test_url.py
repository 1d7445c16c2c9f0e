"""URLs of databases: what they mean, what makes no sense, and that no password is ever shown."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

import forgedb
from forgedb import InvalidValue, Unavailable
from forgedb.drivers.postgres.options import _CHECKS, postgres_options
from forgedb.drivers.postgres.url import SECRET_OPTIONS, SHOWN_OPTIONS, postgres_url
from forgedb.drivers.sqlite.options import sqlite_options
from forgedb.drivers.sqlite.url import OPTIONS
from forgedb.drivers.url import (
    DEFAULT_URL,
    parse_url,
    redacted,
    url_from_environment,
)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://", ":memory:"),
        ("sqlite:///", ":memory:"),
        ("sqlite:///forge.db", "forge.db"),
        ("sqlite:///data/forge.db", "data/forge.db"),
        ("sqlite:////var/lib/forge.db", "/var/lib/forge.db"),
        ("sqlite:///with%20space%3F.db", "with space?.db"),
        ("sqlite:///f%C3%B6rge.db", "förge.db"),
        ("sqlite:///förge.db", "förge.db"),
    ],
)
def test_an_sqlite_url_names_a_file_or_memory(url: str, path: str) -> None:
    parsed = parse_url(url)
    assert (parsed.dialect, parsed.path, parsed.options) == ("sqlite", path, {})
    assert parsed.shown == url


def test_options_follow_a_question_mark() -> None:
    parsed = parse_url("sqlite:///forge.db?mode=ro&busy_timeout=2.5&synchronous=")
    assert parsed.path == "forge.db"
    assert parsed.options == {"mode": "ro", "busy_timeout": "2.5", "synchronous": ""}


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_url_is_known_by_its_scheme(scheme: str) -> None:
    assert parse_url(f"{scheme}://ada@host/forge").dialect == "postgres"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with sqlite://"),
        ("forge.db", "must begin with sqlite://"),
        ("/var/lib/forge.db", "must begin with sqlite://"),
        ("sqlite:forge.db", "must begin with sqlite://"),
        ("SQLITE:///forge.db", "must begin with sqlite://"),
        ("mysql://ada@host/forge", "must begin with sqlite://"),
        ("https://host/forge.db", "must begin with sqlite://"),
        ("sqlite://forge.db", "three slashes before a relative path"),
        ("sqlite://host/forge.db", "three slashes before a relative path"),
        ("sqlite:///a%00b.db", "no NUL"),
        ("sqlite:///a\0b.db", "no NUL"),
        ("sqlite:///a.db?mode", "must read name=value"),
        ("sqlite:///a.db?mode=ro&&x", "must read name=value"),
        (None, "it must be text"),
        (7, "it must be text"),
        (Path("forge.db"), "it must be text"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_and_says_why(url: Any, why: str) -> None:
    with pytest.raises(InvalidValue, match=why) as raised:
        parse_url(url)
    assert raised.value.field == "url"


def test_connect_refuses_what_makes_no_sense() -> None:
    for url in ("forge.db", "mysql://ada:s3cret@host/forge", "sqlite://host/forge.db"):
        with pytest.raises(InvalidValue) as raised:
            forgedb.connect(url)
        assert raised.value.field == "url"
        assert "s3cret" not in f"{raised.value} {raised.value!r}"


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("sqlite://?mod=ro", "mod"),
        ("sqlite://?mode=rx", "mode"),
        ("sqlite://?mode=", "mode"),
        ("sqlite://?synchronous=SOMETIMES", "synchronous"),
        ("sqlite://?busy_timeout=soon", "busy_timeout"),
        ("sqlite://?busy_timeout=-1", "busy_timeout"),
        ("sqlite://?busy_timeout=nan", "busy_timeout"),
        ("sqlite://?busy_timeout=3601", "busy_timeout"),
        ("sqlite://?readers=0", "readers"),
        ("sqlite://?readers=65", "readers"),
        ("sqlite://?readers=two", "readers"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(url: str, field: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        forgedb.connect(url)
    assert raised.value.field == field


def test_an_option_of_the_call_stands_before_the_urls(tmp_path: Path) -> None:
    with forgedb.connect(f"sqlite:///{tmp_path}/forge.db") as db:
        db.migrate()
    url = f"sqlite:///{tmp_path}/forge.db?mode=rw"
    with (
        forgedb.connect(url, mode="ro", actor="user:ada") as db,
        pytest.raises(Unavailable, match="read-only"),
    ):
        db.projects.create("a", "A")


def test_the_mode_decides_whether_a_file_is_made(tmp_path: Path) -> None:
    for mode in ("ro", "rw"):
        with pytest.raises(Unavailable, match="there is no database at"):
            forgedb.connect(f"sqlite:///{tmp_path}/forge.db?mode={mode}")
    assert list(tmp_path.iterdir()) == []
    forgedb.connect(f"sqlite:///{tmp_path}/forge.db?mode=rwc").close()
    assert (tmp_path / "forge.db").exists()


def test_a_relative_path_is_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forgedb.connect("sqlite:///some%20where.db").close()
    assert (tmp_path / "some where.db").exists()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, DEFAULT_URL),
        ({"FORGEDB_URL": ""}, "sqlite:///forge.db"),
        ({"FORGEDB_URL": "sqlite:///a.db", "DB_DRIVER": "pg"}, "sqlite:///a.db"),
        ({"DB_DRIVER": "sqlite"}, "sqlite:///forge.db"),
        ({"DB_DRIVER": "sqlite", "DB_PATH": ""}, "sqlite:///forge.db"),
        ({"DB_DRIVER": "sqlite", "DB_PATH": "b.db"}, "sqlite:///b.db"),
        ({"DB_DRIVER": "sqlite", "DB_PATH": "/var/b.db"}, "sqlite:////var/b.db"),
        ({"DB_DRIVER": "pg", "DATABASE_URL": "postgresql://h/d"}, "postgresql://h/d"),
        ({"DATABASE_URL": "postgresql://h/d"}, "postgresql://h/d"),
        ({"DATABASE_URL": "postgres://h/d", "DB_PATH": "b.db"}, "postgres://h/d"),
        ({"DATABASE_URL": "sqlite:///c.db"}, "sqlite:///c.db"),
        ({"DATABASE_URL": "", "DB_DRIVER": ""}, DEFAULT_URL),
        ({"DATABASE_URL": "postgresql://h/d", "DB_DRIVER": "sqlite"}, "sqlite:///forge.db"),
        ({"DATABASE_URL": "mysql://h/d", "FORGEDB_URL": "sqlite:///a.db"}, "sqlite:///a.db"),
        ({"DATABASE_URL": "mysql://h/d", "DB_DRIVER": "sqlite"}, "sqlite:///forge.db"),
    ],
)
def test_the_environment_says_which_database(environment: dict[str, str], url: str) -> None:
    assert url_from_environment(environment) == url


@pytest.mark.parametrize("name", ["a?b.db", "100%.db", "a%20b.db", "ä b#c.db"])
def test_a_path_of_the_environment_is_taken_as_it_is(name: str) -> None:
    url = url_from_environment({"DB_DRIVER": "sqlite", "DB_PATH": name})
    assert parse_url(url).path == name


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"DB_DRIVER": "mysql"}, "DB_DRIVER"),
        ({"DB_DRIVER": "SQLite"}, "DB_DRIVER"),
        ({"DB_DRIVER": "pg"}, "DATABASE_URL"),
        ({"DB_DRIVER": "pg", "DATABASE_URL": ""}, "DATABASE_URL"),
        ({"DB_DRIVER": "pg", "DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql+psycopg://h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "forge.db"}, "DATABASE_URL"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(
    environment: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidValue) as raised:
        url_from_environment(environment)
    assert raised.value.field == field


def test_a_database_of_another_program_is_not_taken_for_forgedbs() -> None:
    with pytest.raises(InvalidValue) as raised:
        url_from_environment({"DATABASE_URL": "mysql://ada:s3cret@host/shop"})
    assert "s3cret" not in f"{raised.value!r}"
    assert str(raised.value) == (
        "DATABASE_URL 'mysql://***' is refused: it is no sqlite:// or postgresql:// URL: where it"
        " is another program's, name forgedb's database in FORGEDB_URL"
    )


def test_connect_asks_the_environment_where_no_url_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGEDB_URL", f"sqlite:///{tmp_path}/of-the-environment.db")
    forgedb.connect().close()
    assert (tmp_path / "of-the-environment.db").exists()


SECRETS = [
    "postgresql://ada:h4xt3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x%40t3r@127.0.0.1:1/forge?sslmode=require",
    "postgresql://ada@127.0.0.1:1/forge?password=h4xt3r&connect_timeout=3",
    "postgresql://127.0.0.1:1/forge?sslpassword=h4xt3r",
    "postgresql://127.0.0.1:1/forge?%70ass%77ord=h4xt3r",
    "postgresql:///forge?user=ada&password=h4x@t3r",
    "postgresql:ada:h4x@t3r@host/forge",
    "postgresql://ada:h4x@t3r@host/forge",
    "postgres://:h4xt3r@/forge?host=/nowhere",
    "postgresql://ada:h4xt3r@[::1:bad/forge",
    "mysql://ada:h4xt3r@host/forge",
    "sqlite://ada:h4xt3r@host/forge.db",
    "oracle:ada:h4xt3r@host/forge",
    "postgresql://ada:h4x#t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x?t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x/t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x/c?t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x@c/t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x@c?t3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x%zzt3r@127.0.0.1:1/forge",
    "postgresql://127.0.0.1:1/forge?oauth_client_secret=h4xt3r",
    "postgresql://127.0.0.1:1/forge?scram_client_key=h4xt3r",
    "postgresql://127.0.0.1:1/forge?passwd=h4xt3r",
    "host=127.0.0.1 password=h4xt3r user=ada",
    "host=127.0.0.1 password = 'h4x \\' t3r' user=ada",
    "Server=127.0.0.1;Pwd=h4xt3r",
    "host=127.0.0.1 password=pa@h4xt3r",
    "jdbc:postgresql://127.0.0.1:1/forge?user=ada&password=h4xt3r",
    "jdbc:postgresql://ada/h4xt3r@127.0.0.1:1/forge",
    "postgresql://127.0.0.1:1/forge?password=ab&h4xt3r",
    "postgresql://127.0.0.1:1/forge?password=ab&h4xt3r=c",
    "postgresql://127.0.0.1:1/forge?password=ab&h4x=t3r",
    "postgresql://127.0.0.1:1/forge?PASSWORD=h4xt3r",
    "postgresql://127.0.0.1:1/forge?%2570assword=h4xt3r",
    "postgresql://127.0.0.1:1/forge?passwort=h4xt3r",
    "postgresql://127.0.0.1:1/forge password=h4xt3r",
    "postgresql://127.0.0.1:1/forge#password=h4xt3r",
    "postgresql://ada%3Ah4xt3r@127.0.0.1:1/forge",
    "postgresql://ada:h4x/t3r?sslmode=x@127.0.0.1:1/forge",
    "postgresql://ada:7/h4xt3r?sslmode=x@127.0.0.1:1/forge",
    "postgresql://ada:7/h4xt3r&x@127.0.0.1:1/forge",
    "postgresql://ada:h4x t3r@127.0.0.1:1/forge",
    "POSTGRESQL://ada:h4xt3r@127.0.0.1:1/forge",
    " postgresql://ada:h4xt3r@127.0.0.1:1/forge",
    "postgresql:/ada:h4xt3r@127.0.0.1:1/forge",
    "postgresql//ada:h4xt3r@127.0.0.1:1/forge",
    "postgresql+psycopg://ada:h4xt3r@127.0.0.1:1/forge",
    "h4xt3r:x",
    "h4xt3r",
    "sqlite:///forge.db?password=h4xt3r",
    "sqlite:///forge.db?mode=ro&h4xt3r",
    "sqlite:///forge.db?mode=ro&h4xt3r=c",
    "sqlite:///forge.db?mode=ro&h4x%ff=t3r",
    "sqlite:h4xt3r",
    "postgresql://ada:h4xt3r\ud800@127.0.0.1:1/forge",
    "postgresql://ada:h4xt3r\0@127.0.0.1:1/forge",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_password_is_never_shown(url: str) -> None:
    shown = redacted(url)
    try:
        shown += repr(parse_url(url))
    except InvalidValue as error:
        shown += f"{error} {error!r} {error.args}"
    # Nobody listens there.
    with pytest.raises((InvalidValue, Unavailable)) as raised:
        forgedb.connect(url)
    shown += f"{raised.value} {raised.value!r}"
    assert "h4x" not in shown
    assert "t3r" not in shown


SECRET = "h4xt3r"

ODD = st.sampled_from([*"@:/?#&=%+,;'[] \t\n\\\0", "%40", "%3A", "%2F", "%", "://", "\ud800", "a"])
SURROUNDED = st.tuples(st.lists(ODD), st.just([SECRET]), st.lists(ODD)).map(
    lambda parts: "".join(chain(*parts))
)

WITH_A_PASSWORD = st.sampled_from(
    [
        "postgresql://ada:{}@127.0.0.1:1/forge",
        "postgres://ada:{}@127.0.0.1:1,127.0.0.1:2/forge?sslmode=disable",
        "postgresql://:{}@/forge",
        "postgresql://127.0.0.1:1/forge?password={}",
        "postgresql://127.0.0.1:1/forge?password={}&sslmode=disable",
        "postgresql://127.0.0.1:1/forge?sslmode=disable&%50assWord={}",
        "POSTGRESQL://ada:{}@127.0.0.1/forge",
        "mysql://ada:{}@host/forge",
        "jdbc:postgresql://127.0.0.1/forge?password={}",
        "host=127.0.0.1 password={} user=ada",
        "sqlite:///forge.db?password={}",
        "sqlite://ada:{}@host/forge.db",
        "ada {}",
    ]
)


@given(WITH_A_PASSWORD, SURROUNDED)
def test_no_password_of_whatever_characters_is_shown(template: str, password: str) -> None:
    url = template.format(password)
    said = redacted(url)
    try:
        parsed = parse_url(url)
        said += repr(parsed)
        if parsed.dialect == "postgres":
            options = postgres_options(postgres_url(url), {})
            said += repr(options) + options.shown
        else:
            sqlite_options(parsed.path, parsed.options)
    except InvalidValue as error:
        causes = (error.__cause__, error.__context__ if not error.__suppress_context__ else None)
        said += f"{error} {error!r} {error.args} {error.field} {error.value} {causes!r}"
    assert SECRET not in said


def test_every_option_is_known_to_be_shown_or_to_be_secret() -> None:
    known = {each.keyword.decode(): each.dispchar for each in Conninfo.get_defaults()}
    assert known.keys() | _CHECKS.keys() | {"ssl"} == SHOWN_OPTIONS | SECRET_OPTIONS
    assert {name for name, shown in known.items() if b"*" in shown} <= SECRET_OPTIONS
    with pytest.raises(InvalidValue) as refused:
        sqlite_options("forge.db", {"none": ""})
    _, _, names = refused.value.why.partition("there are ")
    assert frozenset(names.split(", ")) == OPTIONS


def test_a_path_of_bytes_that_are_no_utf_8_is_refused() -> None:
    for url in ("sqlite:///f\udcff.db", "sqlite:///f%ff.db", "sqlite:///f.db?mode=%ff"):
        with pytest.raises(InvalidValue, match=r"UTF-8|read name=value") as raised:
            forgedb.connect(url)
        assert (raised.value.field, raised.value.value) == ("url", "sqlite://***")
        str(raised.value).encode()


def test_all_but_the_password_is_shown() -> None:
    assert redacted("postgresql://ada:s3cret@host:5432/forge?sslmode=require&password=x") == (
        "postgresql://ada:***@host:5432/forge?sslmode=require&password=***"
    )
    assert redacted("sqlite:///forge.db?mode=ro") == "sqlite:///forge.db?mode=ro"


@pytest.mark.parametrize("password", ["s3#cret", "s3?cret", "s3%2Fcret", "s3+cret", "s3:cret"])
def test_a_password_reaches_the_server_as_it_was_written(password: str) -> None:
    options = postgres_options(
        postgres_url(f"postgresql://ada:{password}@h:5432/forge?pool_timeout=3"), {}
    )
    given = conninfo_to_dict(options.conninfo)
    assert given["password"] == unquote(password)
    assert (given["user"], given["host"], given["dbname"]) == ("ada", "h", "forge")


@pytest.mark.parametrize(
    "url", ["postgresql:///forge", "postgresql://", "postgres://?dbname=forge", "postgresql:///"]
)
@pytest.mark.parametrize("query", ["", "host=/nowhere&options=-c%20lock_timeout%3D1+s"])
def test_a_url_without_a_host_is_left_to_libpq(url: str, query: str) -> None:
    mark = "" if not query else "&" if "?" in url else "?"
    options = postgres_options(postgres_url(f"{url}{mark}{query}"), {"pool_max_size": 2})
    assert options.conninfo == options.shown == f"{url}{mark}{query}"


@given(st.text())
def test_any_text_is_understood_or_refused(text: str) -> None:
    for url in (text, f"sqlite://{text}", f"sqlite:///{text}", f"postgresql://{text}"):
        refused = ""
        try:
            parsed = parse_url(url)
        except InvalidValue as error:
            refused = str(error)
        else:
            assert parsed.dialect in ("sqlite", "postgres")
            assert "\0" not in parsed.shown
        assert not refused or refused.startswith("url ")


@pytest.mark.parametrize("missing", ["psycopg", "psycopg_pool"])
def test_without_its_driver_a_postgresql_url_says_what_to_install(missing: str) -> None:
    script = f"""
import sys
sys.modules[{missing!r}] = None
import asyncio, forgedb
for connect in (forgedb.connect, lambda url: asyncio.run(forgedb.connect_async(url))):
    try:
        connect("postgresql://ada@127.0.0.1:1/forge")
    except forgedb.UsageError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = "PostgreSQL needs its driver, which isn't installed: pip install 'forgedb[postgres]'"
    assert (done.stdout.splitlines(), done.stderr) == ([said, said], "")


def test_sqlite_is_opened_without_importing_the_other_driver(tmp_path: Path) -> None:
    script = f"""
import sys, forgedb
with forgedb.connect("sqlite:///{tmp_path}/forge.db", actor="user:ada") as db:
    db.migrate()
    db.projects.create("a", "A")
print([name for name in sys.modules if name.startswith(("psycopg", "asyncio", "tenacity"))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


POSTGRES = "postgresql://ada@127.0.0.1:1/forge"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pool_min_size", -1),
        ("pool_max_size", 0),
        ("pool_max_size", "many"),
        ("pool_timeout", 0),
        ("pool_timeout", "soon"),
        ("prepare_threshold", -1),
        ("prepare_threshold", "sometimes"),
        ("readers", 4),
    ],
)
def test_options_of_postgresql_that_make_no_sense_are_refused(option: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        forgedb.connect(POSTGRES, **{option: value})
    assert raised.value.field == option
    if option != "readers" and isinstance(value, str):
        with pytest.raises(InvalidValue) as raised:
            forgedb.connect(f"{POSTGRES}?{option}={value}")
        assert raised.value.field == option


def test_a_pool_is_not_smaller_than_what_it_keeps_open() -> None:
    with pytest.raises(InvalidValue, match="pool_min_size 5 is refused"):
        forgedb.connect(f"{POSTGRES}?pool_min_size=5&pool_max_size=4")


def test_options_that_libpq_does_not_know_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"'sslmoode' .* perhaps you meant sslmode"):
        forgedb.connect(f"{POSTGRES}?sslmoode=require")
