-- What of leases the database holds by itself, against whoever may write its tables and no more.
--
-- The lease_epoch of a repository is the fencing token of its newest lease; tokens go up by one, or
-- into an era that has begun; no lease begins or ends without an entry of the same transaction that
-- tells of it, or at times that no clock comes to.  A stream's end moves forward, and never far at
-- once.  Rows that are there are not looked at: the rules are for what is written from now on.
--
-- What several statements do together is looked at when all are done, at COMMIT.  So code of 0.1,
-- in a process that is open, goes on working, also where it imports leases before their entries.
--
-- PostgreSQL reads the text of a WHEN anew in each statement that may fire the trigger, which costs
-- more than what it asks: so they are short, and what regular statements don't set is asked by
-- column.
--
-- What is looked up there stands in PL/pgSQL, which keeps its plans: a body that is SQL would be
-- planned in each transaction, which takes twice the time.  PL/pgSQL looks for tables when it runs,
-- and so each function first sets the path to its table's schema, with temporary tables behind it;
-- its own SET takes that back when it returns.

-- A row that is seen was committed, or is this transaction's own.  Then the transaction of its xmin
-- is still in progress; it may be a savepoint's, and so a later one: by how much is counted from the
-- transaction itself, since age() may count from an earlier one that it was asked for first.
-- In PL/pgSQL, so that it stays a call: it is seldom made, and all of it would be made ready each time.
CREATE FUNCTION forgedb_is_of_a_savepoint(row_xmin xid) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_one bigint := pg_current_xact_id()::text::bigint;
    later bigint := row_xmin::text::bigint - this_one & 4294967295;
BEGIN
    RETURN later < 2147483648 AND pg_xact_status((this_one + later)::text::xid8) = 'in progress';
END;
$$;

-- VOLATILE, as what is asked here is, so that it becomes a part of the query that calls it.
CREATE FUNCTION forgedb_is_of_this_transaction(row_xmin xid) RETURNS boolean
LANGUAGE sql
RETURN row_xmin = pg_current_xact_id()::xid OR forgedb_is_of_a_savepoint(row_xmin);

-- The era that new tokens carry: each promotion of a standby begins one, too.
CREATE FUNCTION forgedb_effective_era() RETURNS bigint
LANGUAGE sql
BEGIN ATOMIC
    SELECT identity.era + coalesce(forgedb_timeline(), 1) - 1
    FROM database_identity AS identity;
END;

CREATE FUNCTION forgedb_lease_begins() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    path text := set_config('search_path', quote_ident(TG_TABLE_SCHEMA) || ', pg_temp', true);
    is_told boolean;
    is_newest boolean;
    broken text;
BEGIN
    SELECT
        EXISTS (
            SELECT
            FROM audit_entries AS entry
            WHERE entry.target_id = NEW.id
            AND entry.target_type = 'lease'
            AND (NEW.ended_at IS NULL OR entry.action <> 'lease.acquire')
            AND forgedb_is_of_this_transaction(entry.xmin)
        ),
        repository.lease_epoch = NEW.fencing_token
    INTO is_told, is_newest
    FROM repositories AS repository
    WHERE repository.id = NEW.repository_id;
    IF NOT is_newest THEN
        -- One that came after it names it; one that was there already can't.
        SELECT later.previous_lease_id = NEW.id
        INTO is_newest
        FROM leases AS later
        WHERE later.repository_id = NEW.repository_id
        AND later.fencing_token > NEW.fencing_token
        ORDER BY later.fencing_token
        LIMIT 1;
    END IF;
    broken := CASE
        WHEN NOT is_told
        THEN 'forgedb: leases_told: no entry tells of it'
        WHEN is_newest IS NOT TRUE
        THEN 'forgedb: leases_newest_is_epoch: lease_epoch is the newest fencing token'
        WHEN NEW.acquired_at > clock_timestamp() + INTERVAL '10 years'
        THEN 'forgedb: leases_within_reach: it begins over 10 years ahead of the clock'
        WHEN NEW.ended_at > NEW.expires_at
        THEN 'forgedb: leases_ended_by_expiry: no lease outlasts its expires_at'
    END;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION '%', broken
        USING
            ERRCODE = '23000',
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            CONSTRAINT = split_part(broken, ': ', 2);
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION forgedb_lease_ends() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    path text := set_config('search_path', quote_ident(TG_TABLE_SCHEMA) || ', pg_temp', true);
    broken text;
