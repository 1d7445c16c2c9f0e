"""For those who test a program on forgedb: nothing here is needed, or imported, to run one."""
