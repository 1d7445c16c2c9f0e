"""Whether forgedb stays fast as a database grows: the same work on 10,000 to 10,000,000 objects."""
