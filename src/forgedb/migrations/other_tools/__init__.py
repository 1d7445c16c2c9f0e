"""Other migration tools: a module for each says how to read its files' names and its history."""
