"""PostgreSQL servers on loopback for tests of failures, started from the installed programs.

``cluster`` has a primary with its standbys, ``server`` one server, ``network`` a relay between
them and their clients.  When their block ends, they stop and their files are removed.
"""
