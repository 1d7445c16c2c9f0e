-- Which database this is, and which of its lives: the era that its fencing tokens begin with.
--
-- A server that is lost, and one that comes back from a backup, take grants with them that somebody
-- was told of.  The tokens of the next life begin above all that the last one can have given: they
-- carry the era, and the timeline that every promotion of a standby counts up.
--
-- Code of 0.1 reads on and goes on writing in a process that is open; opened anew it only reads.

CREATE TABLE database_identity (
    id                ulid NOT NULL,
    era               bigint NOT NULL,
    system_identifier text COLLATE "C",
    database_oid      bigint,
    audit_seq         bigint NOT NULL,
    audit_head        bytea NOT NULL,
    created_at        timestamptz NOT NULL,
    CONSTRAINT database_identity_one_per_id PRIMARY KEY (id),
    -- The effective era, which goes into a token's upper half, must fit there.
    CONSTRAINT database_identity_era_check CHECK (era BETWEEN -2000000000 AND 2000000000),
    CONSTRAINT database_identity_system_identifier_check CHECK (
        length(system_identifier) BETWEEN 1 AND 100
    ),
    CONSTRAINT database_identity_database_oid_check CHECK (database_oid >= 0),
    CONSTRAINT database_identity_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT database_identity_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT database_identity_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

-- The timeline that the server writes on, which is right at once after a promotion; a standby's is
-- that of its last restart point.  NULL where the service doesn't say.
CREATE FUNCTION forgedb_timeline() RETURNS bigint
LANGUAGE plpgsql
AS $$
BEGIN
    IF pg_catalog.pg_is_in_recovery() THEN
        RETURN (SELECT checkpoint.timeline_id FROM pg_catalog.pg_control_checkpoint() AS checkpoint);
    END IF;
    RETURN (
        'x' || pg_catalog.substr(
            pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8
        )
    )::bit(32)::bigint;
EXCEPTION
    WHEN OTHERS THEN
        RETURN NULL;
END;
$$;

-- What a cluster is known by: another one after an upgrade, or a restore into a new cluster.  NULL
-- where the service doesn't say.
CREATE FUNCTION forgedb_system_identifier() RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT control.system_identifier FROM pg_catalog.pg_control_system() AS control);
EXCEPTION
    WHEN OTHERS THEN
        RETURN NULL;
END;
$$;

CREATE FUNCTION forgedb_database_oid() RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database();
END;

-- The one row.  Its id is a ULID: 48 bits of milliseconds, 80 of chance.  On whatever timeline it is
-- made, its first tokens are 1, 2, 3.
INSERT INTO database_identity (
    id, era, system_identifier, database_oid, audit_seq, audit_head, created_at
)
SELECT
    string_agg(
        substr(
            '0123456789ABCDEFGHJKMNPQRSTVWXYZ',
            1 + CASE
                WHEN place < 10
                THEN ((extract(epoch FROM now()) * 1000)::bigint >> 5 * (9 - place) & 31)::integer
                ELSE floor(random() * 32)::integer
            END,
            1
        ),
        ''
        ORDER BY place
    ),
    1 - coalesce(forgedb_timeline(), 1),
    forgedb_system_identifier(),
    forgedb_database_oid(),
    0,
    decode(repeat('00', 32), 'hex'),
    now()
FROM generate_series(0, 25) AS place;

CREATE TRIGGER database_identity_one_row
AFTER INSERT ON database_identity
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('database_identity_one_row', 'a database has one identity');

CREATE TRIGGER database_identity_fixed_columns
BEFORE UPDATE OF id, created_at ON database_identity
FOR EACH ROW
WHEN ((NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_at))
EXECUTE FUNCTION forgedb_refuse('database_identity_fixed_columns', 'id and created_at can''t change');

-- An era that came back would bring its tokens back, and one that nobody tells of is no era.
CREATE TRIGGER database_identity_era_grows
BEFORE UPDATE OF era ON database_identity
FOR EACH ROW
WHEN (NEW.era < OLD.era OR (NEW.era > OLD.era AND NEW.audit_seq <= OLD.audit_seq))
EXECUTE FUNCTION forgedb_refuse(
    'database_identity_era_grows',
    'era can''t decrease, and grows with an entry'
);

CREATE TRIGGER database_identity_never_deleted
BEFORE DELETE ON database_identity
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('database_identity_never_deleted', 'a database has one identity');

CREATE TRIGGER database_identity_never_truncated
BEFORE TRUNCATE ON database_identity
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('database_identity_never_deleted', 'a database has one identity');
