"""Durations as people write them: ``72 h``, ``1 h 30 min``, ``250 ms``."""

from __future__ import annotations

from datetime import timedelta

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
MICROSECOND = timedelta(microseconds=1)


def span_text(span: timedelta) -> str:
    """The duration, exactly."""
    if span < timedelta(0):
        return f"-{span_text(-span)}"
    if span < SECOND:
        micro = span // MICROSECOND
        return f"{micro} µs" if 0 < micro < 1000 else f"{micro / 1000:g} ms" if micro else "0 s"
    days, rest = divmod(span, DAY)
    # The longest lease is three days, which everybody calls 72 hours.
    if days > 3 and not rest:
        return f"{days} d"
    minutes, rest = divmod(span, MINUTE)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / SECOND:.6f}".rstrip("0").rstrip(".")
    parts = ((str(hours), "h"), (str(minutes), "min"), (seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count != "0")


def rounded_up(span: timedelta) -> timedelta:
    """The duration rounded up to a whole unit, so that its text is short."""
    unit = MINUTE if span >= timedelta(hours=1) else SECOND if span >= MINUTE else MILLISECOND
    return -(-span // unit) * unit
