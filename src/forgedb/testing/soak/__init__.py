"""Attacks the leases of a database with many clients in real processes, and checks the history.

``python -m forgedb.testing.soak`` runs it; ``forgedb.testing.soak.attack`` is the same in Python.
"""
