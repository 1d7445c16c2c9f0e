"""What forgedb costs beside the raw driver: ``python -m benchmarks`` prints each ratio."""
