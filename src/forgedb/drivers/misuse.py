"""The errors for a handle that is used where it can't be: each says what to use instead."""

from __future__ import annotations

from forgedb.errors import UsageError


def outer_use() -> UsageError:
    """The outer handle was used by a thread or task that has a transaction open."""
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
