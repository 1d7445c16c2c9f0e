"""The code blocks of a Markdown page; what is done with each is the reader's part."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FENCE = "```"


class Block(NamedTuple):
    """The text between two fences; ``line`` is that of its first line, from 1."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Every block of the page, in order.  Raises ValueError for a fence nobody would find."""
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.lstrip().startswith(FENCE) and not line.startswith(FENCE):
            raise ValueError(f"{page.name}:{number}: put the fence at the line's beginning")
        if not line.startswith(FENCE):
            if opened is not None:
                inside.append(line)
        elif opened is None:
            opened, inside = (number + 1, line.removeprefix(FENCE).strip()), []
        else:
            text = "".join(f"{each}\n" for each in inside)
            found.append(Block(page, *opened, text))
            opened = None
    if opened is not None:
        raise ValueError(f"{page.name}:{opened[0]}: the block is never closed")
    return found
