"""Real clusters of PostgreSQL whose primaries fail under load, and what became of the promises.

``python -m forgedb.testing.failover`` runs it; ``forgedb.testing.failover.suite`` is the same in
Python.
"""
