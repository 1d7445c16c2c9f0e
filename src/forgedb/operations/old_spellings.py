"""Calls that older versions accepted: each is refused, and the error says how to write it now."""

from __future__ import annotations

from typing import Any, NoReturn

from forgedb.errors import shown


class Renamed:
    """Stands in a class for a method that has another name there now.

    A ``__getattr__`` could raise the same error, but would slow down every attribute access.
    """

    def __init__(self, now: str) -> None:
        self._now = now
        self._name = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, thing: object, owner: type[Any]) -> NoReturn:
        raise AttributeError(f"{owner.__name__}.{self._name} is called {self._now} now")


def refuse_by_place(function: Any, given: tuple[object, ...]) -> None:
    """Raise TypeError if a positional argument after ``self`` must now be given by name.

    The keyword-only parameters are in the order that the positional ones had.
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
