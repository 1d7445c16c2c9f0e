"""The parts of a DAO operation: its steps, its rows, and how it is bound to a database."""
