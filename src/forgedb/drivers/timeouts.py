"""How long a call of a database may wait: its options, and how often it checks for Ctrl-C."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from forgedb.errors import InvalidValue

CALL_TIMEOUT_SECONDS = 30.0
CALL_TIMEOUT_SECONDS_MAX = 86_400.0

INTERRUPTIBLE_SECONDS = 0.5
"""How often a thread that waits wakes up to check for Ctrl-C: a signal that comes to another
thread, or just before it sleeps, doesn't end its sleep."""


def check_call_timeout(name: str, value: Any) -> float | None:
    """Seconds, or None for ``never``; from a URL it is text.  Raises InvalidValue."""
    if value is None or value == "never":
        return None
    return check_seconds(name, value, CALL_TIMEOUT_SECONDS_MAX, instead=", or never")


def check_seconds(
    name: str, value: Any, most: float, *, may_be_none: bool = False, instead: str = ""
) -> float:
    """Seconds of a timedelta, a number or a text of one.  Raises InvalidValue.

    ``may_be_none`` allows 0, and ``instead`` says what else is taken.
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if (seconds >= 0 if may_be_none else seconds > 0) and seconds <= most:
        return float(seconds)
    within = f"0 to {most:g}" if may_be_none else f"more than 0 and up to {most:g}"
    raise InvalidValue(name, value, f"it must be a timedelta, or {within} seconds{instead}")
