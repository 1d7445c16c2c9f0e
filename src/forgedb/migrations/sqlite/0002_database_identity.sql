-- Which database this is, and which of its lives: the era that its fencing tokens begin with.
--
-- A file that is put back from a backup takes grants with it that somebody was told of.  The tokens
-- of the next life begin above all that the last one can have given: they carry the era.
--
-- system_identifier is what the file is known by; it isn't known before the first write.  Columns
-- and rules have the names that they have on PostgreSQL, whose timeline is none here.
--
-- Code of 0.1 reads on and goes on writing in a process that is open; opened anew it only reads.

CREATE TABLE database_identity (
    id                TEXT NOT NULL PRIMARY KEY,
    era               INTEGER NOT NULL,
    system_identifier TEXT,
    database_oid      INTEGER,
    audit_seq         INTEGER NOT NULL,
    audit_head        BLOB NOT NULL,
    created_at        TEXT NOT NULL,
    CONSTRAINT database_identity_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    -- The effective era, which goes into a token's upper half, must fit there.
    CONSTRAINT database_identity_era_check CHECK (era BETWEEN -2000000000 AND 2000000000),
    CONSTRAINT database_identity_system_identifier_check CHECK (
        length(system_identifier) BETWEEN 1 AND 100
        AND instr(system_identifier, char(0)) = 0
    ),
    CONSTRAINT database_identity_database_oid_check CHECK (database_oid >= 0),
    CONSTRAINT database_identity_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT database_identity_audit_head_check CHECK (length(audit_head) = 32),
    CONSTRAINT database_identity_created_at_check CHECK (
        created_at > '0001'
        AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND created_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19))
            || substr(created_at, 20)
    )
) STRICT, WITHOUT ROWID;

-- The one row.  Its id is a ULID: 48 bits of milliseconds, 80 of chance.
INSERT INTO database_identity (
    id, era, system_identifier, database_oid, audit_seq, audit_head, created_at
)
WITH RECURSIVE
begun (milliseconds) AS (
    SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)
),
made (id, place) AS (
    SELECT '', 0
    UNION ALL
    SELECT id || substr(
        '0123456789ABCDEFGHJKMNPQRSTVWXYZ',
        1 + iif(place < 10, (milliseconds >> 5 * (9 - place)) & 31, random() & 31),
        1
    ), place + 1
    FROM made, begun
    WHERE place < 26
)
SELECT id, 0, NULL, NULL, 0, zeroblob(32), strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z'
FROM made
WHERE place = 26;

-- REPLACE would delete it without a word.
CREATE TRIGGER database_identity_insert_keeps_others
BEFORE INSERT ON database_identity
BEGIN
    SELECT RAISE(ABORT, 'forgedb: database_identity_one_per_id: a database has this id')
    WHERE EXISTS (
        SELECT 1
        FROM database_identity
        WHERE id = NEW.id
    );
END;

CREATE TRIGGER database_identity_one_row
AFTER INSERT ON database_identity
BEGIN
    SELECT RAISE(ABORT, 'forgedb: database_identity_one_row: a database has one identity');
END;

CREATE TRIGGER database_identity_fixed_columns
BEFORE UPDATE OF id, created_at ON database_identity
WHEN (NEW.id, NEW.created_at) IS NOT (OLD.id, OLD.created_at)
BEGIN
    SELECT RAISE(ABORT, 'forgedb: database_identity_fixed_columns: id and created_at can''t change');
END;

-- An era that came back would bring its tokens back, and one that nobody tells of is no era.
CREATE TRIGGER database_identity_era_grows
BEFORE UPDATE OF era ON database_identity
WHEN NEW.era < OLD.era OR (NEW.era > OLD.era AND NEW.audit_seq <= OLD.audit_seq)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: database_identity_era_grows: era can''t decrease, and grows with an entry'
    );
END;

CREATE TRIGGER database_identity_never_deleted
BEFORE DELETE ON database_identity
BEGIN
    SELECT RAISE(ABORT, 'forgedb: database_identity_never_deleted: a database has one identity');
END;
