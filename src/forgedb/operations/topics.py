"""What a handle can listen for: events of one kind about one thing."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Events of one kind (``channel``) about one thing (``key``).

    On PostgreSQL they are payloads of NOTIFY.  A listener holds a shared advisory lock, whose keys
    are ``lock_class`` and the hash of ``key``, so that a sender can see whether anybody listens.
    """

    channel: str
    lock_class: int
    key: str
