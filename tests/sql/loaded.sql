-- Rows enough for PostgreSQL's planner to tell a search from a scan; no history stands behind them.

SET session_replication_role = replica;

CREATE FUNCTION pg_temp.made(kind text, number bigint) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT '01JD' || kind || lpad(number::text, 21, '0') $$;

INSERT INTO projects
SELECT pg_temp.made('P', n), 'p' || n, 'P', '', 'private', 1, decode(repeat('00', 32), 'hex'),
    now(), now(), CASE WHEN n % 20 = 0 THEN now() END
FROM generate_series(1, 200) AS n;

INSERT INTO repositories
SELECT pg_temp.made('R', n), pg_temp.made('P', n % 200 + 1), 'r' || n, '', 'main', 'sha1', 'private',
    'active', 9, 1, decode(repeat('00', 32), 'hex'), now(), now(),
    CASE WHEN n % 20 = 0 THEN now() END
FROM generate_series(1, 10000) AS n;

INSERT INTO leases
SELECT pg_temp.made('E', n), pg_temp.made('R', n % 10000 + 1), 'worker:' || n % 50, 'x',
    n / 10000 + 1, NULL, now(), now() + INTERVAL '1 hour',
    CASE WHEN n < 35000 THEN now() END, CASE WHEN n < 35000 THEN 'released' END, NULL,
    CASE WHEN n < 35000 THEN 'worker:1' END, NULL
FROM generate_series(1, 40000) AS n;

INSERT INTO lease_import_lines
SELECT 'leases-' || n % 20 || '.jsonl', n, sha256(n::text::bytea), 'acquired', 'lease-' || n,
    'repo/' || n % 10000, pg_temp.made('E', n), now()
FROM generate_series(1, 20000) AS n;

INSERT INTO audit_entries
SELECT pg_temp.made('R', n % 10000 + 1), n / 10000 + 1, pg_temp.made('A', n), now() + n * INTERVAL '1 s',
    'user:' || n % 100, 'lease.' || n % 7, 'lease', pg_temp.made('E', n % 40000), NULL, NULL, NULL,
    '{}', 1, decode(repeat('00', 32), 'hex')
FROM generate_series(1, 80000) AS n;

INSERT INTO object_metadata
SELECT pg_temp.made('R', n % 100 + 1), substr(sha256(n::text::bytea), 1, 20), n % 4 + 1, 9, 9, now()
FROM generate_series(1, 40000) AS n;

INSERT INTO mirrors
SELECT pg_temp.made('M', n), pg_temp.made('R', n), 'push', 'https://example.org/' || n, NULL,
    n % 2 = 0, 60, 'ok', CASE WHEN n % 3 = 0 THEN now() + n * INTERVAL '1 s' END, NULL, NULL, 0, NULL,
    NULL, NULL, now(), now()
FROM generate_series(1, 10000) AS n;

INSERT INTO repository_relationships
SELECT pg_temp.made('F', n), pg_temp.made('R', n), pg_temp.made('R', n / 2 + 1), NULL, 'fork', '', now(),
    now()
FROM generate_series(3, 10000) AS n;

ANALYZE;
