"""From rows to models: a decoder for each (model, database), generated once from annotations.

The generated code unpacks a tuple and calls the constructor, so decoding costs little more than
these calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

from forgedb.errors import InvalidValue, shown

T = TypeVar("T")

Decoder: TypeAlias = Callable[[Sequence[tuple[Any, ...]]], list[Any]]
RowDecoder: TypeAlias = Callable[[tuple[Any, ...]], Any]
Converters: TypeAlias = Mapping[type[Any], Callable[[Any], Any]]
"""The types that a driver doesn't return as such, and how to convert to each."""


def columns(model: type[msgspec.Struct], prefix: str = "") -> str:
    """The SELECT list that fills the model, each column after ``prefix`` (``"r."``)."""
    return ", ".join(prefix + field for field in model.__struct_fields__)


def make_decoders(model: type[Any], converters: Converters) -> tuple[RowDecoder, Decoder]:
    """A function from a row's tuple to a model, and one from many rows to a list of models.

    They raise InvalidValue for a value that doesn't fit the model, which the schema's constraints
    would have refused.
    """
    scope: dict[str, Any] = {"model": model, "unreadable": _unreadable}
    names: list[str] = []
    values: list[str] = []
    for position, hint in enumerate(_hints(model)):
        name = f"c{position}"
        names.append(name)
        values.append(_expression(name, hint, converters, scope))
    made, unpacked = f"model({', '.join(values)})", f"{', '.join(names)},"
    # A try costs nothing where all goes well.  No value is equal to `unreadable`.
    source = (
        f"def decode_row(row):\n"
        f"    seen = unreadable\n"
        f"    try:\n        {unpacked} = row\n        return {made}\n"
        f"    except Exception as error:\n        raise unreadable(model, row, of) from error\n"
        f"def decode_rows(rows):\n"
        f"    seen = time = unreadable\n"
        f"    try:\n        return [{made} for {unpacked} in rows]\n"
        f"    except Exception:\n        return [decode_row(row) for row in rows]\n"
    )
    scope["of"] = {
        name: getattr(found, "__getitem__", found)
        for name in names
        if (found := scope.get(f"of_{name}")) is not None
    }
    exec(source, scope)  # noqa: S102 - the text is made of positions alone
    return scope["decode_row"], scope["decode_rows"]


def _unreadable(model: type[Any], row: tuple[Any, ...], of: Mapping[str, Any]) -> InvalidValue:
    """An error that names the value of the row that can't be converted."""
    if len(row) != len(model.__struct_fields__):
        return InvalidValue(
            "row", row, f"a {model.__name__} has {len(model.__struct_fields__)} columns"
        )
    for position, field in enumerate(model.__struct_fields__):
        value, convert = row[position], of.get(f"c{position}")
        if value is None or convert is None:
            continue
        try:
            convert(value)
        except Exception as error:  # noqa: BLE001 - whatever a converter makes of it
            why = f"no {field} of a {model.__name__} can be {shown(value)}"
            if not isinstance(error, KeyError):
                why += f" ({error})"
            return InvalidValue(field, value, why)
    return InvalidValue("row", row, f"a {model.__name__} has other columns, or of other types")


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
        if wanted is datetime:
            # Parsing a time is the slowest conversion, and most times equal the one before: a row
            # that was never changed has two equal times, and rows recorded together share theirs.
            converted = f"time if {name} == seen else (time := of_{name}(seen := {name}))"
    else:
        return name
    return f"None if {name} is None else ({converted})" if len(alternatives) > 1 else converted
