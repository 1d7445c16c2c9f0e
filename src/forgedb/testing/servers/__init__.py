"""PostgreSQL servers on loopback, started from the programs that are there, to be treated badly.

``cluster`` has a primary with its standbys, ``server`` one server, ``network`` what lies between
them and their clients.  They stop, and what they wrote is removed, when their block ends.
"""
