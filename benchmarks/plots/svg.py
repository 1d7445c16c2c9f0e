"""What all figures have in common: colours, for light and dark mode, and texts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

NAMESPACE = "http://www.w3.org/2000/svg"

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.sqlite { stroke: #0969da } circle.sqlite, rect.sqlite { fill: #0969da }
.postgres { stroke: #bc4c00 } circle.postgres, rect.postgres { fill: #bc4c00 }
.bound { stroke: #1f2328; stroke-width: 2 }
circle.awaited { fill: #ffffff; stroke-width: 2.5 }
rect { stroke: none }
rect.faster { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 } .grid { stroke: #3d444d }
  .sqlite { stroke: #4493f8 } circle.sqlite, rect.sqlite { fill: #4493f8 }
  .postgres { stroke: #f0883e } circle.postgres, rect.postgres { fill: #f0883e }
  .bound { stroke: #f0f6fc } circle.awaited { fill: #0d1117 } rect.faster { fill: #656c76 }
}
"""


def document(width: float, height: float, parts: Iterable[str]) -> str:
    """A whole file."""
    return "\n".join(
        [
            f'<svg xmlns="{NAMESPACE}" width="{width}" height="{height}"',
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
            "",
        ]
    )


def label(x: float, y: float, anchor: str, words: str, kind: str = "small") -> str:
    """A text whose beginning, middle or end is at the point, by ``anchor``."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
