"""From rows to models: a decoder for each (model, database), written once from annotations.

The generated code is one list comprehension over unpacked tuples, so that decoding costs little
more than the constructor calls it can't do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

T = TypeVar("T")

Decoder: TypeAlias = Callable[[Iterable[tuple[Any, ...]]], list[Any]]
Converters: TypeAlias = Mapping[type[Any], Callable[[Any], Any]]
"""What a database's driver doesn't give in the model's type already, and how to make it so."""


def columns(model: type[msgspec.Struct], prefix: str = "") -> str:
    """The SELECT list that fills the model, each column behind ``prefix`` (``"r."``)."""
    return ", ".join(prefix + field for field in model.__struct_fields__)


def make_decoder(model: type[T], converters: Converters) -> Decoder:
    """A function from an iterable of row tuples to a list of models."""
    scope: dict[str, Any] = {"model": model}
    names: list[str] = []
    values: list[str] = []
    for position, hint in enumerate(_hints(model)):
        name = f"c{position}"
        names.append(name)
        values.append(_expression(name, hint, converters, scope))
    source = f"lambda rows: [model({', '.join(values)}) for {', '.join(names)}, in rows]"
    decoder: Decoder = eval(source, scope)  # noqa: S307 - the text is made of positions alone
    return decoder


def _hints(model: type[Any]) -> list[Any]:
    hints = get_type_hints(model)
    return [hints[field] for field in model.__struct_fields__]


def _expression(name: str, hint: Any, converters: Converters, scope: dict[str, Any]) -> str:
    alternatives = get_args(hint) if NoneType in get_args(hint) else (hint,)
    (wanted,) = (kind for kind in alternatives if kind is not NoneType)
    wanted = getattr(wanted, "__origin__", wanted)
    if issubclass(wanted, Enum):
        scope[f"of_{name}"] = wanted._value2member_map_
        converted = f"of_{name}[{name}]"
    elif wanted in converters:
        scope[f"of_{name}"] = converters[wanted]
        converted = f"of_{name}({name})"
    else:
        return name
    return f"None if {name} is None else {converted}" if len(alternatives) > 1 else converted
