"""Results, with place and time: files in ``benchmarks/results``, one for each command."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

DISTRIBUTIONS = ("forgedb", "apsw", "aiosqlite", "msgspec", "psycopg")


def save(name: str, rows: Sequence[Mapping[str, Any]], *, notes: str = "") -> Path:
    """Write the rows, a line each, in place of the last ones of this name.

    ``notes`` tell what a reader must know of the run, such as what else ran on the machine.
    """
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "notes": notes,
    }
    head = json.dumps(found, ensure_ascii=False, indent=2).removesuffix("\n}")
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{head},\n  "rows": [\n{lines}\n  ]\n}}\n', "utf-8")
    return path


def update(name: str, rows: Sequence[Mapping[str, Any]], *, notes: str = "") -> Path:
    """Write the rows, and keep those of the last result with other names; each has its date."""
    taken = {row["name"] for row in rows}
    kept = load(name)["rows"] if (RESULTS / f"{name}.json").exists() else []
    date = datetime.now(UTC).date().isoformat()
    found = [row for row in kept if row["name"] not in taken]
    found += [{**row, "date": date} for row in rows]
    return save(name, sorted(found, key=lambda row: row["name"]), notes=notes)


def load(name: str) -> dict[str, Any]:
    """What ``save`` wrote under the name: date, machine, versions, notes, rows."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
    return found


def load_at_first() -> str:
    """A note of the machine's load; call it before the run."""
    return f"Load of the machine at first: {', '.join(f'{each:.2f}' for each in os.getloadavg())}."


def machine() -> dict[str, Any]:
    """What the times depend on, without anything that identifies this machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "architecture": platform.machine(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite3": sqlite3.sqlite_version}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