BEGIN
    PERFORM
    FROM audit_entries AS entry
    WHERE entry.target_id = NEW.id
    AND entry.target_type = 'lease'
    AND entry.action <> 'lease.acquire'
    AND forgedb_is_of_this_transaction(entry.xmin);
    broken := CASE
        WHEN NOT FOUND
        THEN 'forgedb: leases_told: no entry tells of it'
        WHEN NEW.ended_at > NEW.expires_at
        THEN 'forgedb: leases_ended_by_expiry: no lease outlasts its expires_at'
    END;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION '%', broken
        USING
            ERRCODE = '23000',
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            CONSTRAINT = split_part(broken, ': ', 2);
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION forgedb_lease_epoch_moves() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    path text := set_config('search_path', quote_ident(TG_TABLE_SCHEMA) || ', pg_temp', true);
    broken text;
BEGIN
    PERFORM
    FROM leases AS lease
    WHERE lease.repository_id = NEW.id
    AND lease.fencing_token = NEW.lease_epoch;
    IF NOT FOUND THEN
        broken := 'forgedb: leases_newest_is_epoch: lease_epoch is the newest fencing token';
    ELSIF
        TG_OP = 'UPDATE'
        AND NEW.lease_epoch <> OLD.lease_epoch + 1
        AND (
            NEW.lease_epoch >> 32 BETWEEN (OLD.lease_epoch >> 32) + 1 AND forgedb_effective_era()
        ) IS NOT TRUE
        -- Several in one go are as many more.
        AND NEW.lease_epoch - OLD.lease_epoch <> (
            SELECT count(*)
            FROM leases AS lease
            WHERE lease.repository_id = NEW.id
            AND lease.fencing_token > OLD.lease_epoch
            AND lease.fencing_token <= NEW.lease_epoch
        )
    THEN
        broken := 'forgedb: leases_count_tokens: a token is one more, or of a later era';
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION '%', broken
        USING
            ERRCODE = '23000',
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            CONSTRAINT = split_part(broken, ': ', 2);
    END IF;
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER leases_begin
AFTER INSERT ON leases
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW
EXECUTE FUNCTION forgedb_lease_begins();

CREATE CONSTRAINT TRIGGER leases_end
AFTER UPDATE ON leases
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW
EXECUTE FUNCTION forgedb_lease_ends();

-- As before, in two: one for the columns that never change.
DROP TRIGGER leases_change_once ON leases;

CREATE TRIGGER leases_change_once
BEFORE UPDATE ON leases
FOR EACH ROW
WHEN (OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL)
EXECUTE FUNCTION forgedb_refuse(
    'leases_change_once',
    'a lease changes once, from open to ended'
);

CREATE TRIGGER leases_fixed_columns
BEFORE UPDATE OF
    id,
    repository_id,
    holder,
    purpose,
    fencing_token,
    idempotency_key,
    acquired_at,
    expires_at,
    previous_lease_id
ON leases
FOR EACH ROW
WHEN (
    (
        NEW.id,
        NEW.repository_id,
        NEW.holder,
        NEW.purpose,
        NEW.fencing_token,
        NEW.idempotency_key,
        NEW.acquired_at,
        NEW.expires_at,
        NEW.previous_lease_id
    ) IS DISTINCT FROM (
        OLD.id,
        OLD.repository_id,
        OLD.holder,
        OLD.purpose,
        OLD.fencing_token,
        OLD.idempotency_key,
        OLD.acquired_at,
        OLD.expires_at,
        OLD.previous_lease_id
    )
)
EXECUTE FUNCTION forgedb_refuse(
    'leases_change_once',
    'a lease changes once, from open to ended'
);

