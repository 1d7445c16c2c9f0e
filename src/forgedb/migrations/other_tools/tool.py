"""How another tool is described: how its files are named and read, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Unfit(ValueError):
    """What can't be taken over, and what to do."""


class Name(msgspec.Struct, frozen=True):
    """What a file's name says; ``is_down`` for a down migration."""

    version: int
    words: str
    is_down: bool = False


class Up(msgspec.Struct, frozen=True):
    """A file's up migration; ``alone`` if it runs in no transaction."""

    text: str
    alone: bool = False
    has_down: bool = False


class Tool(Protocol):
    """Another tool, as a module of this folder describes it."""

    TABLE: str
    """Its history's table, where no other is named."""
    COLUMNS: Sequence[str]
    """The columns of that table, all of them."""
    SELECT: Sequence[str]
    """Those to read."""

    @staticmethod
    def name_of(file: str) -> Name | None:
        """What a file's name says; None for a file that the tool passes over.  Raises Unfit."""
        ...

    @staticmethod
    def up_of(text: str) -> Up:
        """A file's up migration.  Raises Unfit."""
        ...

    @staticmethod
    def applied(rows: Sequence[tuple[Any, ...]], files: dict[int, bytes]) -> set[int]:
        """The numbers that the database has.  Raises Unfit for a history that isn't sound."""
        ...
