"""The tables' diagram, which a forge draws, as a list of what belongs to what."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_TABLE = re.compile(r"^ *(\w+) \{$", re.MULTILINE)
_RELATION = re.compile(r"^ *(\w+) \S+ (\w+) : (\w+)$", re.MULTILINE)


class Tables(SphinxDirective):
    """A block of Mermaid's ``erDiagram``; each table leads to its section in the page."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        text = "\n".join(self.content)
        self._relations: list[tuple[str, str, str]] = _RELATION.findall(text)
        below = {table for parent, table, _ in self._relations if table != parent}
        return [self._list([table for table in _TABLE.findall(text) if table not in below])]

    def _list(self, tables: list[str], parent: str | None = None) -> nodes.bullet_list:
        return nodes.bullet_list("", *(self._item(table, parent) for table in tables))

    def _item(self, table: str, parent: str | None) -> nodes.list_item:
        told = nodes.paragraph()
        told += nodes.reference(
            "", "", nodes.literal(text=table), refuri=f"#{table}", internal=True
        )
        columns = [*self._columns(parent, table), *self._columns(table, table)]
        for position, column in enumerate(columns):
            told += nodes.Text(", " if position else ", by ")
            told += nodes.literal(text=column)
        item = nodes.list_item("", told)
        inner = [child for above, child, _ in self._relations if above == table != child]
        if inner:
            item += self._list([*dict.fromkeys(inner)], table)
        return item

    def _columns(self, parent: str | None, table: str) -> list[str]:
        return [column for *pair, column in self._relations if pair == [parent, table]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("mermaid", Tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