-- One more, with an entry that is counted, is what a grant does: its lease looks at the epoch, and a
-- second look would cost each grant as much again.  Where no lease is behind it, verify finds that.
CREATE CONSTRAINT TRIGGER repositories_lease_epoch_moves
AFTER UPDATE OF lease_epoch ON repositories
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW
WHEN (
    NEW.lease_epoch > OLD.lease_epoch
    AND (NEW.lease_epoch > OLD.lease_epoch + 1 OR NEW.audit_seq = OLD.audit_seq)
)
EXECUTE FUNCTION forgedb_lease_epoch_moves();

CREATE CONSTRAINT TRIGGER repositories_insert_lease_epoch
AFTER INSERT ON repositories
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW
WHEN (NEW.lease_epoch <> 0)
EXECUTE FUNCTION forgedb_lease_epoch_moves();

-- Nobody appends 2^20 entries in one go; a number near the last that there is would leave room for
-- no more.

CREATE TRIGGER projects_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON projects
FOR EACH ROW
WHEN (NEW.audit_seq - OLD.audit_seq >> 20 <> 0)
EXECUTE FUNCTION forgedb_refuse(
    'projects_stream_moves_forward',
    'audit_seq grows by entries'
);

CREATE TRIGGER repositories_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON repositories
FOR EACH ROW
WHEN (NEW.audit_seq - OLD.audit_seq >> 20 <> 0)
EXECUTE FUNCTION forgedb_refuse(
    'repositories_stream_moves_forward',
    'audit_seq grows by entries'
);

CREATE TRIGGER database_identity_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON database_identity
FOR EACH ROW
WHEN (NEW.audit_seq - OLD.audit_seq >> 20 <> 0)
EXECUTE FUNCTION forgedb_refuse(
    'database_identity_stream_moves_forward',
    'audit_seq grows by entries'
);

-- Eras that are used up protect nobody any more.  They begin by the clock (seconds since 2026 began),
-- so nobody comes to one that is ten years (315,576,000 s) ahead of it; where a clock was that far
-- ahead once, eras go on in steps.
CREATE TRIGGER database_identity_era_steps
AFTER UPDATE OF era ON database_identity
FOR EACH ROW
WHEN (
    NEW.era > greatest(
        extract(epoch FROM clock_timestamp() - TIMESTAMPTZ '2026-01-01T00:00:00Z'), 0
    ) + 315576000
    AND (
        OLD.era <= greatest(
            extract(epoch FROM clock_timestamp() - TIMESTAMPTZ '2026-01-01T00:00:00Z'), 0
        ) + 315576000
        OR NEW.era - OLD.era > 1024
    )
)
EXECUTE FUNCTION forgedb_refuse(
    'database_identity_era_steps',
    'era can''t be ten years ahead of the clock'
);

-- A database that isn't where it was begins an era with its first write.  Whoever told it another place
-- before, or none, would keep it in its old one.  One without a repository has nothing to repeat.
CREATE FUNCTION forgedb_database_moves() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    path text := set_config('search_path', quote_ident(TG_TABLE_SCHEMA) || ', pg_temp', true);
BEGIN
    IF
        (NEW.system_identifier IS NULL AND OLD.system_identifier IS NOT NULL)
        OR (NEW.database_oid IS NULL AND OLD.database_oid IS NOT NULL)
        OR (NEW.era = OLD.era AND EXISTS (SELECT FROM repositories))
    THEN
        RAISE EXCEPTION
            'forgedb: database_identity_moves_with_its_era: where it is stays, or begins an era'
        USING
            ERRCODE = '23000',
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            CONSTRAINT = 'database_identity_moves_with_its_era';
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER database_identity_moves_with_its_era
AFTER UPDATE OF system_identifier, database_oid ON database_identity
FOR EACH ROW
WHEN (
    coalesce(OLD.system_identifier, OLD.database_oid::text) IS NOT NULL
    AND (NEW.system_identifier, NEW.database_oid)
        IS DISTINCT FROM (OLD.system_identifier, OLD.database_oid)
)
EXECUTE FUNCTION forgedb_database_moves();
