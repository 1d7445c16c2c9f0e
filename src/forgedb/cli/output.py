"""Printing: one row, a list of rows or a page of them; for people, for pipes, or as JSON.

On a terminal a list is a table, drawn by rich, which is imported then and not before; in a pipe
it is one line a row with tabs between the columns.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import IO, Any, TypeVar, cast

import click
import msgspec

from forgedb.models import ObjectType, Page

T = TypeVar("T")

Columns = Mapping[str, Callable[[Any], Any]]
"""A list's columns: each one's heading, and what it shows of an item."""

GAP = 2
WORD_CHARS = 10

_is_whole = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9.,: -]+Z?").fullmatch
"""Matches values that people copy or compare, which a table never wraps: ids, oids, numbers,
times."""


def field(name: str) -> Callable[[Any], Any]:
    """A column that shows the item's field."""
    return lambda item: getattr(item, name)


def fields(*names: str) -> Columns:
    """Columns that show the item's fields under their own names."""
    return {name.replace("_", " ").upper(): field(name) for name in names}


def print_one(item: Any, as_json: bool) -> None:
    """One row: each field on a line of its own; if there are several changes, each of them too."""
    values = jsonable(item)
    if as_json:
        print_json(values)
        return
    shown = {name: getattr(item, name, value) for name, value in values.items()}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        first, *more = _changes(value) if isinstance(value, dict) else [text(value)]
        click.echo(f"{name:<{width}}  {first}")
        for line in more:
            click.echo(f"{'':<{width}}  {line}")


def print_page(
    fetch: Callable[[int, str | None], Page[T]],
    columns: Columns,
    *,
    limit: int,
    after: str | None,
    every: bool,
    as_json: bool,
    draw: Callable[[Sequence[T]], Sequence[str]] | None = None,
) -> None:
    """Print one page of a list, or all; if more follow, say how to go on.

    ``draw``, if given, makes the lines of a page in place of the columns.
    """
    page = fetch(limit, after)
    pages = _following(fetch, limit, page) if every else iter((page,))
    if as_json:
        _print_json_list(pages)
        return
    for number, page in enumerate(pages):
        if draw is not None and page.items:
            click.echo("\n".join(draw(page.items)))
        else:
            print_list(page.items, columns, is_first=number == 0)
    if page.next is not None and not every:
        click.echo(f"more: --after {page.next}", err=True)


def print_list(items: Iterable[Any], columns: Columns, *, is_first: bool = True) -> None:
    """All items, as a table on a terminal and with tabs in a pipe, headed once."""
    rows = [[text(show(item)) for show in columns.values()] for item in items]
    if not sys.stdout.isatty():
        lines = ["\t".join(row) for row in ([[*columns]] if is_first else []) + rows]
        if lines:
            click.echo("\n".join(lines))
    elif rows:
        _draw([*columns], rows)
    elif is_first:
        click.echo("nothing found")


def print_json(value: Any) -> None:
    """A document on one line, or indented on a terminal."""
    click.echo(_encoded(value))


@contextmanager
def new_file(path: str | None, mode: int = 0o666) -> Generator[IO[bytes]]:
    """A new file to write to, or stdout.  A file that exists is refused: it might be the database.

    If writing fails, the incomplete file is removed.
    """
    if path is None:
        # Bytes: JSON is UTF-8, whatever the locale says.
        yield sys.stdout.buffer
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise click.UsageError(
            f"{path} is there already: choose another file, or remove it first"
        ) from None
    try:
        with open(file, "wb") as writing:
            yield writing
    except BaseException:
        os.unlink(path)
        raise


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
        return ", ".join(_changes(value))
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


def _changes(value: Any) -> list[str]:
    """Each field, as before → after; or one value, if there was none before or both are equal."""
    changes = cast("dict[str, Any]", value)
    return [f"{name}: {_change(pair)}" for name, pair in changes.items()] or ["-"]


def _change(pair: Any) -> str:
    if isinstance(pair, list | tuple):
        before, after = cast("Sequence[Any]", pair)
        alone = before is None or before == after
        return text(after) if alone else f"{text(before)} → {text(after)}"
    return text(pair)


def _following(
    fetch: Callable[[int, str | None], Page[T]], limit: int, page: Page[T]
) -> Iterator[Page[T]]:
    """The page and all that follow it, one in memory at a time."""
    yield page
    while page.next is not None:
        page = fetch(limit, page.next)
        yield page


def _print_json_list(pages: Iterable[Page[Any]]) -> None:
    separator, following = '{"items":[', None
    for page in pages:
        following = page.next
        if page.items:
            items = ",".join(_encoded(jsonable(item)) for item in page.items)
            click.echo(separator + items, nl=False)
            separator = ","
    opened = "" if separator == "," else separator
    click.echo(f'{opened}],"next":{_encoded(following)}}}')


def _encoded(value: Any) -> str:
    encoded = msgspec.json.encode(value)
    if sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    return encoded.decode()


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    room = Console().width
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    widths = column_widths(headings, rows, room)
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, width=width, overflow="fold")
    for row in rows:
        # Text: what is stored may look like rich's markup.
        table.add_row(*map(Text, row))
    # A table that can't be made narrower is wider than the terminal, which then wraps its lines.
    # Rich counts a gap after the last column too, though it prints none.
    needed = sum(widths) + GAP * len(widths)
    Console(width=max(room, needed), height=len(rows) + 1).print(table)


def column_widths(headings: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """The width of each column: the widest are narrowed first, but ids and numbers never."""
    from rich.cells import cell_len

    columns = list(zip(headings, *rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max(len(column[0]), *map(_unbroken, column[1:])) for column in columns]
    while sum(widths) + GAP * (len(widths) - 1) > room:
        can_give = [place for place, width in enumerate(widths) if width > least[place]]
        if not can_give:
            break
        widths[max(can_give, key=widths.__getitem__)] -= 1
    return widths


def _unbroken(cell: str) -> int:
    """How many characters of the cell stay on one line."""
    return len(cell) if _is_whole(cell) else min(len(cell), WORD_CHARS)
