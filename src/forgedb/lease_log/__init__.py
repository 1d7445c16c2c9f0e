"""The lease log, a file of JSON lines that held leases formerly: its lines, and replay rules.

Nothing here reads a file or a database.
"""
