"""The DAOs: one file for each entity, with its SQL.  None of them talks to a database.

A few read or write a file that the caller gives them: a log to import, a file to export to.
``leases/hold.py`` waits, through the runner, and reads the machine's clocks.
"""
