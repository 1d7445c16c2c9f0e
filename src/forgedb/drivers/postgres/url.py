"""A PostgreSQL URL, taken apart as libpq does it, and what of it may be shown.

libpq ends the credentials at the first ``@`` that no ``/`` stands before; so a password may hold a
``#`` or ``?``, where other programs begin a fragment or the options.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

import msgspec

from forgedb.drivers.secret import HIDDEN, Secret, refused_url
from forgedb.errors import InvalidValue

SHOWN_OPTIONS = frozenset(
    """
    application_name call_timeout channel_binding client_encoding connect_timeout dbname
    fallback_application_name gssdelegation gssencmode gsslib host hostaddr keepalives
    keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts
    max_protocol_version min_protocol_version oauth_client_id oauth_issuer oauth_scope options
    pool_max_size pool_min_size pool_timeout port prepare_threshold replication require_auth
    requirepeer service ssl ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode
    sslcompression sslcrl sslcrldir sslmode sslnegotiation sslrootcert sslsni target_session_attrs
    tcp_user_timeout user
    """.split()  # noqa: SIM905 - a line each otherwise
)
"""Options whose values are shown: what is none of them may be a secret, or a part of one."""

SECRET_OPTIONS = frozenset(
    """
    oauth_client_secret passfile password scram_client_key scram_server_key sslkey sslkeylogfile
    sslpassword
    """.split()  # noqa: SIM905
)
"""Options that are shown without their values."""

_is_host = re.compile(r"(?:\[[^]/@#]*\]|[^][/:@#\s]*)(?::[0-9]*)?").fullmatch
"""One host of a URL, with its port."""


class PostgresUrl(msgspec.Struct, frozen=True):
    """``place`` is the hosts and the database; ``options`` are as they stand in the URL."""

    dialect: ClassVar[Literal["postgres"]] = "postgres"
    is_in_memory: ClassVar[bool] = False
    makes_its_file: ClassVar[bool] = False

    scheme: str
    user: str
    password: Secret | None
    place: str
    options: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"PostgresUrl({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL without its secrets, fit for a message."""
        # An encoded colon doesn't end the user, but whoever wrote it meant a password to follow.
        user = HIDDEN if "%3a" in self.user.lower() else self.user
        query = "&".join(_shown(name, value) for name, value in self.options)
        return self._written(user, None if self.password is None else HIDDEN, query)

    def with_options(self, options: tuple[tuple[str, str], ...]) -> PostgresUrl:
        """The same with these options for its own."""
        return msgspec.structs.replace(self, options=options)

    def reveal(self) -> str:
        """The URL, password and all, for libpq."""
        query = "&".join(f"{name}={value}" for name, value in self.options)
        password = None if self.password is None else self.password.reveal()
        return self._written(self.user, password, query)

    def _written(self, user: str, password: str | None, query: str) -> str:
        credentials = user if password is None else f"{user}:{password}"
        at = "@" if credentials else ""
        return f"{self.scheme}://{credentials}{at}{self.place}{'?' if query else ''}{query}"


def postgres_url(url: str) -> PostgresUrl:
    """Take a PostgreSQL URL apart.  Raises InvalidValue, which shows its scheme alone."""
    scheme, _, rest = url.partition("://")
    slash = rest.find("/")
    at = rest.find("@", 0, slash if slash >= 0 else len(rest))
    credentials, rest = (rest[:at], rest[at + 1 :]) if at >= 0 else ("", rest)
    user, colon, password = credentials.partition(":")
    place, _, query = rest.partition("?")
    pairs = [each.partition("=") for each in query.split("&")] if query else []
    if "\0" in url:
        raise _refused(scheme, "a URL has no NUL character")
    if "@" in place or any("@" in name for name, _, _ in pairs):
        raise _refused(scheme, "write an @ in a name or password as %40, and a / as %2F")
    hosts, _, _ = place.partition("/")
    # "user:pass/word?and=more@host" can be parsed, but not into the parts that were meant.
    if at < 0 and ":" in hosts and "@" in query and not hosts.startswith("["):
        raise _refused(scheme, "write an @ after the ? as %40, and a / in a password as %2F")
    if not all(map(_is_host, hosts.split(","))):
        raise _refused(
            scheme, "hosts are name or name:port, and a / in a password before them is %2F"
        )
    if re.search(r"[#\s]", place):
        raise _refused(scheme, "write a # or a blank in a name as %23 or %20")
    if not all(name and equals for name, equals, _ in pairs):
        raise _refused(scheme, "its options must read name=value, joined by &, and & itself is %26")
    return PostgresUrl(
        scheme,
        user,
        Secret(password) if colon else None,
        place,
        tuple((name, value) for name, _, value in pairs),
    )


def _refused(scheme: str, why: str) -> InvalidValue:
    return refused_url(f"{scheme}://", why)


def _shown(name: str, value: str) -> str:
    plain = name
    if "%" in name:
        # libpq takes the name percent-encoded, too.
        from urllib.parse import unquote

        plain = unquote(name)
    if plain in SHOWN_OPTIONS:
        return f"{name}={value}"
    # A name that nobody knows may be what follows an & in a password.
    return f"{name}={HIDDEN}" if plain in SECRET_OPTIONS else HIDDEN
