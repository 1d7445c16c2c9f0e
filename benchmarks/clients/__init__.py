"""Many clients at once: ``python -m benchmarks.clients`` tells how many operations they do, and how
long each takes."""
