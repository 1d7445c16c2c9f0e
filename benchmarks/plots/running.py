"""Draws all figures anew, and writes the tables beside them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from benchmarks import tables
from benchmarks.plots import lines, ratios
from benchmarks.record import load

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def main(_asked: Namespace) -> None:
    IMAGES.mkdir(exist_ok=True)
    for name, drawn in drawings().items():
        path = IMAGES / f"{name}.svg"
        path.write_text(drawn, "utf-8")
        print(path)
    tables.write()


def drawings() -> dict[str, str]:
    """Each image's text, by its name."""
    return {
        "limit": ratios.limits(load("limit")["rows"]),
        "peers": ratios.peers(load("peers")["rows"]),
        "growth": lines.drawing(load("growth")["rows"], "objects", lines.GROWTH),
        "clients": lines.drawing(load("clients")["rows"], "clients", lines.CLIENTS),
    }
