"""Spellings of a call that once were right: each is refused, and how it is written now is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forgedb.errors import shown

RENAMED: Mapping[str, str] = {"LeasesDao.export_jsonl": "export"}
"""The methods that have another name now, which they have in the same class."""


def no_attribute(thing: object, name: str) -> AttributeError:
    """What to raise where ``thing`` has nothing of this name, any more or at all."""
    of = type(thing).__name__
    renamed = RENAMED.get(f"{of}.{name}")
    if renamed is None:
        return AttributeError(f"{of!r} object has no attribute {name!r}", name=name, obj=thing)
    return AttributeError(f"{of}.{name} is called {renamed} now")


def refuse_by_place(function: Any, given: tuple[object, ...]) -> None:
    """Raise TypeError where what is given by place, after ``self``, is now given by name.

    What is given by name stands in the order in which it was given by place.
    """
    code = function.__code__
    by_place = code.co_argcount - 1
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    extra = given[by_place:]
    if not 0 < len(extra) <= len(names):
        return
    named = [f"{name}={shown(value)}" for name, value in zip(names, extra, strict=False)]
    written = ", ".join([*(["..."] if by_place else []), *named])
    name = function.__qualname__
    raise TypeError(f"{name}() takes {', '.join(names)} by name: write {name}({written})") from None
