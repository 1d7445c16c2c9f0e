"""Coming from another tool: a file for each says how its names and its history read, no more."""
