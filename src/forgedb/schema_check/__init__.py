"""The shape of a schema, part by part: as a live database has it, and as the migrations make it."""
