"""``python -m forgedb.testing.soak``: attacks a database's leases, and exits with 1 for a fault."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from forgedb import ForgeDbError
from forgedb.drivers.url import url_from_environment
from forgedb.testing.soak.attack import Result, attack, told
from forgedb.testing.soak.orders import Plan

FAULTS_SHOWN = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m forgedb.testing.soak",
        description="Attack the leases of new repositories of a database made for it: by clients"
        " in processes that are stopped and killed, with a clock that is set to and fro.",
    )
    parser.add_argument("--url", help="the database; without it, as for the forgedb command")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, help="as an earlier run printed it")
    given = parser.parse_args(arguments)
    seed = random.randrange(2**32) if given.seed is None else given.seed
    try:
        url = url_from_environment() if given.url is None else given.url
        plan = Plan(minutes=given.minutes, clients=given.clients, seed=seed)
        say(f"seed {seed}")
        return report(attack(url, plan, say=say))
    except ForgeDbError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(result: Result) -> int:
    """Print the result of a soak, and return the exit status."""
    for fault in result.faults[:FAULTS_SHOWN]:
        say(str(fault))
    say(told(result.counts))
    say(f"{len(result.faults)} faults")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
