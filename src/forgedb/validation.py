"""Checks of the values that callers give, made before any SQL is sent.

The schema has the same rules as constraints; here the error names the field.
Lengths of text are in characters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from forgedb.durations import span_text
from forgedb.errors import InvalidValue
from forgedb.limits import (
    INTEGER_MAX,
    IP_ADDRESS_CHARS_MAX,
    PAGE_ITEMS_MAX,
    PATH_CHARS_MAX,
    REASON_CHARS_MAX,
)

if TYPE_CHECKING:
    from forgedb.models import ObjectFormat

E = TypeVar("E", bound=Enum)


SLUG_PATTERN = "[a-z0-9][a-z0-9._-]{0,99}"


_NOT_SEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of controls, formats (with marks of direction), surrogates, line ends."""

_is_slug = re.compile(SLUG_PATTERN).fullmatch


def check_text(field: str, value: object, length_max: int, *, length_min: int = 0) -> str:
    """Text that both databases can keep.  Raises InvalidValue."""
    if not isinstance(value, str):
        raise InvalidValue(field, value, "it must be text")
    if not length_min <= len(value) <= length_max:
        raise InvalidValue(field, value, f"it must have {length_min} to {length_max} characters")
    if "\0" in value:
        raise InvalidValue(field, value, "it holds a NUL character, which no database keeps")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue(
            field, value, "it holds half a surrogate pair, which is no character"
        ) from None
    return value


def check_optional_text(
    field: str, value: object, length_max: int, *, length_min: int = 0
) -> str | None:
    return None if value is None else check_text(field, value, length_max, length_min=length_min)


def check_name(field: str, value: object, length_max: int) -> str:
    """The name of an actor or a request, without invisible characters.  Raises InvalidValue."""
    name = check_text(field, value, length_max, length_min=1)
    if name != name.strip():
        raise InvalidValue(field, value, "it begins or ends with a blank: leave that out")
    if name.isascii() and name.isprintable():
        return name
    # Imported only when needed: few names have characters beyond ASCII.
    from unicodedata import category

    for character in name:
        if category(character) in _NOT_SEEN:
            raise InvalidValue(
                field,
                value,
                f"U+{ord(character):04X} can't be seen, or changes how the rest is read: leave it"
                " out",
            )
    return name


def check_path(field: str, value: object) -> str:
    """The path of a file that a database may be asked to write.  Raises InvalidValue."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidValue(field, value, "it must be a path")
    path = os.fspath(cast("str | os.PathLike[str]", value))
    return check_text(field, path, PATH_CHARS_MAX, length_min=1)


def check_ip_address(field: str, value: object) -> str:
    """An IPv4 or IPv6 address, kept as it is written.  Raises InvalidValue."""
    from ipaddress import ip_address

    address = check_text(field, value, IP_ADDRESS_CHARS_MAX, length_min=1)
    try:
        ip_address(address)
    except ValueError:
        pass
    else:
        # A zone may be any text, but names of interfaces have only these characters.
        if re.fullmatch(r"[0-9A-Fa-f:.]+(%[0-9A-Za-z_.-]+)?", address):
            return address
    raise InvalidValue(field, value, "it must be an IPv4 or IPv6 address, without a port or a name")


def check_reason(reason: object) -> str:
    """The reason for a change, which the history keeps.  Raises InvalidValue."""
    checked = check_text("reason", reason, REASON_CHARS_MAX, length_min=1)
    if not checked.strip():
        raise InvalidValue("reason", reason, "it must say why: the history keeps it")
    return checked


def check_slug(field: str, value: object) -> str:
    if isinstance(value, str) and _is_slug(value):
        return value
    raise InvalidValue(
        field,
        value,
        "a slug is 1 to 100 of the characters a-z 0-9 . _ - and begins with a letter or digit",
    )


def slug_like(name: str) -> str:
    """A slug made of a name, or the empty text if no character can be kept."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:100]


def check_enum(field: str, kind: type[E], value: object) -> E:
    if isinstance(value, kind):
        return value
    found = kind._value2member_map_.get(value) if isinstance(value, str | int) else None
    if isinstance(found, kind) and not isinstance(value, bool):
        return found
    allowed = ", ".join(str(member.value) for member in kind)
    raise InvalidValue(field, value, f"it must be one of {allowed}")


def check_integer(field: str, value: object, *, least: int = 0, greatest: int = INTEGER_MAX) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(field, value, "it must be a whole number")
    if not least <= value <= greatest:
        raise InvalidValue(field, value, f"it must be {least} to {greatest}")
    return int(value)


def check_flag(field: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidValue(field, value, "it must be True or False")


def check_offers(field: str, value: object, names: Iterable[str], what: str) -> None:
    """Refuse a value without these methods or attributes.  Raises InvalidValue."""
    if not all(hasattr(value, name) for name in names):
        raise InvalidValue(field, value, f"it must be {what}")


def check_limit(value: object, *, greatest: int = PAGE_ITEMS_MAX) -> int:
    return check_integer("limit", value, least=1, greatest=greatest)


def check_time(field: str, value: object) -> datetime:
    """An aware time, in UTC.  Raises InvalidValue."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidValue(field, value, "it must be a datetime with a time zone")
    if value.tzinfo is UTC:
        return value
    try:
        return value.astimezone(UTC)
    except Exception as error:
        # The year is out of range, or the zone itself raised an error.
        raise InvalidValue(field, value, "it is no time of the years 1 to 9999 in UTC") from error


def check_duration(
    field: str,
    value: object,
    *,
    greatest: timedelta,
    least: timedelta = timedelta(microseconds=1),
) -> timedelta:
    if not isinstance(value, timedelta):
        raise InvalidValue(field, value, "it must be a timedelta")
    if not least <= value <= greatest:
        raise InvalidValue(
            field, value, f"it must be {span_text(least)} to {span_text(greatest)} long"
        )
    return value


def check_oid(field: str, value: object, object_format: ObjectFormat) -> bytes:
    """An object's id as bytes, from bytes or hexadecimal text.  Raises InvalidValue."""
    wanted = object_format.oid_bytes
    oid = value
    # The length is checked first, since fromhex() skips white space: then too few bytes are left.
    if isinstance(oid, str) and len(oid) == 2 * wanted:
        try:
            oid = bytes.fromhex(oid)
        except ValueError:
            oid = b""
    if isinstance(oid, bytes) and len(oid) == wanted:
        return oid
    raise InvalidValue(
        field,
        value,
        f"an oid of this {object_format} repository is {wanted} bytes, or {2 * wanted}"
        " hexadecimal digits",
    )


def check_fields(values: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Refuse fields that an update doesn't know.  Raises InvalidValue."""
    for field, value in values.items():
        if field not in allowed:
            raise InvalidValue(
                field, value, f"no such field to update: there are {', '.join(sorted(allowed))}"
            )
