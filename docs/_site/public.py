"""Which names are public: what the modules that users import from say is theirs."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from forgedb.operations.old_spellings import Renamed

MODULES = (
    "forgedb",
    "forgedb.importing",
    "forgedb.migrations",
    "forgedb.testing.history",
    "forgedb.testing.servers.cluster",
    "forgedb.testing.servers.network",
    "forgedb.testing.servers.patroni",
    "forgedb.testing.servers.programs",
    "forgedb.testing.servers.server",
)

FORMER = {"forgedb.migrations.Runner"}
"""Names of earlier versions, that programs may still have."""


def names() -> dict[str, Any]:
    """Each public name, in full, and what it stands for; what two modules give, under the first."""
    found: dict[str, Any] = {}
    known: set[int] = set()
    for module in map(import_module, MODULES):
        for name in module.__all__:
            thing, path = getattr(module, name), f"{module.__name__}.{name}"
            if not name.startswith("__") and path not in FORMER and id(thing) not in known:
                known.add(id(thing))
                found[path] = thing
    return found


def members(thing: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties of a class, its own and those of a base that is forgedb's."""
    fields = {*getattr(thing, "__struct_fields__", ()), *getattr(thing, "_fields", ())}
    found: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        if base.__module__.startswith("forgedb."):
            found |= vars(base)
    for name, value in found.items():
        # A name of an earlier version says its new one.
        is_called = hasattr(value, "__get__") and not isinstance(value, enum.Enum | Renamed)
        if is_called and not name.startswith("_") and name not in fields:
            yield name, value


def undocumented() -> Iterator[str]:
    """Every public name, and every member of one, that has no docstring of its own."""
    for path, thing in names().items():
        if inspect.isclass(thing):
            if not thing.__dict__.get("__doc__"):
                yield path
            for name, value in members(thing):
                if not inspect.getdoc(value):
                    yield f"{path}.{name}"
        elif inspect.isroutine(thing) and not inspect.getdoc(thing):
            yield path
