"""The DAOs: one file an entity, with its SQL beside it; none of them talks to a database.

A few do read or write what a caller gives them: a log that is imported, a file that is exported to.
``leases/hold.py`` waits, through the runner, and reads the machine's clocks.
"""
