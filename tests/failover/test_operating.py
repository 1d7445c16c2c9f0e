"""What docs/operating.md has people write into files is what is tried, or runs as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import forgedb
from forgedb import Unavailable
from forgedb.testing.servers.cluster import Cluster
from forgedb.testing.servers.patroni import CONFIGURATION
from forgedb.testing.servers.programs import Programs, installed_programs
from forgedb.testing.servers.room import Room
from forgedb.testing.servers.server import Server
from tests.docs.blocks import blocks_of
from tests.servers.postgres import embedded_programs

PAGE = Path(__file__).parents[2] / "docs/operating.md"

FILES = {
    block.text.partition("\n")[0].removeprefix("# "): block.text.partition("\n")[2]
    for block in blocks_of(PAGE)
    if block.language in ("ini", "yaml")
}
"""What the page shows of each file."""

TRIED = {
    "postgresql.conf of n0",
    "/etc/forgedb/environment",
    "/etc/forgedb/pgpass",
    "/etc/forgedb/pg_service.conf",
    "/etc/systemd/system/forgedb-expire-due.service",
    "/etc/systemd/system/forgedb-expire-due.timer",
    "/etc/systemd/system/forgedb-checkpoint.service",
    "/etc/systemd/system/forgedb-checkpoint.timer",
    "/etc/cron.d/forgedb",
    "/etc/patroni/config.yml",
}

OLDER = 15

PASSWORD = "the password"

HOSTS = [f"db{number}.example.org" for number in (1, 2, 3)]


def test_every_file_that_the_page_shows_is_tried_here() -> None:
    assert FILES.keys() == TRIED


def test_the_clusters_of_the_suite_wait_for_a_standby_as_the_page_says() -> None:
    with_one = Cluster(embedded_programs(), replication="on")
    try:
        settings = with_one.servers[0].settings
    finally:
        with_one.__exit__(None, None, None)
    shown = re.findall(r"^(\w+) = (?:'(.*)'|(\w+))$", FILES["postgresql.conf of n0"], re.MULTILINE)
    assert len(shown) == 2
    for name, quoted, bare in shown:
        assert settings[name] == quoted or settings[name] == bare


def test_the_suite_runs_patroni_by_the_file_that_the_page_shows() -> None:
    pattern = re.escape(CONFIGURATION)
    for name in set(re.findall(r"{(\w+)}", CONFIGURATION)):
        pattern = pattern.replace(re.escape(f"{{{name}}}"), r"[\w./: -]+?")
    assert re.fullmatch(pattern, FILES["/etc/patroni/config.yml"])


# A server with a certificate and a password.


class Secured:
    """A server that takes TLS and a password alone, and the files that its clients need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._room = Room("forgedb-secured-")
        self.server = Server(Programs(installed_programs()[OLDER], self._room.path), "server", {})
        self.authority = folder / "ca.pem"
        self.passfile = folder / "pgpass"

    def __enter__(self) -> Secured:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()
        self._room.close()

    def _start(self) -> None:
        self.server.create()
        key, certificate = _certificate(self.authority, HOSTS)
        for name, text in (("key", key), ("cert", certificate)):
            file = self.server.folder / name
            file.write_bytes(text)
            file.chmod(0o600)
            self.server.programs.hand_over(file)
            self.server.settings[f"ssl_{name}_file"] = str(file)
        self.server.settings["ssl"] = "on"
        self.server.start()
        self.server.query(f"CREATE ROLE forge LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        self.server.query("CREATE DATABASE forge OWNER forge")
        hba = self.server.data / "pg_hba.conf"
        hba.write_text(
            "hostssl forge forge 127.0.0.1/32 scram-sha-256\n"
            "host postgres postgres 127.0.0.1/32 trust\n"
        )
        self.server.programs.hand_over(hba)
        self.server.configure()
        self.passfile.write_text(
            FILES["/etc/forgedb/pgpass"].replace(":5432:", f":{self.server.port}:")
        )
        self.passfile.chmod(0o600)

    def here(self, text: str) -> str:
        """A file's text with this machine's paths and addresses; names stay."""
        return text.replace("/etc/forgedb", str(self.folder))

    def url(self, url: str) -> str:
        """The page's URL, of this server: each name leads here."""
        addresses = ",".join(["127.0.0.1"] * len(HOSTS))
        ports = ",".join([str(self.server.port)] * len(HOSTS))
        return f"{self.here(url)}&hostaddr={addresses}&port={ports}"


def _certificate(authority: Path, host_names: list[str]) -> tuple[bytes, bytes]:
    """A server's key and certificate for these names, and the file of the authority that signs."""
    now = datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM

    def signed(subject: str, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    ca = signed("authority", ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    authority.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in host_names])
    certificate = signed("server", key.public_key()).add_extension(names, critical=False)
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.sign(ca_key, hashes.SHA256()).public_bytes(pem),
    )


