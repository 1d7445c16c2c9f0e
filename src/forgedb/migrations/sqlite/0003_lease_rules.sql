-- What of leases the database holds by itself, against statements that know nothing of forgedb.
--
-- The lease_epoch of a repository is the fencing token of its newest lease; tokens go up by one, or
-- into an era that has begun; no lease begins or ends without an entry that tells of it, or at
-- times that no clock comes to.  A stream's end moves forward, and never far at once.  Rows that
-- are there are not looked at: the rules are for what is written from now on.
--
-- SQLite looks at each statement by itself, and knows no rule for COMMIT.  So the entry comes
-- first, then the lease and the lease_epoch, in either order.  An epoch that is raised by one, with no
-- lease behind it, is taken here; PostgreSQL refuses it, and verify finds it.
--
-- Code of 0.1, in a process that is open, goes on working, except that it can't import a lease log
-- any more: it writes leases before their entries.
--
-- AFTER, so that a row that breaks a CHECK or collides with another is refused as that.

CREATE TRIGGER leases_begin
AFTER INSERT ON leases
BEGIN
    SELECT CASE
        WHEN NOT EXISTS (
            SELECT 1
            FROM audit_entries
            WHERE target_id = NEW.id
            AND target_type = 'lease'
            AND (NEW.ended_at IS NULL OR action <> 'lease.acquire')
        )
        THEN RAISE(ABORT, 'forgedb: leases_told: no entry tells of it')
        WHEN NEW.acquired_at > strftime('%Y-%m-%dT%H:%M:%f', 'now', '+10 years')
        THEN RAISE(
            ABORT,
            'forgedb: leases_within_reach: it begins over 10 years ahead of the clock'
        )
        WHEN NEW.ended_at > NEW.expires_at
        THEN RAISE(ABORT, 'forgedb: leases_ended_by_expiry: no lease outlasts its expires_at')
        WHEN NEW.fencing_token <> lease_epoch
        AND (
            NEW.fencing_token < lease_epoch
            OR EXISTS (
                SELECT 1
                FROM leases
                WHERE repository_id = NEW.repository_id
                AND fencing_token > NEW.fencing_token
            )
            -- An import's leases come before the epoch, and count on from the last one.
            OR (
                NEW.fencing_token <> lease_epoch + 1
                AND NOT EXISTS (
                    SELECT 1
                    FROM leases
                    WHERE repository_id = NEW.repository_id
                    AND fencing_token = NEW.fencing_token - 1
                )
                AND (
                    NEW.fencing_token >> 32 BETWEEN (lease_epoch >> 32) + 1
                    AND (SELECT era FROM database_identity)
                ) IS NOT TRUE
            )
        )
        THEN RAISE(
            ABORT,
            'forgedb: leases_newest_is_epoch: lease_epoch is the newest fencing token'
        )
    END
    FROM repositories
    WHERE id = NEW.repository_id;
END;

CREATE TRIGGER leases_end
AFTER UPDATE ON leases
BEGIN
    SELECT CASE
        WHEN NOT EXISTS (
            SELECT 1
            FROM audit_entries
            WHERE target_id = NEW.id
            AND target_type = 'lease'
            AND action <> 'lease.acquire'
        )
        THEN RAISE(ABORT, 'forgedb: leases_told: no entry tells of it')
        WHEN NEW.ended_at > NEW.expires_at
        THEN RAISE(ABORT, 'forgedb: leases_ended_by_expiry: no lease outlasts its expires_at')
    END;
END;

CREATE TRIGGER repositories_lease_epoch_moves
AFTER UPDATE OF lease_epoch ON repositories
WHEN NEW.lease_epoch <> OLD.lease_epoch
BEGIN
    SELECT CASE
        WHEN EXISTS (
            SELECT 1
            FROM leases
            WHERE repository_id = NEW.id
            AND fencing_token > NEW.lease_epoch
        )
        THEN RAISE(
            ABORT,
            'forgedb: leases_newest_is_epoch: lease_epoch is the newest fencing token'
        )
        WHEN NEW.lease_epoch <> OLD.lease_epoch + 1
        AND (
            NEW.lease_epoch >> 32 BETWEEN (OLD.lease_epoch >> 32) + 1
            AND (SELECT era FROM database_identity)
        ) IS NOT TRUE
        -- Several in one go are as many more.
        AND NEW.lease_epoch - OLD.lease_epoch <> (
            SELECT count(*)
            FROM leases
            WHERE repository_id = NEW.id
            AND fencing_token > OLD.lease_epoch
            AND fencing_token <= NEW.lease_epoch
        )
        THEN RAISE(ABORT, 'forgedb: leases_count_tokens: a token is one more, or of a later era')
    END;
END;

-- Nobody appends 2^20 entries in one go; a number near the last that there is would leave room for
-- no more.

CREATE TRIGGER projects_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON projects
WHEN NEW.audit_seq - OLD.audit_seq >> 20 <> 0
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: projects_stream_moves_forward: audit_seq grows by entries'
    );
END;

CREATE TRIGGER repositories_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON repositories
WHEN NEW.audit_seq - OLD.audit_seq >> 20 <> 0
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: repositories_stream_moves_forward: audit_seq grows by entries'
    );
END;

CREATE TRIGGER database_identity_stream_moves_forward
AFTER UPDATE OF audit_seq, audit_head ON database_identity
WHEN NEW.audit_seq - OLD.audit_seq >> 20 <> 0
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: database_identity_stream_moves_forward: audit_seq grows by entries'
    );
END;

-- Eras that are used up protect nobody any more.  They begin by the clock (seconds since 2026 began),
-- so nobody comes to one that is ten years (315,576,000 s) ahead of it; where a clock was that far
-- ahead once, eras go on in steps.
CREATE TRIGGER database_identity_era_steps
AFTER UPDATE OF era ON database_identity
WHEN NEW.era > max(unixepoch() - unixepoch('2026-01-01'), 0) + 315576000
AND (
    OLD.era <= max(unixepoch() - unixepoch('2026-01-01'), 0) + 315576000
    OR NEW.era - OLD.era > 1024
)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: database_identity_era_steps: era can''t be ten years ahead of the clock'
    );
END;

-- A database that isn't where it was begins an era with its first write.  Whoever told it another place
-- before, or none, would keep it in its old one.  One without a repository has nothing to repeat.
CREATE TRIGGER database_identity_moves_with_its_era
AFTER UPDATE OF system_identifier, database_oid ON database_identity
WHEN coalesce(OLD.system_identifier, OLD.database_oid) IS NOT NULL
AND (NEW.system_identifier, NEW.database_oid) IS NOT (OLD.system_identifier, OLD.database_oid)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: database_identity_moves_with_its_era: where it is stays, or begins an era'
    )
    WHERE (NEW.system_identifier IS NULL AND OLD.system_identifier IS NOT NULL)
    OR (NEW.database_oid IS NULL AND OLD.database_oid IS NOT NULL)
    OR (NEW.era = OLD.era AND EXISTS (SELECT 1 FROM repositories));
END;
