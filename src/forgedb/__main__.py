"""Runs the command line as ``python -m forgedb``."""

from forgedb.cli import main

if __name__ == "__main__":
    main()
