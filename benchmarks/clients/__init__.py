"""Many clients at once: how many operations they do, and how long each takes."""
