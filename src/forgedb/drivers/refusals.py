"""What a database or its driver refuses: the same errors and words, whichever it is."""

from __future__ import annotations

import re

from forgedb.errors import AlreadyExists, Conflict, Cycle, StillReferenced, UsageError

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


def outer_use() -> UsageError:
    """The outer handle was used by who has a transaction open."""
    return UsageError(
        "a transaction is open on the database here, and the outer handle is no part of it (it"
        " might wait for it for ever): use the handle that transaction() gave"
    )


def read_only() -> UsageError:
    return UsageError("the transaction was opened with read_only=True: open one that can write")


def ended() -> UsageError:
    return UsageError("this transaction has ended: start another with transaction()")


def closed() -> UsageError:
    return UsageError("this database is closed: connect again")


def forked() -> UsageError:
    return UsageError(
        "this database was opened before the process forked, and its connections are the parent"
        " process's: connect again in the child"
    )


def not_in_a_transaction(what: str) -> UsageError:
    return UsageError(f"{what} isn't part of a transaction: use the database's own handle")


def closes_by_itself() -> UsageError:
    return UsageError("a transaction ends with its block: close the database after it")
