"""The DAOs: one file an entity, with its SQL beside it; none of them does any I/O."""
