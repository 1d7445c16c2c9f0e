"""The async surface at the works that are bound, beside the drivers awaited."""
