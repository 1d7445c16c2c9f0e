"""Rules of the schema that a statement broke, and values that no column takes: one error and one
wording for each, whichever database refused it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import cast

from forgedb.errors import (
    AlreadyExists,
    Conflict,
    Cycle,
    InvalidValue,
    StillReferenced,
    shown,
)

_TRIGGER_RULE = r"forgedb: (\w+): (.+)"
"""What a trigger of the schema says: the rule's name, and what the rule is."""


def taken(rule: str) -> AlreadyExists:
    """A unique key or index refused."""
    return AlreadyExists(rule, f"another row has the same value, against {rule}")


def referenced() -> StillReferenced:
    """A foreign key refused; SQLite doesn't say which."""
    return StillReferenced(
        "foreign_key", "a row that this one refers to is missing, or rows still refer to it"
    )


def by_trigger(text: str) -> Conflict | None:
    """What a trigger of forgedb's schema refused, or None where the text is no trigger's."""
    # Compiled when first needed: most programs start, and end, without it.
    found = re.match(_TRIGGER_RULE, text)
    if found is None:
        return None
    rule, why = found.groups()
    kind = Conflict
    if "_one_" in rule:
        kind = AlreadyExists
    elif rule.endswith("_acyclic"):
        kind = Cycle
    return kind(rule, f"{why} ({rule})")


def unfit(step: object, why: str) -> InvalidValue:
    """A value was refused: names the first parameter that not every database takes.

    If all of them are fine, the value was computed in the statement and has no name: then the
    statement is named.
    """
    for name, value in _params(step):
        if not _is_plain(value):
            return InvalidValue(f":{name}", value, why)
    return InvalidValue("statement", _text(step), why)


def undecodable(step: object, error: UnicodeDecodeError) -> InvalidValue:
    """The database holds bytes as text that aren't UTF-8: a corrupt row was read."""
    return InvalidValue(
        "text",
        error.object,
        f"the database holds it as text, and it isn't UTF-8 ({error.reason}): find out with"
        f" `forgedb audit verify` what was done to its row; it was read by {shown(_text(step))}",
    )


def against(rule: str | None, step: object, why: str) -> InvalidValue:
    """A CHECK refused: names the value of the column that it is named after, else the statement."""
    for name, value in _params(step):
        if rule is not None and rule.endswith(f"_{name}_check"):
            return InvalidValue(rule, value, why)
    return InvalidValue(rule or "statement", _text(step), why)


def _params(step: object) -> Iterator[tuple[str, object]]:
    """The parameters of a step, or of several that were sent together."""
    for each in getattr(step, "steps", (step,)):
        yield from (getattr(each, "params", None) or {}).items()


def _text(step: object) -> str:
    """What was sent, on one line; a transaction's end has no step."""
    several = getattr(step, "steps", None)
    if several:
        return _text(several[0])
    text = getattr(getattr(step, "statement", None), "sqlite", None)
    return "COMMIT" if text is None else " ".join(text.split())


def _is_plain(value: object) -> bool:
    """Whether every database takes such a value as a parameter."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, tuple):
        return all(map(_is_plain, cast("tuple[object, ...]", value)))
    return value is None or isinstance(value, float | bytes)
