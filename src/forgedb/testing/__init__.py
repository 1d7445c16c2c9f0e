"""Tools to test a program that uses forgedb; nothing here is imported by forgedb itself."""
