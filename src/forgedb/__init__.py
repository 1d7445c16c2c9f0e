"""forgedb: the database layer of a software forge.

``forgedb.connect(url)`` gives a Database, and ``await forgedb.connect_async(url)`` the same for
asyncio; everything they raise is a ForgeDbError.  The names below are loaded when first used, so
that importing forgedb costs next to nothing.
"""

from __future__ import annotations

# Type checkers take this name for true. Importing typing would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from forgedb.admin.restore import Restored as Restored
    from forgedb.admin.restore import restore as restore
    from forgedb.async_database import AsyncDatabase as AsyncDatabase
    from forgedb.async_database import connect_async as connect_async
    from forgedb.audit.keys import PublicKey as PublicKey
    from forgedb.audit.keys import SigningKey as SigningKey
    from forgedb.client import AsyncClient as AsyncClient
    from forgedb.client import DbClient as DbClient
    from forgedb.client import Statement as Statement
    from forgedb.client import SyncClient as SyncClient
    from forgedb.dao.audit import AuditDao as AuditDao
    from forgedb.dao.identity import IdentityDao as IdentityDao
    from forgedb.dao.leases.dao import LeasesDao as LeasesDao
    from forgedb.dao.leases.deadline import HeldLease as HeldLease
    from forgedb.dao.mirrors import MirrorFields as MirrorFields
    from forgedb.dao.mirrors import MirrorsDao as MirrorsDao
    from forgedb.dao.objects import ObjectsDao as ObjectsDao
    from forgedb.dao.projects import ProjectFields as ProjectFields
    from forgedb.dao.projects import ProjectsDao as ProjectsDao
    from forgedb.dao.relationships import RelationshipsDao as RelationshipsDao
    from forgedb.dao.repositories import RepositoriesDao as RepositoriesDao
    from forgedb.dao.repositories import RepositoryFields as RepositoryFields
    from forgedb.database import Database as Database
    from forgedb.database import connect as connect
    from forgedb.drivers.connect import ConnectOptions as ConnectOptions
    from forgedb.errors import ActorRequired as ActorRequired
    from forgedb.errors import AlreadyExists as AlreadyExists
    from forgedb.errors import AuditViolation as AuditViolation
    from forgedb.errors import Conflict as Conflict
    from forgedb.errors import Cycle as Cycle
    from forgedb.errors import ForgeDbError as ForgeDbError
    from forgedb.errors import InvalidValue as InvalidValue
    from forgedb.errors import LeaseHeld as LeaseHeld
    from forgedb.errors import LeaseLost as LeaseLost
    from forgedb.errors import LineRefused as LineRefused
    from forgedb.errors import LockTimeout as LockTimeout
    from forgedb.errors import MigrationDrift as MigrationDrift
    from forgedb.errors import MigrationError as MigrationError
    from forgedb.errors import NotFound as NotFound
    from forgedb.errors import SchemaOutdated as SchemaOutdated
    from forgedb.errors import StillReferenced as StillReferenced
    from forgedb.errors import Unavailable as Unavailable
    from forgedb.errors import UsageError as UsageError
    from forgedb.ids import new_ulid as new_ulid
    from forgedb.migrations.applied import AppliedMigration as AppliedMigration
    from forgedb.models import AddResult as AddResult
    from forgedb.models import AnchoredRange as AnchoredRange
    from forgedb.models import AuditEntry as AuditEntry
    from forgedb.models import Checkpoint as Checkpoint
    from forgedb.models import DatabaseIdentity as DatabaseIdentity
    from forgedb.models import Direction as Direction
    from forgedb.models import EndReason as EndReason
    from forgedb.models import Lease as Lease
    from forgedb.models import LeaseImport as LeaseImport
    from forgedb.models import Mirror as Mirror
    from forgedb.models import MirrorStatus as MirrorStatus
    from forgedb.models import NewObject as NewObject
    from forgedb.models import ObjectFormat as ObjectFormat
    from forgedb.models import ObjectMetadata as ObjectMetadata
    from forgedb.models import ObjectStats as ObjectStats
    from forgedb.models import ObjectType as ObjectType
    from forgedb.models import Page as Page
    from forgedb.models import Project as Project
    from forgedb.models import Relationship as Relationship
    from forgedb.models import RelationshipKind as RelationshipKind
    from forgedb.models import Repository as Repository
    from forgedb.models import RepositoryState as RepositoryState
    from forgedb.models import Ulid as Ulid
    from forgedb.models import UnknownRepository as UnknownRepository
    from forgedb.models import VerifyProblem as VerifyProblem
    from forgedb.models import VerifyProgress as VerifyProgress
    from forgedb.models import VerifyReport as VerifyReport
    from forgedb.models import Visibility as Visibility
    from forgedb.pages import every as every

__version__ = "0.2.0"

_HOMES = {
    "forgedb.async_database": ("AsyncDatabase", "connect_async"),
    "forgedb.audit.keys": ("PublicKey", "SigningKey"),
    "forgedb.client": ("AsyncClient", "DbClient", "Statement", "SyncClient"),
    "forgedb.dao.audit": ("AuditDao",),
    "forgedb.dao.identity": ("IdentityDao",),
    "forgedb.dao.leases.dao": ("LeasesDao",),
    "forgedb.dao.leases.deadline": ("HeldLease",),
    "forgedb.dao.mirrors": ("MirrorFields", "MirrorsDao"),
    "forgedb.dao.objects": ("ObjectsDao",),
    "forgedb.dao.projects": ("ProjectFields", "ProjectsDao"),
    "forgedb.dao.relationships": ("RelationshipsDao",),
    "forgedb.dao.repositories": ("RepositoriesDao", "RepositoryFields"),
    "forgedb.database": ("Database", "connect"),
    "forgedb.drivers.connect": ("ConnectOptions",),
    "forgedb.errors": (
        "ActorRequired",
        "AlreadyExists",
        "AuditViolation",
        "Conflict",
        "Cycle",
        "ForgeDbError",
        "InvalidValue",
        "LeaseHeld",
        "LeaseLost",
        "LineRefused",
        "LockTimeout",
        "MigrationDrift",
        "MigrationError",
        "NotFound",
        "SchemaOutdated",
        "StillReferenced",
        "Unavailable",
        "UsageError",
    ),
    "forgedb.ids": ("new_ulid",),
    "forgedb.migrations.applied": ("AppliedMigration",),
    "forgedb.models": (
        "AddResult",
        "AnchoredRange",
        "AuditEntry",
        "Checkpoint",
        "DatabaseIdentity",
        "Direction",
        "EndReason",
        "Lease",
        "LeaseImport",
        "Mirror",
        "MirrorStatus",
        "NewObject",
        "ObjectFormat",
        "ObjectMetadata",
        "ObjectStats",
        "ObjectType",
        "Page",
        "Project",
        "Relationship",
        "RelationshipKind",
        "Repository",
        "RepositoryState",
        "Ulid",
        "UnknownRepository",
        "VerifyProblem",
        "VerifyProgress",
        "VerifyReport",
        "Visibility",
    ),
    "forgedb.pages": ("every",),
    "forgedb.admin.restore": ("Restored", "restore"),
}

_home_of = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_home_of]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    home = _home_of.get(name)
    if home is None:
        raise AttributeError(f"module 'forgedb' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
