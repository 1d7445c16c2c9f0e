"""The command line as a whole: start, status, errors, exit codes, completion, every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import forgedb as library
from forgedb.cli import exit_code_of
from forgedb.errors import AuditViolation, MigrationDrift, Unavailable
from forgedb.migrations.files import load, packaged
from tests.cli.running import Forgedb, all_commands, on_sqlite, process
from tests.git.making import make_repository

COMMANDS = sorted(all_commands())
LABELS = [migration.label for migration in load(packaged("sqlite"))]
UNKNOWN_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def test_a_first_hour(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    before = process("status", FORGEDB_URL=url)
    assert before.code == 1
    assert "forgedb migrate" in before.error
    assert not (tmp_path / "forge.db").exists()
    looked = process("migrate", "--dry-run", FORGEDB_URL=url)
    assert looked.code == 3
    assert looked.out == "".join(f"would apply {label}\n" for label in LABELS)
    assert not (tmp_path / "forge.db").exists()
    assert process("migrate", FORGEDB_URL=url).out.startswith("applied 0001_initial in ")
    assert process("migrate", FORGEDB_URL=url).out == "nothing to apply\n"
    assert process("migrate", "--dry-run", FORGEDB_URL=url).code == 0
    path = make_repository(tmp_path / "api")
    imported = process("import", str(path), "--url", url)
    assert imported.code == 0, imported
    assert "10 new, 0 known before" in imported.out
    status = process("status", "--json", FORGEDB_URL=url).json
    assert (status["objects"], status["repositories"], status["live_leases"]) == (10, 1, 0)
    shown = process("status", FORGEDB_URL=url).out
    assert f"schema          version {len(LABELS)}, up to date" in shown
    assert process("audit", "verify", FORGEDB_URL=url).code == 0


def test_import_reports_as_json_and_says_what_it_left_out(forgedb: Forgedb, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    result = forgedb("import", str(path), "--json", "--project", "p", "--slug", "s", "--quiet")
    assert result.json["repository"]["slug"] == "s"
    assert result.json["objects"] == {"added": 10, "already_there": 0}
    assert forgedb("import", str(tmp_path / "nothing")).code == 1
    assert "10 known before" in forgedb.ok("import", str(path), "--project", "p", "--slug", "s")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_fits(forgedb: Forgedb, command: str) -> None:
    shown = forgedb.ok(*command.split(), "--help")
    assert f"Usage: forgedb {command}" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_help_fits_a_screen(forgedb: Forgedb) -> None:
    shown = forgedb.ok("--help")
    assert len(shown.splitlines()) <= 32
    assert max(map(len, shown.splitlines())) <= 80
    assert "..." not in shown.partition("Commands:")[2]


def test_every_command_is_run_by_a_test_and_named_in_the_docs() -> None:
    here = Path(__file__).parent
    tests = "\n".join(file.read_text() for file in here.glob("test_*.py"))
    docs = (here.parents[1] / "docs" / "cli.md").read_text()
    for command in COMMANDS:
        typed = ", ".join(f'"{word}"' for word in command.split())
        assert f"({typed}" in tests or f"[{typed}" in tests, command
        assert f"forgedb {command}" in docs, command


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["frobnicate"], 2, "'frobnicate'"),
        (["statu"], 2, "Did you mean status?"),
        (["project", "create"], 2, "SLUG"),
        (["project", "create", "No Slug"], 2, "'No Slug'"),
        (["project", "create", "x", "--visibility", "secret"], 2, "'secret'"),
        (["project", "list", "--limit", "0"], 2, "1 to 1000"),
        (["project", "list", "--after", "x"], 2, "next"),
        (["project", "show", "nope"], 6, "'nope'"),
        (["project", "show", UNKNOWN_ID.replace("A", "I")], 2, "ULID"),
        (["repo", "show", "nope"], 2, "project/repo"),
        (["repo", "show", UNKNOWN_ID], 6, UNKNOWN_ID),
        (["repo", "show", "a/b"], 6, "'a/b'"),
        (["lease", "show", UNKNOWN_ID], 6, UNKNOWN_ID),
        (["lease", "acquire", UNKNOWN_ID, "--duration", "soon"], 2, "90m"),
        (["audit", "list", "--since", "yesterday"], 2, "2026-11-22"),
        (["audit", "list", "--since", "999999d999999d"], 2, "two hours ago"),
        (["audit", "list", "--since", "9999-12-31T23:59:59-12:00"], 2, "2026-11-22"),
        (["lease", "list", "--limit", "9" * 4000], 2, "1 to 1000"),
        (["lease", "list", "--limit", "9" * 5000], 2, "--limit"),
        (["mirror", "claim-due", "--run-for", "999999d"], 2, "1 s to 7 d"),
        (["project", "create", "x\udcff"], 2, r"'x\udcff'"),
        (["project", "create", "x", "--name", "x\udcff"], 2, r"'x\udcff'"),
        (["project", "create", "x", "--actor", "x\udcff"], 2, r"'x\udcff'"),
        (["project", "create", "x", "--actor", "x\u202e"], 2, "U+202E"),
        (["backup", "x\udcff"], 2, r"path 'x\udcff' is refused"),
        (["--url", "sqlite:///x\udcff.db", "status"], 2, "'sqlite://***'"),
        (["object", "find", "\udcff"], 2, r"'\udcff'"),
        (["audit", "list", "--since", "0001-01-01T00:00:00+14:00"], 2, "2026-11-22"),
        (["audit", "list", "--stream", "a/b"], 6, "'a/b'"),
        (
            ["audit", "export", "--output", "/nowhere/audit.jsonl"],
            1,
            "/nowhere/audit.jsonl: No such",
        ),
        (["audit", "show", UNKNOWN_ID], 6, UNKNOWN_ID),
        (["lease", "acquire", UNKNOWN_ID, "--duration", "9d" * 999], 2, "90m"),
        (["project", "create", "x", "--actor", ""], 2, "actor"),
        (["audit", "verify", "--stream", UNKNOWN_ID], 6, UNKNOWN_ID),
        (["object", "find", "abc"], 2, "40 hexadecimal"),
        (["import", "/nowhere"], 1, "/nowhere"),
        (["migrate", "--target", "99"], 2, "99"),
        (["--url", "mysql://ada:pw@h/x", "status"], 2, "'mysql://***'"),
        (["--url", "host=h password=p@q", "status"], 2, "url '***' is refused"),
        (["mysql://ada:s3cret@h/x"], 2, "no command of this name"),
        (["status", "postgresql://ada:s3cret@h/x"], 2, "(postgresql://***)"),
        (["status", "host=h password='s3cret'"], 2, "(***)"),
        (["project", "create", "x", "--visibility", "http://s3cret"], 2, "http://***"),
        (["--url", "sqlite:////nowhere/x.db", "status"], 1, "/nowhere"),
        (["--url", "sqlite:///x?mode=zz", "status"], 2, "'zz'"),
    ],
)
def test_wrong_input_gets_one_readable_line(
    forgedb: Forgedb, arguments: list[str], code: int, says: str
) -> None:
    result = forgedb(*arguments)
    assert result.code == code, result
    assert result.out == ""
    assert result.error.startswith("forgedb: error: ")
    assert result.error.count("\n") == 1
    assert says in result.error
    assert "s3cret" not in result.error


def test_a_container_with_the_url_of_its_database_alone_uses_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/of-the-container.db"
    assert process("migrate", DATABASE_URL=url).code == 0
    assert (tmp_path / "of-the-container.db").exists()
    other = process("migrate", DATABASE_URL="mysql://ada:s3cret@h/shop")
    assert (other.code, "FORGEDB_URL" in other.error, "s3cret" in other.error) == (2, True, False)


def test_leases_that_end_within_thousands_of_years_are_all_of_them(forgedb: Forgedb) -> None:
    assert forgedb("lease", "list", "--expiring", "999999d" * 4).code == 0


def test_an_environment_of_bytes_that_are_no_utf_8_is_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process("migrate", FORGEDB_URL=url)
    for wrong in (
        {"FORGEDB_URL": url, "FORGEDB_ACTOR": "x\udcff"},
        {"FORGEDB_URL": f"{url}\udcff"},
        {"DB_DRIVER": "sqlite", "DB_PATH": "x\udcff"},
        {"DB_DRIVER": "x\udcff"},
        {"DATABASE_URL": "x\udcff"},
    ):
        result = process("project", "create", "x", **wrong)
        assert (result.code, result.error.count("\n")) == (2, 1), result
        assert result.error.startswith("forgedb: error: ")


def test_a_database_that_needs_migrating_says_so(tmp_path: Path) -> None:
    library.connect(f"sqlite:///{tmp_path}/empty.db").close()
    for command in (["project", "list"], ["status"], ["schema"]):
        result = process(*command, FORGEDB_URL=f"sqlite:///{tmp_path}/empty.db")
        assert (result.code, "forgedb migrate" in result.error) == (3, True), result


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, " * 1000)
    for command in (["migrate"], ["status"]):
        result = process(*command, FORGEDB_URL=f"sqlite:///{file}")
        assert result.code == 1
        assert "not an SQLite database" in result.error
    assert file.read_text() == "dear diary, " * 1000


@on_sqlite
def test_a_database_locked_past_the_timeout_has_its_own_exit_code(forgedb: Forgedb) -> None:
    with library.connect(forgedb.url) as db, db.transaction():
        result = forgedb("--url", f"{forgedb.url}?busy_timeout=0.05", "project", "create", "x")
    assert result.code == 5
    assert "locked" in result.error


def test_each_error_has_its_exit_code() -> None:
    assert exit_code_of(MigrationDrift("0001_x.sql", "a", "b")) == 4
    assert exit_code_of(AuditViolation("broken")) == 8
    assert exit_code_of(Unavailable("full")) == 1
    assert exit_code_of(library.ForgeDbError("other")) == 1


def test_an_unexpected_error_is_one_line_unless_asked(
    forgedb: Forgedb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("forgedb.admin.status.read_status", fail)
    result = forgedb("status")
    assert result.code == 1
    assert "ZeroDivisionError: a bug" in result.error
    monkeypatch.setenv("FORGEDB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        forgedb("status")


def test_options_are_taken_before_and_after_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    assert process("migrate", "--url", url).code == 0
    process("project", "create", "x", "--actor", "user:bob", "--url", url)
    listed = process("--url", url, "audit", "list", "--json").json["items"]
    assert [each["actor"] for each in listed] == ["user:bob"]


def test_options_are_taken_between_a_group_and_its_command(forgedb: Forgedb) -> None:
    forgedb.ok("project", "--actor", "user:bob", "create", "x")
    assert forgedb.data("audit", "list")["items"][0]["actor"] == "user:bob"


@pytest.mark.parametrize("group", [[], ["project"]])
def test_without_a_command_the_help_is_shown(group: list[str]) -> None:
    result = process(*group)
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith("Usage: forgedb")
    assert "\nCommands:\n" in result.error


def test_output_that_cant_be_written_is_one_readable_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "forgedb", "--url", url, "migrate"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr == "forgedb: error: output: No space left on device\n"


def test_a_database_that_is_newer_is_read_with_a_note(forgedb: Forgedb) -> None:
    forgedb.ok("project", "create", "x")
    with library.connect(forgedb.url) as db:
        db.client.execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at, duration_ms)"
            " VALUES (99, 'future', :checksum, '2026-11-22T10:00:00.000000Z', 1)",
            {"checksum": "0" * 64},
        )
    read = process("project", "list", FORGEDB_URL=forgedb.url)
    assert (read.code, read.out.count("\n")) == (0, 2)
    assert read.error.startswith("forgedb: note: the database has migration 99")
    assert read.error.count("\n") == 1
    assert process("project", "create", "y", FORGEDB_URL=forgedb.url).code == 1


def test_migrations_are_told_as_json(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    pending = process("migrate", "--dry-run", "--json", FORGEDB_URL=url)
    assert (pending.code, pending.json) == (3, {"pending": LABELS})
    applied = process("migrate", "--json", FORGEDB_URL=url).json["applied"]
    assert [f"{each['version']:04}_{each['name']}" for each in applied] == LABELS
    assert process("migrate", "--json", FORGEDB_URL=url).json == {"applied": []}


def test_without_a_url_the_environment_and_then_the_folder_say_where(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "forgedb", "migrate"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert (tmp_path / "forge.db").exists()
    assert process("status", DB_DRIVER="sqlite", DB_PATH=f"{tmp_path}/forge.db").code == 0


def test_without_an_actor_the_login_acts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process("migrate", FORGEDB_URL=url)
    process("project", "create", "x", FORGEDB_URL=url, LOGNAME="grace")
    listed = process("audit", "list", "--json", FORGEDB_URL=url).json["items"]
    assert listed[0]["actor"] == "user:grace"


def test_a_reader_that_has_read_enough_is_no_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process("migrate", FORGEDB_URL=url)
    with library.connect(url, actor="user:ada") as db, db.transaction() as tx:
        for number in range(2000):
            tx.projects.create(f"p{number}", "x" * 150)
    done = subprocess.run(
        f"'{sys.executable}' -m forgedb project list --limit 1000 --all --url '{url}' | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "ID\tSLUG\tNAME\tVISIBILITY\n"
    assert done.stderr == ""


def test_the_version_is_the_packages(forgedb: Forgedb) -> None:
    assert forgedb.ok("--version") == f"forgedb {library.__version__}\n"


def test_the_schema_is_shown_as_diagram_and_table(forgedb: Forgedb) -> None:
    shown = forgedb.ok("schema")
    assert shown.startswith("erDiagram\n")
    assert "    projects ||--o{ repositories : project_id\n" in shown
    id_type = "TEXT" if forgedb.url.startswith("sqlite") else "ulid"
    assert f"repositories\tproject_id\t{id_type}\tno\t-\tprojects.id\n" in shown
    assert "erDiagram" not in forgedb.ok("schema", "--format", "table")
    assert "\nCREATE TABLE projects (\n" in forgedb.ok("schema", "--format", "sql")
    tables = forgedb.data("schema")["tables"]
    assert {"projects", "audit_entries", "schema_migrations"} <= {each["name"] for each in tables}


def test_grants_are_statements_for_psql(forgedb: Forgedb) -> None:
    shown = forgedb.ok("grants", "--role", "app").splitlines()
    assert shown[0] == 'GRANT USAGE ON SCHEMA "public" TO "app";'
    assert 'GRANT SELECT, INSERT ON "public".audit_entries TO "app";' in shown
    assert forgedb.data("grants", "--role", "app")["statements"] == shown
    assert 'ON "forge".leases' in forgedb.ok("grants", "--role", "app", "--schema", "forge")
    assert forgedb("grants").code == 2
    assert forgedb("grants", "--role", "").code == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("forgedb mig", "migrate"), ("forgedb lease fo", "force-release"), ("forgedb --u", "--url")],
)
def test_the_shell_completes_commands_and_options(typed: str, offered: str) -> None:
    words = typed.split()
    done = process(
        _FORGEDB_COMPLETE="bash_complete",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(words) - 1),
    )
    assert offered in done.out
    assert "complete" in process(_FORGEDB_COMPLETE="bash_source").out


def test_little_is_imported_to_find_nothing_to_migrate(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process("migrate", FORGEDB_URL=url)
    program = (
        "import sys; from forgedb.cli import run; run(['migrate']);"
        "print(*[name for name in sys.modules if name.startswith(('rich', 'forgedb.dao',"
        " 'forgedb.models', 'urllib', 'forgedb.sql.split', 'psycopg', 'asyncio'))])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"FORGEDB_URL": url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "nothing to apply\n\n"


def test_a_closed_stdout_is_no_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process("migrate", FORGEDB_URL=url)
    done = subprocess.run(
        f"'{sys.executable}' -m forgedb status --url '{url}' >&-",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_target_makes_no_file(tmp_path: Path) -> None:
    result = process("migrate", "--target", "99", FORGEDB_URL=f"sqlite:///{tmp_path}/forge.db")
    assert result.code == 2
    assert list(tmp_path.iterdir()) == []
