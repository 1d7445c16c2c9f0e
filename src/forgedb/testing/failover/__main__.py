"""``python -m forgedb.testing.failover``: lets clusters fail; exits with 1 if it finds a fault."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from forgedb import ForgeDbError
from forgedb.testing.failover.kinds import KINDS
from forgedb.testing.failover.suite import PATRONI, RUNS, Result
from forgedb.testing.servers.patroni import is_installed
from forgedb.testing.servers.programs import installed_programs, version_of

FAULTS_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m forgedb.testing.failover",
        description="Let PostgreSQL clusters on this machine fail under load, and compare what"
        " clients were told with what survives. Kinds: "
        + "; ".join(f"{kind.name}: {kind.what}" for kind in KINDS.values())
        + f"; {PATRONI}: a cluster that Patroni runs, where it is installed.",
    )
    parser.add_argument("--failovers", type=int, default=10, help="of each kind")
    parser.add_argument(
        "--kind", action="append", choices=RUNS, help="only this one; may be given again"
    )
    parser.add_argument(
        "--programs",
        action="append",
        type=Path,
        help="a folder of PostgreSQL's programs; without it, each version that is there",
    )
    parser.add_argument("--seed", type=int, help="as an earlier run printed it")
    given = parser.parse_args(arguments)
    seed = random.randrange(2**32) if given.seed is None else given.seed
    # SIGTERM raises SystemExit, so that the servers are stopped too.
    signal.signal(signal.SIGTERM, _exit)
    say(f"seed {seed}")
    faults = Counter[str]()
    try:
        programs = (
            {version_of(folder): folder for folder in given.programs}
            if given.programs
            else installed_programs()
        )
        for version, folder in programs.items():
            for name in given.kind or (KINDS if not is_installed() else RUNS):
                result = RUNS[name](folder, failovers=given.failovers, seed=seed, say=say)
                report(f"PostgreSQL {version}, {name}", result)
                faults.update(fault.rule for fault in result.faults)
    except ForgeDbError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    for rule, count in faults.most_common():
        say(f"{rule}: {count:,} faults")
    say(f"{faults.total()} faults")
    return 1 if faults else 0


def _exit(number: int, frame: object) -> None:
    sys.exit(1)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(title: str, result: Result) -> None:
    """Print the result of one kind of failure."""
    for fault in result.faults[:FAULTS_SHOWN]:
        say(str(fault))
    told = ", ".join(f"{name} {count:,}" for name, count in result.counts.items())
    gaps = result.gap_seconds or [0.0]
    say(
        f"{title}: {told}; {len(result.faults)} faults;"
        f" without a grant {median(gaps):.1f} s, at most {max(gaps):.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
