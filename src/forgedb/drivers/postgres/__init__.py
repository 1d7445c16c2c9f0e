"""PostgreSQL, through psycopg; one text serves threads and tasks."""
