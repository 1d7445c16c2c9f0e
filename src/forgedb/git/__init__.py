"""Reads a Git repository through the git program: what is in it, and where it is copied from.

Nothing is written, fetched or run on the repository's behalf, and nothing here knows a database.
"""

from forgedb.git.errors import CorruptRepository, GitError, GitMissing, NotARepository
from forgedb.git.objects import BATCH_OBJECTS, GitObject
from forgedb.git.remotes import Remote
from forgedb.git.repository import GitRepository, open_repository
from forgedb.git.submodules import Submodule
from forgedb.remote_url import strip_credentials

__all__ = [
    "BATCH_OBJECTS",
    "CorruptRepository",
    "GitError",
    "GitMissing",
    "GitObject",
    "GitRepository",
    "NotARepository",
    "Remote",
    "Submodule",
    "open_repository",
    "strip_credentials",
]
