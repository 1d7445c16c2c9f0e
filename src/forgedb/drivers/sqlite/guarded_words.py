"""The words without which no statement does what the guard looks for.

The guard asks SQLite, which takes a call for each name in a statement: a quarter of what a small
file takes.  SQL spells a keyword and a schema's name in one way alone, with letters of either case.
So text without any of these words, in a comment or as a part of another word, too, drops no table,
sets nothing, attaches nothing, and makes nothing temporary.
"""

from __future__ import annotations

from collections.abc import Sequence

# VACUUM INTO attaches its file by itself; and what a file detaches, it has attached.
WORDS = ("drop", "pragma", "attach", "temp", "vacuum")


def may_need_guard(texts: Sequence[str]) -> bool:
    """Whether statements may do what the guard looks for."""
    together = "\n".join(texts).lower()
    return any(word in together for word in WORDS)
