"""The commands, a module each; every one has its ``command``."""
