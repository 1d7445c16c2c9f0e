"""What a handle can listen for: that something of a kind has happened to one thing."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Events of one kind (``channel``) about one thing (``key``).

    On PostgreSQL they are payloads of NOTIFY.  Who listens holds an advisory lock of the two keys
    ``lock_class`` and hash of ``key``, in shared mode, so that who tells can see whether anybody
    does.
    """

    channel: str
    lock_class: int
    key: str
