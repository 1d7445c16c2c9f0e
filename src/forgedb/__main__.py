"""Runs the command line, also as ``python -m forgedb``."""

from __future__ import annotations

import gc
import os
import sys

from forgedb.migrations.up_to_date import is_up_to_date


def main() -> None:
    """Run the command line of this process and exit with its code.

    A plain ``migrate`` with nothing to do is answered before the command line is imported, which
    takes longer than the answer.
    """
    if sys.stdout is not None and is_up_to_date(sys.argv[1:], os.environ):  # pyright: ignore[reportUnnecessaryComparison] - closed by the shell
        try:
            sys.stdout.write("nothing to apply\n")
            sys.stdout.flush()
        except OSError:
            # The command line runs instead, and reports that it can't write.
            pass
        else:
            return
    # What is imported stays in use: the garbage collector needn't scan it, now or later.
    gc.disable()
    from forgedb.cli import main as command_line

    gc.freeze()
    gc.enable()
    command_line()


if __name__ == "__main__":
    main()
