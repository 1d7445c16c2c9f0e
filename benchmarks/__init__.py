"""What forgedb costs, compared with the raw driver: ``python -m benchmarks`` prints the ratios."""
