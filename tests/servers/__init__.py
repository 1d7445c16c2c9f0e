"""Servers that tests start by themselves, on loopback, and stop by their own process id."""
