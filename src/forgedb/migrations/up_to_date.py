"""Whether a plain ``forgedb migrate`` has nothing to do: checked first, without other imports.

The answer is yes where the history of an SQLite file is, row by row, what the files would be
recorded as.  All other cases (an option, an error, another database, something to report) are left
to the command itself, with all of its checks.
"""

from __future__ import annotations

import os

from forgedb.migrations.checksum import digest, text_of

# Type checkers take this name as true.  Importing typing for it would take longer than the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "sqlite:///"

DEFAULT = "sqlite:///forge.db"


def is_up_to_date(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether it is a plain ``migrate`` of an SQLite file that has all of forgedb's migrations.

    The file may be named by ``--url``, or in the environment.
    """
    url = _url(arguments, environment)
    path = url.removeprefix(PREFIX)
    if path in (url, ":memory:") or "?" in path or "%" in path or not path.isprintable():
        return False
    if not all(each.isascii() and each.isalnum() for each in _words(environment)):
        return False
    try:
        if not os.path.isfile(path):
            return False
        files = _files()
    except (OSError, ValueError):
        return False
    # Imported late: before this, the driver wasn't needed.
    from forgedb.drivers.sqlite.applied_history import recorded

    return recorded(os.path.abspath(path)) == files


def _url(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The database's URL; empty where anything but a plain ``migrate`` of it is asked for."""
    match [*arguments]:
        case ["migrate"]:
            pass
        case ["--url", url, "migrate"] | ["migrate", "--url", url]:
            return url
        case [option, "migrate"] | ["migrate", option] if option.startswith("--url="):
            return option.removeprefix("--url=")
        case _:
            return ""
    if environment.get("FORGEDB_URL"):
        return environment["FORGEDB_URL"]
    if environment.get("DB_DRIVER"):
        return ""
    return environment.get("DATABASE_URL") or DEFAULT


def _words(environment: Mapping[str, str]) -> list[str]:
    """The parts of the actor's name; any but plain ones are left to the command to check."""
    actor = environment.get("FORGEDB_ACTOR")
    return [] if actor is None else actor.replace(":", "-").split("-")


def _files() -> list[tuple[int, str, str]]:
    """What forgedb's files would be recorded as, in the order of their numbers."""
    folder = os.path.join(os.path.dirname(__file__), "sqlite")
    found: list[tuple[int, str, str]] = []
    for file in sorted(os.listdir(folder)):
        number, _, name = file.removesuffix(".sql").partition("_")
        with open(os.path.join(folder, file), "rb") as opened:
            found.append((int(number), name, digest(text_of(opened.read()))))
    return found
