"""The words without which no statement does what the guard looks for.

The guard has SQLite make a call for each name in a statement: a quarter of the time of a small
file.  SQL has one spelling for a keyword and for a schema's name, apart from upper and lower case.
So text that has none of these words, not even in a comment or within another word, drops no table,
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
