"""An attack on the leases of a database by many clients in real processes, and its history checked.

``python -m forgedb.testing.soak`` runs it; ``forgedb.testing.soak.attack`` is the same in Python.
"""
