"""The kinds of things in the audit trail: their tables, and what each action does to a row.

All else follows from this table: the actions that only the DAOs record, what a replay does with an
entry, which rows are compared and counted, and the table in docs/audit.md.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

import msgspec

from forgedb.models import (
    DatabaseIdentity,
    Lease,
    Mirror,
    ObjectMetadata,
    Project,
    Relationship,
    Repository,
)


class Effect(Enum):
    """What an action does to its target's row."""

    BEGINS = auto()
    """The row is inserted; the changes name every field that has a value."""
    GRANTS = auto()
    """The row is inserted, and its fencing token becomes the repository's ``lease_epoch``."""
    CHANGES = auto()
    """Some fields of the row are updated, also where it is only marked as deleted."""
    ENDS = auto()
    """The row is updated for the last time, and stays."""
    DELETES = auto()
    """The row is removed."""
    COUNTS = auto()
    """Many rows change; the changes say how many were ``added`` and ``removed``."""


BEGINS, GRANTS, CHANGES, ENDS, DELETES, COUNTS = Effect


class Kind(NamedTuple):
    """One kind of thing: the model of its rows, their table, and its verbs."""

    name: str
    """The ``target_type`` of its entries, and the first word of its actions."""
    model: type[msgspec.Struct]
    table: str
    stream: str
    """The column that names the stream; ``id`` where each row has a stream of its own."""
    verbs: dict[str, Effect]

    @property
    def is_counted(self) -> bool:
        """Whether the entries record only how many rows there are, and not which."""
        return COUNTS in self.verbs.values()

    @property
    def begins(self) -> tuple[str, ...]:
        """The actions that insert a row; none if a migration inserts it."""
        return tuple(
            f"{self.name}.{verb}"
            for verb, effect in self.verbs.items()
            if effect in (BEGINS, GRANTS)
        )


KINDS = (
    Kind(
        "project",
        Project,
        "projects",
        "id",
        {"create": BEGINS, "update": CHANGES, "delete": CHANGES, "restore": CHANGES},
    ),
    Kind(
        "repository",
        Repository,
        "repositories",
        "id",
        {"create": BEGINS, "update": CHANGES, "delete": CHANGES, "restore": CHANGES},
    ),
    Kind(
        "lease",
        Lease,
        "leases",
        "repository_id",
        {
            "acquire": GRANTS,
            "release": ENDS,
            "expire": ENDS,
            "handover": ENDS,
            "force_release": ENDS,
            "rebase": GRANTS,
        },
    ),
    Kind(
        "objects",
        ObjectMetadata,
        "object_metadata",
        "repository_id",
        {"add": COUNTS, "remove": COUNTS},
    ),
    Kind(
        "mirror",
        Mirror,
        "mirrors",
        "repository_id",
        {
            "create": BEGINS,
            "update": CHANGES,
            "delete": DELETES,
            "claim": CHANGES,
            "finish": CHANGES,
        },
    ),
    Kind(
        "relationship",
        Relationship,
        "repository_relationships",
        "source_id",
        {"create": BEGINS, "delete": DELETES},
    ),
    Kind("database", DatabaseIdentity, "database_identity", "id", {"advance_era": CHANGES}),
)

ROWS = {kind.name: kind for kind in KINDS if not kind.is_counted}
"""The kinds whose entries are each about one row, by their names."""

STREAMS = tuple(kind for kind in KINDS if kind.stream == "id")
"""The kinds whose rows each hold the end of a stream: ``audit_seq`` and ``audit_head``."""

ACTIONS = {
    f"{kind.name}.{verb}": (kind.name, effect)
    for kind in KINDS
    for verb, effect in kind.verbs.items()
}
"""The actions that the DAOs record: the kind of their target, and what they do to it."""

OWN_ACTIONS = frozenset(ACTIONS)
"""Actions that only the DAOs may record: such an entry is written together with its change."""
