-- The first schema: who and what a forge consists of, and what proves its history.
--
-- Every rule that the database can hold is held here, so that a statement from outside meets it
-- too.  Tables, columns and rules have the names that they have on SQLite; the types are
-- PostgreSQL's own.  json is kept byte for byte as it was hashed, which jsonb would write anew.
--
-- A CHECK is named table_column_check; keys, unique indexes and what triggers raise ("forgedb:
-- rule: words") are named after the rule they hold, so that a refusal names its rule.  A time is
-- finite and of a year with four digits: one that everyone who reads it can hold.
--
-- Text that is a key, a word or an address has the collation "C": it sorts by its bytes, as ids do
-- everywhere.  What people write to each other is left to the database's own.
--
-- What a trigger looks up stands in a function whose body is SQL: PostgreSQL resolves its names
-- when it is created.  A body of text would look for tables when it runs, along the search_path of
-- whoever runs it, and there another schema or a temporary table may come first.

CREATE DOMAIN ulid AS text COLLATE "C"
CONSTRAINT ulid_check CHECK (VALUE ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$');

-- A B-tree takes no key of more than 2704 bytes, which an address or a path may have.  Immutable,
-- as an index needs it: the encoding that convert_to() asks for is the same for every session.
CREATE FUNCTION forgedb_digest(value text) RETURNS bytea
LANGUAGE sql
IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT sha256(convert_to(value, 'UTF8'));
END;

CREATE TABLE projects (
    id          ulid NOT NULL,
    slug        text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    visibility  text COLLATE "C" NOT NULL,
    audit_seq   bigint NOT NULL,
    audit_head  bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    deleted_at  timestamptz,
    CONSTRAINT projects_one_per_id PRIMARY KEY (id),
    CONSTRAINT projects_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
    CONSTRAINT projects_name_check CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT projects_description_check CHECK (length(description) <= 10000),
    CONSTRAINT projects_visibility_check CHECK (visibility IN ('private', 'internal', 'public')),
    CONSTRAINT projects_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT projects_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT projects_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT projects_updated_at_check CHECK (
        updated_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT projects_deleted_at_check CHECK (
        deleted_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

CREATE UNIQUE INDEX projects_one_live_per_slug
ON projects (slug)
WHERE deleted_at IS NULL;

CREATE TABLE repositories (
    id             ulid NOT NULL,
    project_id     ulid NOT NULL
                   REFERENCES projects (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    slug           text COLLATE "C" NOT NULL,
    description    text NOT NULL,
    default_branch text COLLATE "C" NOT NULL,
    object_format  text COLLATE "C" NOT NULL,
    visibility     text COLLATE "C" NOT NULL,
    state          text COLLATE "C" NOT NULL,
    lease_epoch    bigint NOT NULL,
    audit_seq      bigint NOT NULL,
    audit_head     bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    deleted_at     timestamptz,
    CONSTRAINT repositories_one_per_id PRIMARY KEY (id),
    CONSTRAINT repositories_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'),
    CONSTRAINT repositories_description_check CHECK (length(description) <= 10000),
    CONSTRAINT repositories_default_branch_check CHECK (length(default_branch) BETWEEN 1 AND 255),
    CONSTRAINT repositories_object_format_check CHECK (object_format IN ('sha1', 'sha256')),
    CONSTRAINT repositories_visibility_check CHECK (
        visibility IN ('private', 'internal', 'public')
    ),
    CONSTRAINT repositories_state_check CHECK (state IN ('active', 'read_only', 'archived')),
    CONSTRAINT repositories_lease_epoch_check CHECK (lease_epoch >= 0),
    CONSTRAINT repositories_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT repositories_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT repositories_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT repositories_updated_at_check CHECK (
        updated_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT repositories_deleted_at_check CHECK (
        deleted_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

CREATE UNIQUE INDEX repositories_one_live_per_path
ON repositories (project_id, slug)
WHERE deleted_at IS NULL;

-- Not only of live rows: lists that include deleted ones page by it too.
CREATE INDEX repositories_by_project
ON repositories (project_id, id);

CREATE TABLE leases (
    id                ulid NOT NULL,
    repository_id     ulid NOT NULL
                      REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    holder            text COLLATE "C" NOT NULL,
    purpose           text NOT NULL,
    fencing_token     bigint NOT NULL,
    idempotency_key   text COLLATE "C",
    acquired_at       timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    end_reason        text COLLATE "C",
    previous_lease_id ulid
                      REFERENCES leases (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    ended_by          text COLLATE "C",
    end_note          text,
    CONSTRAINT leases_one_per_id PRIMARY KEY (id),
    CONSTRAINT leases_holder_check CHECK (length(holder) BETWEEN 1 AND 200),
    CONSTRAINT leases_purpose_check CHECK (length(purpose) <= 1000),
    CONSTRAINT leases_fencing_token_check CHECK (fencing_token >= 1),
    CONSTRAINT leases_idempotency_key_check CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    CONSTRAINT leases_acquired_at_check CHECK (
        acquired_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT leases_expires_at_check CHECK (
        expires_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    -- Hours, and no days, which are longer and shorter where a zone changes its clocks.
    CONSTRAINT leases_72_hours_check CHECK (
        expires_at > acquired_at
        AND expires_at <= acquired_at + INTERVAL '72 hours'
    ),
    CONSTRAINT leases_ended_at_check CHECK (
        ended_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT leases_ended_after_acquired_check CHECK (ended_at >= acquired_at),
    CONSTRAINT leases_end_reason_check CHECK (
        end_reason IN ('released', 'expired', 'forced', 'transferred')
    ),
    CONSTRAINT leases_previous_lease_id_not_itself_check CHECK (previous_lease_id <> id),
    CONSTRAINT leases_ended_by_check CHECK (length(ended_by) BETWEEN 1 AND 200),
    CONSTRAINT leases_end_note_check CHECK (length(end_note) BETWEEN 1 AND 2000),
    CONSTRAINT leases_end_complete_check CHECK (
        (ended_at IS NULL) = (end_reason IS NULL)
        AND (ended_at IS NULL) = (ended_by IS NULL)
        AND (ended_at IS NOT NULL OR end_note IS NULL)
    ),
    CONSTRAINT leases_forced_says_why_check CHECK (end_reason <> 'forced' OR end_note IS NOT NULL)
);

CREATE UNIQUE INDEX leases_one_open_per_repository
ON leases (repository_id)
WHERE ended_at IS NULL;

CREATE UNIQUE INDEX leases_one_per_fencing_token
ON leases (repository_id, fencing_token);

CREATE INDEX leases_open_by_expiry
ON leases (expires_at, id)
WHERE ended_at IS NULL;

-- Only of open leases: a worker that comes back for years has few of these, and many ended ones.
CREATE INDEX leases_open_by_holder
ON leases (holder, id)
WHERE ended_at IS NULL;

CREATE INDEX leases_open
ON leases (id)
WHERE ended_at IS NULL;

-- No foreign key: an entry outlives whatever becomes of its target.
CREATE TABLE audit_entries (
    stream_id    ulid NOT NULL,
    seq          bigint NOT NULL,
    id           ulid NOT NULL,
    at           timestamptz NOT NULL,
    actor        text COLLATE "C" NOT NULL,
    action       text COLLATE "C" NOT NULL,
    target_type  text COLLATE "C" NOT NULL,
    target_id    ulid NOT NULL,
    request_id   text COLLATE "C",
    source_ip    text COLLATE "C",
    reason       text,
    changes      json NOT NULL,
    hash_version bigint NOT NULL,
    entry_hash   bytea NOT NULL,
    CONSTRAINT audit_entries_one_per_seq PRIMARY KEY (stream_id, seq),
    CONSTRAINT audit_entries_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_entries_at_check CHECK (
        at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT audit_entries_actor_check CHECK (length(actor) BETWEEN 1 AND 200),
    CONSTRAINT audit_entries_action_check CHECK (length(action) BETWEEN 1 AND 100),
    CONSTRAINT audit_entries_target_type_check CHECK (length(target_type) BETWEEN 1 AND 50),
    CONSTRAINT audit_entries_request_id_check CHECK (length(request_id) BETWEEN 1 AND 200),
    CONSTRAINT audit_entries_source_ip_check CHECK (length(source_ip) BETWEEN 1 AND 45),
    CONSTRAINT audit_entries_reason_check CHECK (length(reason) BETWEEN 1 AND 2000),
    -- JSON that begins with a brace is an object: json_typeof() would parse it a second time.
    CONSTRAINT audit_entries_changes_check CHECK (
        length(changes::text) <= 1000000
        AND left(changes::text, 1) = '{'
    ),
    CONSTRAINT audit_entries_hash_version_check CHECK (hash_version >= 1),
    CONSTRAINT audit_entries_entry_hash_check CHECK (octet_length(entry_hash) = 32)
);

CREATE UNIQUE INDEX audit_entries_one_per_id
ON audit_entries (id);

-- An id is unique across tables: the target's type need not be in the index.
CREATE INDEX audit_entries_by_target
ON audit_entries (target_id, id);

CREATE INDEX audit_entries_by_actor
ON audit_entries (actor, id);

CREATE INDEX audit_entries_by_action
ON audit_entries (action, id);

CREATE INDEX audit_entries_by_time
ON audit_entries (at, id);

-- The one table of millions of rows: the repository's id is checked by the foreign key alone, since
-- the domain's pattern takes a quarter of an insert's time, while the oid's length against the
-- repository's object format is left to the code that takes the batch.
CREATE TABLE object_metadata (
    repository_id text COLLATE "C" NOT NULL
                  REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    oid           bytea NOT NULL,
    type          smallint NOT NULL,
    size          bigint NOT NULL,
    disk_size     bigint,
    created_at    timestamptz NOT NULL,
    CONSTRAINT object_metadata_one_per_oid PRIMARY KEY (repository_id, oid),
    CONSTRAINT object_metadata_oid_check CHECK (octet_length(oid) IN (20, 32)),
    CONSTRAINT object_metadata_type_check CHECK (type BETWEEN 1 AND 4),
    CONSTRAINT object_metadata_size_check CHECK (size >= 0),
    CONSTRAINT object_metadata_disk_size_check CHECK (disk_size >= 0),
    CONSTRAINT object_metadata_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
) PARTITION BY HASH (repository_id);

CREATE TABLE object_metadata_00 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 0);

CREATE TABLE object_metadata_01 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 1);

CREATE TABLE object_metadata_02 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 2);

CREATE TABLE object_metadata_03 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 3);

CREATE TABLE object_metadata_04 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 4);

CREATE TABLE object_metadata_05 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 5);

CREATE TABLE object_metadata_06 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 6);

CREATE TABLE object_metadata_07 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 7);

CREATE TABLE object_metadata_08 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 8);

CREATE TABLE object_metadata_09 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 9);

CREATE TABLE object_metadata_10 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 10);

CREATE TABLE object_metadata_11 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 11);

CREATE TABLE object_metadata_12 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 12);

CREATE TABLE object_metadata_13 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 13);

