"""Printing: one row, a list of rows or a page of them; for people, for pipes, or as JSON.

On a terminal a list is a table, drawn by rich, which is imported then and not before; in a pipe
it is one line a row with tabs between the columns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, cast

import click
import msgspec

from forgedb.models import ObjectType, Page

T = TypeVar("T")

Columns = Mapping[str, Callable[[Any], Any]]
"""A list's columns: each one's heading, and what it shows of an item."""

ON_ONE_LINE = ("ID", "OID", "CHANGES")
"""Columns that are never wrapped: ids, which people copy, and what may be long."""


def field(name: str) -> Callable[[Any], Any]:
    """A column that shows the item's field."""
    return lambda item: getattr(item, name)


def fields(*names: str) -> Columns:
    """Columns that show the item's fields under their own names."""
    return {name.replace("_", " ").upper(): field(name) for name in names}


def print_one(item: Any, as_json: bool) -> None:
    """One row: each field on a line of its own."""
    values = jsonable(item)
    if as_json:
        print_json(values)
        return
    shown = {name: getattr(item, name, value) for name, value in values.items()}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {text(value)}")


def print_page(
    fetch: Callable[[int, str | None], Page[T]],
    columns: Columns,
    *,
    limit: int,
    after: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """A page of a list, or all pages; where more follow, how to get them."""
    page = fetch(limit, after)
    items = [*page.items]
    while every and page.next is not None:
        page = fetch(limit, page.next)
        items += page.items
    if as_json:
        print_json({"items": [jsonable(item) for item in items], "next": page.next})
        return
    print_list(items, columns)
    if page.next is not None:
        click.echo(f"more: --after {page.next}", err=True)


def print_list(items: Iterable[Any], columns: Columns) -> None:
    """All items, as a table on a terminal and with tabs in a pipe."""
    rows = [[text(show(item)) for show in columns.values()] for item in items]
    if not sys.stdout.isatty():
        for row in [[*columns], *rows]:
            click.echo("\t".join(row))
    elif rows:
        _draw([*columns], rows)
    else:
        click.echo("nothing found")


def print_json(value: Any) -> None:
    """A document on one line, or indented on a terminal."""
    encoded = msgspec.json.encode(value)
    if sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    click.echo(encoded.decode())


def jsonable(value: Any) -> Any:
    """The value in JSON's types: hashes in hexadecimal, times as RFC 3339, types by name."""
    if isinstance(value, msgspec.Struct):
        return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, ObjectType):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return msgspec.to_builtins(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {key: jsonable(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in cast("Sequence[Any]", value)]
    return value


def text(value: Any) -> str:
    """The value for people, on one line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, dict):
        changes = cast("dict[str, Any]", value)
        return ", ".join(f"{name}: {_change(pair)}" for name, pair in changes.items()) or "-"
    if isinstance(value, list):
        items = cast("Sequence[Any]", value)
        return ", ".join(map(text, items)) or "-"
    plain = str(jsonable(value))
    # Control characters of a stored text must not reach the terminal.
    return "".join(c if c.isprintable() else " " for c in plain)


def duration_text(value: timedelta) -> str:
    """The two largest units: ``2d 3h``, ``59m 3s``."""
    seconds = int(value.total_seconds())
    if seconds < 0:
        return "-" + duration_text(-value)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def size_text(value: int) -> str:
    """Bytes in units of 1024: ``1.5 MiB``."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _change(pair: Any) -> str:
    if isinstance(pair, list | tuple):
        before, after = cast("Sequence[Any]", pair)
        return text(after) if before is None else f"{text(before)} → {text(after)}"
    return text(pair)


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading,
            no_wrap=heading in ON_ONE_LINE,
            overflow="ellipsis" if heading in ON_ONE_LINE else "fold",
            min_width=len(heading),
        )
    for row in rows:
        # Text: what is stored may look like rich's markup.
        table.add_row(*map(Text, row))
    Console().print(table)
