"""What an operator asks of a database: its status, schema, grants, and a backup put in place."""
