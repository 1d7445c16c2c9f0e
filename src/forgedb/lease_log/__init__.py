"""The lease log, a file of JSON lines that kept leases before: its lines, and the rules of replay.

Nothing here reads a file or a database.
"""