# PostgreSQL of the wheel is built without TLS; where all is checked, one with it has to be there.
if OLDER in installed_programs() or os.environ.get("CI"):

    @pytest.fixture(scope="module")
    def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
        with Secured(tmp_path_factory.mktemp("etc")) as secured:
            yield secured

    def test_the_urls_of_the_page_reach_servers_that_have_its_certificate_and_its_password(
        secured: Secured,
    ) -> None:
        (url,) = re.findall(r"^FORGEDB_URL=(.+)$", FILES["/etc/forgedb/environment"], re.MULTILINE)
        with forgedb.connect(secured.url(url), actor="user:ada") as db:
            db.migrate()
            in_use = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert db.client.query_value(in_use) is True
            db.projects.create("platform", "Platform")
        assert PASSWORD not in url

    def test_a_server_whose_certificate_has_another_name_is_refused(secured: Secured) -> None:
        (url,) = re.findall(r"^FORGEDB_URL=(.+)$", FILES["/etc/forgedb/environment"], re.MULTILINE)
        elsewhere = secured.url(url.replace("example.org", "example.net"))
        with pytest.raises(Unavailable, match=r"db1\.example\.net.*certificate"):
            forgedb.connect(elsewhere)

    def test_the_service_file_of_the_page_is_all_that_the_command_needs(secured: Secured) -> None:
        service = ConfigParser()
        service.optionxform = str  # type: ignore[method-assign, assignment]
        service.read_string(secured.here(FILES["/etc/forgedb/pg_service.conf"]))
        assert service["forge"]["host"] == ",".join(HOSTS)
        service["forge"]["hostaddr"] = ",".join(["127.0.0.1"] * len(HOSTS))
        service["forge"]["port"] = ",".join([str(secured.server.port)] * len(HOSTS))
        file = secured.folder / "pg_service.conf"
        with file.open("w") as output:
            service.write(output, space_around_delimiters=False)
        environment = dict(re.findall(r"^(\w+)=(.+)$", FILES["/etc/cron.d/forgedb"], re.MULTILINE))
        environment["PGSERVICEFILE"] = str(file)
        done = subprocess.run(
            [sys.executable, "-m", "forgedb", "status"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert PASSWORD not in done.stdout


# What runs by the clock.


def _commands() -> Iterator[str]:
    for name, text in FILES.items():
        if name.endswith(".service"):
            yield from re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        elif name.startswith("/etc/cron.d"):
            for line in text.splitlines():
                if not re.match(r"\w+=", line):
                    *when, user, command = line.split(maxsplit=6)
                    assert all(re.fullmatch(r"\*|\d+|\*/\d+", each) for each in when)
                    assert user == "forgedb"
                    yield command


@pytest.mark.parametrize("command", [*_commands()])
def test_what_the_page_runs_by_the_clock_does_its_work(command: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    with forgedb.connect(url, actor="user:ada") as db:
        db.migrate()
        repository = db.repositories.create(db.projects.create("p", "P").id, "r")
        lease = db.leases.acquire(repository.id, duration=timedelta(milliseconds=1))
    (tmp_path / "forge.pem").write_text(forgedb.SigningKey.generate().to_pem())
    here = command.replace("/etc/forgedb", str(tmp_path)).replace("/srv/elsewhere", str(tmp_path))
    program, *arguments = shlex.split(here)
    assert program == "forgedb"
    done = subprocess.run(
        [sys.executable, "-m", "forgedb", *arguments],
        env={**os.environ, "FORGEDB_URL": url},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with forgedb.connect(url) as db:
        if "expire-due" in command:
            assert db.leases.get(lease.id).ended_at is not None
        else:
            assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 1


def test_each_timer_of_the_page_is_of_a_service_there() -> None:
    for name, text in FILES.items():
        if name.endswith(".timer"):
            assert name.replace(".timer", ".service") in FILES
            (calendar,) = re.findall(r"^OnCalendar=(.+)$", text, re.MULTILINE)
            assert calendar in ("*:0/5", "hourly")