CREATE TABLE object_metadata_14 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 14);

CREATE TABLE object_metadata_15 PARTITION OF object_metadata
FOR VALUES WITH (MODULUS 16, REMAINDER 15);

CREATE INDEX object_metadata_by_oid
ON object_metadata (oid);

CREATE TABLE mirrors (
    id                   ulid NOT NULL,
    repository_id        ulid NOT NULL
                         REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    direction            text COLLATE "C" NOT NULL,
    remote_url           text COLLATE "C" NOT NULL,
    credential_ref       text COLLATE "C",
    enabled              boolean NOT NULL,
    interval_seconds     bigint,
    status               text COLLATE "C" NOT NULL,
    next_run_at          timestamptz,
    last_started_at      timestamptz,
    last_success_at      timestamptz,
    consecutive_failures bigint NOT NULL,
    last_error           text,
    run_token            ulid,
    run_deadline_at      timestamptz,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    CONSTRAINT mirrors_one_per_id PRIMARY KEY (id),
    CONSTRAINT mirrors_direction_check CHECK (direction IN ('pull', 'push')),
    CONSTRAINT mirrors_remote_url_check CHECK (length(remote_url) BETWEEN 1 AND 2048),
    -- Between :// and the next slash stands user:password@ or there is no password.
    CONSTRAINT mirrors_remote_url_credentials_check CHECK (
        strpos(remote_url, '://') = 0
        OR split_part(substr(remote_url, strpos(remote_url, '://') + 3), '/', 1) NOT LIKE '%:%@%'
    ),
    CONSTRAINT mirrors_credential_ref_check CHECK (length(credential_ref) BETWEEN 1 AND 200),
    CONSTRAINT mirrors_interval_seconds_check CHECK (interval_seconds BETWEEN 60 AND 31536000),
    CONSTRAINT mirrors_status_check CHECK (status IN ('never', 'running', 'ok', 'failed')),
    CONSTRAINT mirrors_next_run_at_check CHECK (
        next_run_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT mirrors_last_started_at_check CHECK (
        last_started_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT mirrors_last_success_at_check CHECK (
        last_success_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT mirrors_consecutive_failures_check CHECK (consecutive_failures >= 0),
    CONSTRAINT mirrors_last_error_check CHECK (length(last_error) BETWEEN 1 AND 10000),
    CONSTRAINT mirrors_run_deadline_at_check CHECK (
        run_deadline_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT mirrors_running_complete_check CHECK (
        (status = 'running') = (run_token IS NOT NULL)
        AND (status = 'running') = (run_deadline_at IS NOT NULL)
    ),
    CONSTRAINT mirrors_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT mirrors_updated_at_check CHECK (
        updated_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

CREATE UNIQUE INDEX mirrors_one_pull_per_repository
ON mirrors (repository_id)
WHERE direction = 'pull';

CREATE UNIQUE INDEX mirrors_one_per_remote
ON mirrors (repository_id, direction, forgedb_digest(remote_url));

CREATE INDEX mirrors_by_repository
ON mirrors (repository_id, id);

CREATE INDEX mirrors_due
ON mirrors (next_run_at, id)
WHERE enabled AND next_run_at IS NOT NULL;

CREATE TABLE repository_relationships (
    id         ulid NOT NULL,
    source_id  ulid NOT NULL
               REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    target_id  ulid
               REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    target_url text COLLATE "C",
    kind       text COLLATE "C" NOT NULL,
    path       text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT repository_relationships_one_per_id PRIMARY KEY (id),
    CONSTRAINT repository_relationships_target_url_check CHECK (
        length(target_url) BETWEEN 1 AND 2048
    ),
    CONSTRAINT repository_relationships_target_url_credentials_check CHECK (
        strpos(target_url, '://') = 0
        OR split_part(substr(target_url, strpos(target_url, '://') + 3), '/', 1) NOT LIKE '%:%@%'
    ),
    CONSTRAINT repository_relationships_one_target_check CHECK (
        (target_id IS NULL) <> (target_url IS NULL)
    ),
    CONSTRAINT repository_relationships_not_to_itself_check CHECK (target_id <> source_id),
    CONSTRAINT repository_relationships_kind_check CHECK (
        kind IN ('fork', 'template', 'mirror', 'submodule', 'object_pool')
    ),
    CONSTRAINT repository_relationships_path_check CHECK (length(path) <= 4096),
    CONSTRAINT repository_relationships_created_at_check CHECK (
        created_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT repository_relationships_updated_at_check CHECK (
        updated_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

-- An expression for each NULL: a unique index takes NULLs for different from each other.
CREATE UNIQUE INDEX repository_relationships_no_duplicates
ON repository_relationships (
    source_id,
    kind,
    coalesce(target_id, ''),
    forgedb_digest(coalesce(target_url, '')),
    forgedb_digest(path)
);

CREATE UNIQUE INDEX repository_relationships_one_fork_parent
ON repository_relationships (source_id)
WHERE kind = 'fork';

CREATE INDEX repository_relationships_by_source
ON repository_relationships (source_id, id);

CREATE INDEX repository_relationships_by_target
ON repository_relationships (target_id, id);

-- Signed Merkle roots (RFC 9162) over the streams' heads, each checkpoint chained to the one
-- before.  heads holds the leaves in order: the stream, seq and entry hash of each stream that
-- changed since the last checkpoint.
CREATE TABLE audit_checkpoints (
    seq             bigint NOT NULL,
    at              timestamptz NOT NULL,
    format_version  bigint NOT NULL,
    tree_size       bigint NOT NULL,
    root_hash       bytea NOT NULL,
    previous_hash   bytea NOT NULL,
    checkpoint_hash bytea NOT NULL,
    heads           json NOT NULL,
    key_id          text COLLATE "C" NOT NULL,
    signature       bytea NOT NULL,
    CONSTRAINT audit_checkpoints_one_per_seq PRIMARY KEY (seq),
    CONSTRAINT audit_checkpoints_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_checkpoints_at_check CHECK (
        at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    ),
    CONSTRAINT audit_checkpoints_format_version_check CHECK (format_version >= 1),
    CONSTRAINT audit_checkpoints_tree_size_check CHECK (tree_size >= 0),
    CONSTRAINT audit_checkpoints_root_hash_check CHECK (octet_length(root_hash) = 32),
    CONSTRAINT audit_checkpoints_previous_hash_check CHECK (octet_length(previous_hash) = 32),
    CONSTRAINT audit_checkpoints_checkpoint_hash_check CHECK (octet_length(checkpoint_hash) = 32),
    -- CASE keeps json_array_length() from what is no array, at which it would fail.
    CONSTRAINT audit_checkpoints_heads_check CHECK (
        CASE
            WHEN left(heads::text, 1) = '[' THEN json_array_length(heads) = tree_size
            ELSE false
        END
    ),
    CONSTRAINT audit_checkpoints_key_id_check CHECK (length(key_id) BETWEEN 1 AND 200),
    CONSTRAINT audit_checkpoints_signature_check CHECK (octet_length(signature) = 64)
);

CREATE UNIQUE INDEX audit_checkpoints_one_per_hash
ON audit_checkpoints (checkpoint_hash);

-- What became of each line of a JSON Lines lease log.  A run on the same or a longer file finds its
-- lines here by source and number, and their hashes tell whether they are still the same; a line
-- whose repository was unknown has no lease yet.  The log's own ids need not be ULIDs.
CREATE TABLE lease_import_lines (
    source          text COLLATE "C" NOT NULL,
    line_number     bigint NOT NULL,
    line_sha256     bytea NOT NULL,
    event           text COLLATE "C" NOT NULL,
    legacy_lease_id text COLLATE "C" NOT NULL,
    repository_id   text COLLATE "C",
    lease_id        ulid
                    REFERENCES leases (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    imported_at     timestamptz NOT NULL,
    CONSTRAINT lease_import_lines_one_per_line PRIMARY KEY (source, line_number),
    CONSTRAINT lease_import_lines_source_check CHECK (length(source) BETWEEN 1 AND 4096),
    CONSTRAINT lease_import_lines_line_number_check CHECK (line_number >= 1),
    CONSTRAINT lease_import_lines_line_sha256_check CHECK (octet_length(line_sha256) = 32),
    CONSTRAINT lease_import_lines_event_check CHECK (event IN ('acquired', 'released', 'forced')),
    CONSTRAINT lease_import_lines_legacy_lease_id_check CHECK (
        length(legacy_lease_id) BETWEEN 1 AND 200
    ),
    CONSTRAINT lease_import_lines_repository_id_check CHECK (
        length(repository_id) BETWEEN 1 AND 200
    ),
    -- Only the line that begins a lease names its repository.
    CONSTRAINT lease_import_lines_acquired_names_repository_check CHECK (
        (event = 'acquired') = (repository_id IS NOT NULL)
    ),
    CONSTRAINT lease_import_lines_imported_at_check CHECK (
        imported_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T23:59:59.999999Z'
    )
);

-- A log read under another name brings no event twice.
CREATE UNIQUE INDEX lease_import_lines_one_per_event
ON lease_import_lines (legacy_lease_id, event);

CREATE INDEX lease_import_lines_by_lease
ON lease_import_lines (lease_id);

-- What triggers do.

-- Its arguments are the rule's name and its words.
CREATE FUNCTION forgedb_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'forgedb: %: %', TG_ARGV[0], TG_ARGV[1]
    USING
        ERRCODE = '23000',
        SCHEMA = TG_TABLE_SCHEMA,
        TABLE = TG_TABLE_NAME,
        CONSTRAINT = TG_ARGV[0];
END;
$$;

CREATE FUNCTION forgedb_touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.updated_at := greatest(
        pg_catalog.clock_timestamp(),
        OLD.updated_at + INTERVAL '1 microsecond'
    );
    RETURN NEW;
END;
$$;

-- The number reads "forg".
CREATE FUNCTION forgedb_lock_kind() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(1718579815, pg_catalog.hashtext(NEW.kind));
    RETURN NEW;
END;
$$;

-- What triggers ask.  VOLATILE, which is the default, gives each its own snapshot: what others
-- committed while a lock was waited for is seen, and so are the rows of the same statement.

-- The lock keeps the project as it is until whoever asks has committed.
CREATE FUNCTION forgedb_locked_project_is_deleted(project_id ulid) RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    SELECT project.deleted_at IS NOT NULL
    FROM projects AS project
    WHERE project.id = forgedb_locked_project_is_deleted.project_id
    FOR SHARE;
END;

CREATE FUNCTION forgedb_has_live_repositories(project_id ulid) RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT 1
        FROM repositories AS repository
        WHERE repository.project_id = forgedb_has_live_repositories.project_id
        AND repository.deleted_at IS NULL
    );
END;

CREATE FUNCTION forgedb_descends_from(target_id ulid, source_id ulid, kind text) RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    WITH RECURSIVE ancestors (id) AS (
        SELECT forgedb_descends_from.target_id
        UNION
        SELECT edge.target_id
        FROM ancestors
        JOIN repository_relationships AS edge ON edge.source_id = ancestors.id
        WHERE edge.kind = forgedb_descends_from.kind
    )
    SELECT EXISTS (
        SELECT 1
        FROM ancestors
        WHERE ancestors.id = forgedb_descends_from.source_id
    );
END;

-- What stays as it was written.  TRUNCATE fires no trigger of a row.

CREATE TRIGGER projects_fixed_columns
BEFORE UPDATE OF id, created_at ON projects
FOR EACH ROW
WHEN ((NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_at))
EXECUTE FUNCTION forgedb_refuse('projects_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER projects_never_deleted
BEFORE DELETE ON projects
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER projects_never_truncated
BEFORE TRUNCATE ON projects
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_fixed_columns
BEFORE UPDATE OF id, project_id, object_format, created_at ON repositories
FOR EACH ROW
WHEN (
    (NEW.id, NEW.project_id, NEW.object_format, NEW.created_at)
    IS DISTINCT FROM (OLD.id, OLD.project_id, OLD.object_format, OLD.created_at)
)
EXECUTE FUNCTION forgedb_refuse(
    'repositories_fixed_columns',
    'ids, object_format and created_at can''t change'
);

CREATE TRIGGER repositories_never_deleted
BEFORE DELETE ON repositories
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_never_truncated
BEFORE TRUNCATE ON repositories
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

-- A fencing token that came back would let a writer that lost its lease write again.
CREATE TRIGGER repositories_lease_epoch_grows
BEFORE UPDATE OF lease_epoch ON repositories
FOR EACH ROW
WHEN (NEW.lease_epoch < OLD.lease_epoch)
EXECUTE FUNCTION forgedb_refuse(
    'repositories_lease_epoch_grows',
    'lease_epoch can''t decrease'
);

CREATE TRIGGER leases_change_once
BEFORE UPDATE ON leases
FOR EACH ROW
WHEN (
    OLD.ended_at IS NOT NULL
    OR NEW.ended_at IS NULL
    OR (
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

CREATE TRIGGER leases_never_deleted
BEFORE DELETE ON leases
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER leases_never_truncated
BEFORE TRUNCATE ON leases
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER audit_entries_never_updated
BEFORE UPDATE ON audit_entries
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be updated');

CREATE TRIGGER audit_entries_never_deleted
BEFORE DELETE ON audit_entries
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_entries_never_truncated
BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_updated
BEFORE UPDATE ON audit_checkpoints
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be updated');

CREATE TRIGGER audit_checkpoints_never_deleted
BEFORE DELETE ON audit_checkpoints
FOR EACH ROW
EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_truncated
BEFORE TRUNCATE ON audit_checkpoints
FOR EACH STATEMENT
EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER mirrors_fixed_columns
BEFORE UPDATE OF id, repository_id, created_at ON mirrors
FOR EACH ROW
WHEN (
    (NEW.id, NEW.repository_id, NEW.created_at)
    IS DISTINCT FROM (OLD.id, OLD.repository_id, OLD.created_at)
)
EXECUTE FUNCTION forgedb_refuse(
    'mirrors_fixed_columns',
    'id, repository_id and created_at can''t change'
);

CREATE TRIGGER repository_relationships_fixed_columns
BEFORE UPDATE OF id, created_at ON repository_relationships
FOR EACH ROW
WHEN ((NEW.id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.created_at))
EXECUTE FUNCTION forgedb_refuse(
    'repository_relationships_fixed_columns',
    'id and created_at can''t change'
);

-- A live repository has a live project.  Whoever brings one to life locks the project before the
-- look, and whoever deletes the project has it locked by the UPDATE: the second waits for the
-- first, and under READ COMMITTED then sees what it did.

CREATE TRIGGER repositories_insert_under_live_project
BEFORE INSERT ON repositories
FOR EACH ROW
WHEN (NEW.deleted_at IS NULL AND forgedb_locked_project_is_deleted(NEW.project_id))
EXECUTE FUNCTION forgedb_refuse(
    'repositories_under_live_project',
    'the project is deleted'
);

CREATE TRIGGER repositories_restore_under_live_project
BEFORE UPDATE OF deleted_at ON repositories
FOR EACH ROW
WHEN (NEW.deleted_at IS NULL AND forgedb_locked_project_is_deleted(NEW.project_id))
EXECUTE FUNCTION forgedb_refuse(
    'repositories_under_live_project',
    'the project is deleted'
);

CREATE TRIGGER projects_delete_without_live_repositories
BEFORE UPDATE OF deleted_at ON projects
FOR EACH ROW
WHEN (NEW.deleted_at IS NOT NULL AND forgedb_has_live_repositories(OLD.id))
EXECUTE FUNCTION forgedb_refuse(
    'projects_without_live_repositories',
    'it has live repositories'
);

-- No repository is its own ancestor.  Writers that each add one edge of a cycle wait for each other
-- BEFORE either has written what the other could stumble over; the look comes AFTER, so that the
-- rows are as they would stay.

CREATE TRIGGER repository_relationships_insert_locks_kind
BEFORE INSERT ON repository_relationships
FOR EACH ROW
WHEN (NEW.kind IN ('fork', 'template', 'object_pool'))
EXECUTE FUNCTION forgedb_lock_kind();

CREATE TRIGGER repository_relationships_update_locks_kind
BEFORE UPDATE OF source_id, target_id, kind ON repository_relationships
FOR EACH ROW
WHEN (NEW.kind IN ('fork', 'template', 'object_pool'))
EXECUTE FUNCTION forgedb_lock_kind();

CREATE TRIGGER repository_relationships_insert_acyclic
AFTER INSERT ON repository_relationships
FOR EACH ROW
WHEN (
    NEW.kind IN ('fork', 'template', 'object_pool')
    AND forgedb_descends_from(NEW.target_id, NEW.source_id, NEW.kind)
)
EXECUTE FUNCTION forgedb_refuse(
    'repository_relationships_acyclic',
    'the target descends from it'
);

CREATE TRIGGER repository_relationships_update_acyclic
AFTER UPDATE OF source_id, target_id, kind ON repository_relationships
FOR EACH ROW
WHEN (
    NEW.kind IN ('fork', 'template', 'object_pool')
    AND forgedb_descends_from(NEW.target_id, NEW.source_id, NEW.kind)
)
EXECUTE FUNCTION forgedb_refuse(
    'repository_relationships_acyclic',
    'the target descends from it'
);

-- updated_at, for statements that leave it as it was.  It always grows, by a microsecond at least.

CREATE TRIGGER projects_touch_updated_at
BEFORE UPDATE OF
    slug,
    name,
    description,
    visibility,
    deleted_at
ON projects
FOR EACH ROW
WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER repositories_touch_updated_at
BEFORE UPDATE OF
    slug,
    description,
    default_branch,
    visibility,
    state,
    deleted_at
ON repositories
FOR EACH ROW
WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER mirrors_touch_updated_at
BEFORE UPDATE OF
    direction,
    remote_url,
    credential_ref,
    enabled,
    interval_seconds,
    status,
    next_run_at,
    last_started_at,
    last_success_at,
    consecutive_failures,
    last_error,
    run_token,
    run_deadline_at
ON mirrors
FOR EACH ROW
WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER repository_relationships_touch_updated_at
BEFORE UPDATE OF
    source_id,
    target_id,
    target_url,
    kind,
    path
ON repository_relationships
FOR EACH ROW
WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at)
EXECUTE FUNCTION forgedb_touch_updated_at();
