"""Lets the primaries of real PostgreSQL clusters fail under load, and checks forgedb's promises.

``python -m forgedb.testing.failover`` runs it; ``forgedb.testing.failover.suite`` is the same in
Python.
"""
