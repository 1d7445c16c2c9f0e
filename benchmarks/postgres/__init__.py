"""The rows measured on PostgreSQL, beside psycopg."""
