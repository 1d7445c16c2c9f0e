"""The parts of a schema: those of a live database, and those that the migrations make."""
