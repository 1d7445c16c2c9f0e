"""The audit chain: how an entry is hashed, and how a history is verified."""
