"""The options with which an SQLite database is opened, in its URL or in the call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from forgedb.drivers.secret import HIDDEN
from forgedb.drivers.timeouts import CALL_TIMEOUT_SECONDS, check_call_timeout, check_seconds
from forgedb.errors import InvalidValue
from forgedb.validation import check_integer

READERS_MAX = 64
BUSY_TIMEOUT_SECONDS_MAX = 3600.0

MODES = ("ro", "rw", "rwc")
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
CHECKPOINT = ("auto", "never")


class SqliteOptions(msgspec.Struct, frozen=True):
    """``path`` is a file's, or ``:memory:``; ``mode`` is SQLite's: ro, rw or rwc.

    ``absolute`` is the path that stays right when the current folder changes.  ``identifier`` is
    for a copy that is to replace a file: that file's identifier.  ``attaches`` is False where
    migrations are only tried: they would write to an attached file.
    """

    path: str
    absolute: str
    mode: str = "rwc"
    synchronous: str = "FULL"
    busy_timeout_seconds: float = 10.0
    readers: int = 4
    checkpoint: str = "auto"
    call_timeout_seconds: float | None = CALL_TIMEOUT_SECONDS
    identifier: str | None = None
    attaches: bool = True

    @property
    def lock_seconds(self) -> float:
        """How long a call waits for others that have the file, or a connection."""
        if self.call_timeout_seconds is None:
            return self.busy_timeout_seconds
        return min(self.busy_timeout_seconds, self.call_timeout_seconds)

    @property
    def in_memory(self) -> bool:
        return self.path == ":memory:"


def sqlite_options(path: str, given: Mapping[str, Any]) -> SqliteOptions:
    """The options, checked; from a URL they are text.  Raises InvalidValue."""
    checks: dict[str, Callable[[str, Any], Any]] = {
        "mode": _mode,
        "synchronous": _synchronous,
        "busy_timeout": _busy_timeout,
        "readers": _readers,
        "checkpoint": _checkpoint,
        "call_timeout": check_call_timeout,
    }
    for name in given:
        if name not in checks:
            # Whatever was meant by it may be a secret.
            raise InvalidValue(name, HIDDEN, f"no such option: there are {', '.join(checks)}")
    checked = {name: checks[name](name, value) for name, value in given.items()}
    for name in ("busy_timeout", "call_timeout"):
        if name in checked:
            checked[f"{name}_seconds"] = checked.pop(name)
    absolute = path if path == ":memory:" else os.path.abspath(path)
    return SqliteOptions(path, absolute, **checked)


def _mode(name: str, value: Any) -> str:
    return _one_of(name, value, MODES)


def _synchronous(name: str, value: Any) -> str:
    return _one_of(name, value.upper() if isinstance(value, str) else value, SYNCHRONOUS)


def _checkpoint(name: str, value: Any) -> str:
    return _one_of(name, value, CHECKPOINT)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value in allowed:
        return str(value)
    raise InvalidValue(name, value, f"it must be one of {', '.join(allowed)}")


def _busy_timeout(name: str, value: Any) -> float:
    return check_seconds(name, value, BUSY_TIMEOUT_SECONDS_MAX, may_be_none=True)


def _readers(name: str, value: Any) -> int:
    number = int(value) if isinstance(value, str) and value.isdigit() else value
    return check_integer(name, number, least=1, greatest=READERS_MAX)
