SET check_function_bodies = off;

CREATE DOMAIN ulid AS text COLLATE "C"
    CONSTRAINT ulid_check CHECK (VALUE ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text);

CREATE OR REPLACE FUNCTION forgedb_database_moves()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION forgedb_is_of_a_savepoint(row_xmin xid)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    this_one bigint := pg_current_xact_id()::text::bigint;
    later bigint := row_xmin::text::bigint - this_one & 4294967295;
BEGIN
    RETURN later < 2147483648 AND pg_xact_status((this_one + later)::text::xid8) = 'in progress';
END;
$function$;

CREATE OR REPLACE FUNCTION forgedb_lease_begins()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION forgedb_lease_ends()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION forgedb_lease_epoch_moves()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION forgedb_lock_kind()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(1718579815, pg_catalog.hashtext(NEW.kind));
    RETURN NEW;
END;
$function$;

CREATE OR REPLACE FUNCTION forgedb_refuse()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'forgedb: %: %', TG_ARGV[0], TG_ARGV[1]
    USING
        ERRCODE = '23000',
        SCHEMA = TG_TABLE_SCHEMA,
        TABLE = TG_TABLE_NAME,
        CONSTRAINT = TG_ARGV[0];
END;
$function$;

CREATE OR REPLACE FUNCTION forgedb_system_identifier()
 RETURNS text
 LANGUAGE plpgsql
AS $function$
BEGIN
    RETURN (SELECT control.system_identifier FROM pg_catalog.pg_control_system() AS control);
EXCEPTION
    WHEN OTHERS THEN
        RETURN NULL;
END;
$function$;

CREATE OR REPLACE FUNCTION forgedb_timeline()
 RETURNS bigint
 LANGUAGE plpgsql
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION forgedb_touch_updated_at()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.updated_at := greatest(
        pg_catalog.clock_timestamp(),
        OLD.updated_at + INTERVAL '1 microsecond'
    );
    RETURN NEW;
END;
$function$;

CREATE TABLE audit_checkpoints (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    format_version bigint NOT NULL,
    tree_size bigint NOT NULL,
    root_hash bytea NOT NULL,
    previous_hash bytea NOT NULL,
    checkpoint_hash bytea NOT NULL,
    heads json NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT audit_checkpoints_one_per_seq PRIMARY KEY (seq),
    CONSTRAINT audit_checkpoints_at_check CHECK (at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT audit_checkpoints_checkpoint_hash_check CHECK (octet_length(checkpoint_hash) = 32),
    CONSTRAINT audit_checkpoints_format_version_check CHECK (format_version >= 1),
    CONSTRAINT audit_checkpoints_heads_check CHECK (
CASE
    WHEN "left"(heads::text, 1) = '['::text THEN json_array_length(heads) = tree_size
    ELSE false
END),
    CONSTRAINT audit_checkpoints_key_id_check CHECK (length(key_id) >= 1 AND length(key_id) <= 200),
    CONSTRAINT audit_checkpoints_previous_hash_check CHECK (octet_length(previous_hash) = 32),
    CONSTRAINT audit_checkpoints_root_hash_check CHECK (octet_length(root_hash) = 32),
    CONSTRAINT audit_checkpoints_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_checkpoints_signature_check CHECK (octet_length(signature) = 64),
    CONSTRAINT audit_checkpoints_tree_size_check CHECK (tree_size >= 0)
);

CREATE TABLE audit_entries (
    stream_id ulid NOT NULL,
    seq bigint NOT NULL,
    id ulid NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    target_type text COLLATE "C" NOT NULL,
    target_id ulid NOT NULL,
    request_id text COLLATE "C",
    source_ip text COLLATE "C",
    reason text,
    changes json NOT NULL,
    hash_version bigint NOT NULL,
    entry_hash bytea NOT NULL,
    CONSTRAINT audit_entries_one_per_seq PRIMARY KEY (stream_id, seq),
    CONSTRAINT audit_entries_action_check CHECK (length(action) >= 1 AND length(action) <= 100),
    CONSTRAINT audit_entries_actor_check CHECK (length(actor) >= 1 AND length(actor) <= 200),
    CONSTRAINT audit_entries_at_check CHECK (at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT audit_entries_changes_check CHECK (length(changes::text) <= 1000000 AND "left"(changes::text, 1) = '{'::text),
    CONSTRAINT audit_entries_entry_hash_check CHECK (octet_length(entry_hash) = 32),
    CONSTRAINT audit_entries_hash_version_check CHECK (hash_version >= 1),
    CONSTRAINT audit_entries_reason_check CHECK (length(reason) >= 1 AND length(reason) <= 2000),
    CONSTRAINT audit_entries_request_id_check CHECK (length(request_id) >= 1 AND length(request_id) <= 200),
    CONSTRAINT audit_entries_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_entries_source_ip_check CHECK (length(source_ip) >= 1 AND length(source_ip) <= 45),
    CONSTRAINT audit_entries_target_type_check CHECK (length(target_type) >= 1 AND length(target_type) <= 50)
);

CREATE TABLE database_identity (
    id ulid NOT NULL,
    era bigint NOT NULL,
    system_identifier text COLLATE "C",
    database_oid bigint,
    audit_seq bigint NOT NULL,
    audit_head bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT database_identity_one_per_id PRIMARY KEY (id),
    CONSTRAINT database_identity_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT database_identity_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT database_identity_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT database_identity_database_oid_check CHECK (database_oid >= 0),
    CONSTRAINT database_identity_era_check CHECK (era >= '-2000000000'::integer AND era <= 2000000000),
    CONSTRAINT database_identity_system_identifier_check CHECK (length(system_identifier) >= 1 AND length(system_identifier) <= 100)
);

CREATE TABLE lease_import_lines (
    source text COLLATE "C" NOT NULL,
    line_number bigint NOT NULL,
    line_sha256 bytea NOT NULL,
    event text COLLATE "C" NOT NULL,
    legacy_lease_id text COLLATE "C" NOT NULL,
    repository_id text COLLATE "C",
    lease_id ulid,
    imported_at timestamp with time zone NOT NULL,
    CONSTRAINT lease_import_lines_one_per_line PRIMARY KEY (source, line_number),
    CONSTRAINT lease_import_lines_acquired_names_repository_check CHECK ((event = 'acquired'::text) = (repository_id IS NOT NULL)),
    CONSTRAINT lease_import_lines_event_check CHECK (event = ANY (ARRAY['acquired'::text, 'released'::text, 'forced'::text])),
    CONSTRAINT lease_import_lines_imported_at_check CHECK (imported_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND imported_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT lease_import_lines_legacy_lease_id_check CHECK (length(legacy_lease_id) >= 1 AND length(legacy_lease_id) <= 200),
    CONSTRAINT lease_import_lines_line_number_check CHECK (line_number >= 1),
    CONSTRAINT lease_import_lines_line_sha256_check CHECK (octet_length(line_sha256) = 32),
    CONSTRAINT lease_import_lines_repository_id_check CHECK (length(repository_id) >= 1 AND length(repository_id) <= 200),
    CONSTRAINT lease_import_lines_source_check CHECK (length(source) >= 1 AND length(source) <= 4096)
);

CREATE TABLE leases (
    id ulid NOT NULL,
    repository_id ulid NOT NULL,
    holder text COLLATE "C" NOT NULL,
    purpose text NOT NULL,
    fencing_token bigint NOT NULL,
    idempotency_key text COLLATE "C",
    acquired_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text COLLATE "C",
    previous_lease_id ulid,
    ended_by text COLLATE "C",
    end_note text,
    CONSTRAINT leases_one_per_id PRIMARY KEY (id),
    CONSTRAINT leases_72_hours_check CHECK (expires_at > acquired_at AND expires_at <= (acquired_at + '72:00:00'::interval)),
    CONSTRAINT leases_acquired_at_check CHECK (acquired_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND acquired_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT leases_end_complete_check CHECK ((ended_at IS NULL) = (end_reason IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NOT NULL OR end_note IS NULL)),
    CONSTRAINT leases_end_note_check CHECK (length(end_note) >= 1 AND length(end_note) <= 2000),
    CONSTRAINT leases_end_reason_check CHECK (end_reason = ANY (ARRAY['released'::text, 'expired'::text, 'forced'::text, 'transferred'::text])),
    CONSTRAINT leases_ended_after_acquired_check CHECK (ended_at >= acquired_at),
    CONSTRAINT leases_ended_at_check CHECK (ended_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND ended_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT leases_ended_by_check CHECK (length(ended_by) >= 1 AND length(ended_by) <= 200),
    CONSTRAINT leases_expires_at_check CHECK (expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND expires_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT leases_fencing_token_check CHECK (fencing_token >= 1),
    CONSTRAINT leases_forced_says_why_check CHECK (end_reason <> 'forced'::text OR end_note IS NOT NULL),
    CONSTRAINT leases_holder_check CHECK (length(holder) >= 1 AND length(holder) <= 200),
    CONSTRAINT leases_idempotency_key_check CHECK (length(idempotency_key) >= 1 AND length(idempotency_key) <= 200),
    CONSTRAINT leases_previous_lease_id_not_itself_check CHECK (previous_lease_id::text <> id::text),
    CONSTRAINT leases_purpose_check CHECK (length(purpose) <= 1000)
);

CREATE TABLE mirrors (
    id ulid NOT NULL,
    repository_id ulid NOT NULL,
    direction text COLLATE "C" NOT NULL,
    remote_url text COLLATE "C" NOT NULL,
    credential_ref text COLLATE "C",
    enabled boolean NOT NULL,
    interval_seconds bigint,
    status text COLLATE "C" NOT NULL,
    next_run_at timestamp with time zone,
    last_started_at timestamp with time zone,
    last_success_at timestamp with time zone,
    consecutive_failures bigint NOT NULL,
    last_error text,
    run_token ulid,
    run_deadline_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT mirrors_one_per_id PRIMARY KEY (id),
    CONSTRAINT mirrors_consecutive_failures_check CHECK (consecutive_failures >= 0),
    CONSTRAINT mirrors_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT mirrors_credential_ref_check CHECK (length(credential_ref) >= 1 AND length(credential_ref) <= 200),
    CONSTRAINT mirrors_direction_check CHECK (direction = ANY (ARRAY['pull'::text, 'push'::text])),
    CONSTRAINT mirrors_interval_seconds_check CHECK (interval_seconds >= 60 AND interval_seconds <= 31536000),
    CONSTRAINT mirrors_last_error_check CHECK (length(last_error) >= 1 AND length(last_error) <= 10000),
    CONSTRAINT mirrors_last_started_at_check CHECK (last_started_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND last_started_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT mirrors_last_success_at_check CHECK (last_success_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND last_success_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT mirrors_next_run_at_check CHECK (next_run_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND next_run_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT mirrors_remote_url_check CHECK (length(remote_url) >= 1 AND length(remote_url) <= 2048),
    CONSTRAINT mirrors_remote_url_credentials_check CHECK (strpos(remote_url, '://'::text) = 0 OR split_part(substr(remote_url, strpos(remote_url, '://'::text) + 3), '/'::text, 1) !~~ '%:%@%'::text),
    CONSTRAINT mirrors_run_deadline_at_check CHECK (run_deadline_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND run_deadline_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT mirrors_running_complete_check CHECK ((status = 'running'::text) = (run_token IS NOT NULL) AND (status = 'running'::text) = (run_deadline_at IS NOT NULL)),
    CONSTRAINT mirrors_status_check CHECK (status = ANY (ARRAY['never'::text, 'running'::text, 'ok'::text, 'failed'::text])),
    CONSTRAINT mirrors_updated_at_check CHECK (updated_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND updated_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone)
);

CREATE TABLE object_metadata (
    repository_id text COLLATE "C" NOT NULL,
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_one_per_oid PRIMARY KEY (repository_id, oid),
    CONSTRAINT object_metadata_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT object_metadata_disk_size_check CHECK (disk_size >= 0),
    CONSTRAINT object_metadata_oid_check CHECK (octet_length(oid) = ANY (ARRAY[20, 32])),
    CONSTRAINT object_metadata_size_check CHECK (size >= 0),
    CONSTRAINT object_metadata_type_check CHECK (type >= 1 AND type <= 4)
) PARTITION BY HASH (repository_id);

CREATE TABLE projects (
    id ulid NOT NULL,
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    visibility text COLLATE "C" NOT NULL,
    audit_seq bigint NOT NULL,
    audit_head bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT projects_one_per_id PRIMARY KEY (id),
    CONSTRAINT projects_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT projects_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT projects_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT projects_deleted_at_check CHECK (deleted_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND deleted_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT projects_description_check CHECK (length(description) <= 10000),
    CONSTRAINT projects_name_check CHECK (length(name) >= 1 AND length(name) <= 200),
    CONSTRAINT projects_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'::text),
    CONSTRAINT projects_updated_at_check CHECK (updated_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND updated_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT projects_visibility_check CHECK (visibility = ANY (ARRAY['private'::text, 'internal'::text, 'public'::text]))
);

CREATE TABLE repositories (
    id ulid NOT NULL,
    project_id ulid NOT NULL,
    slug text COLLATE "C" NOT NULL,
    description text NOT NULL,
    default_branch text COLLATE "C" NOT NULL,
    object_format text COLLATE "C" NOT NULL,
    visibility text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    lease_epoch bigint NOT NULL,
    audit_seq bigint NOT NULL,
    audit_head bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT repositories_one_per_id PRIMARY KEY (id),
    CONSTRAINT repositories_audit_head_check CHECK (octet_length(audit_head) = 32),
    CONSTRAINT repositories_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT repositories_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT repositories_default_branch_check CHECK (length(default_branch) >= 1 AND length(default_branch) <= 255),
    CONSTRAINT repositories_deleted_at_check CHECK (deleted_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND deleted_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT repositories_description_check CHECK (length(description) <= 10000),
    CONSTRAINT repositories_lease_epoch_check CHECK (lease_epoch >= 0),
    CONSTRAINT repositories_object_format_check CHECK (object_format = ANY (ARRAY['sha1'::text, 'sha256'::text])),
    CONSTRAINT repositories_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'::text),
    CONSTRAINT repositories_state_check CHECK (state = ANY (ARRAY['active'::text, 'read_only'::text, 'archived'::text])),
    CONSTRAINT repositories_updated_at_check CHECK (updated_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND updated_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT repositories_visibility_check CHECK (visibility = ANY (ARRAY['private'::text, 'internal'::text, 'public'::text]))
);

CREATE TABLE repository_relationships (
    id ulid NOT NULL,
    source_id ulid NOT NULL,
    target_id ulid,
    target_url text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT repository_relationships_one_per_id PRIMARY KEY (id),
    CONSTRAINT repository_relationships_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND created_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone),
    CONSTRAINT repository_relationships_kind_check CHECK (kind = ANY (ARRAY['fork'::text, 'template'::text, 'mirror'::text, 'submodule'::text, 'object_pool'::text])),
    CONSTRAINT repository_relationships_not_to_itself_check CHECK (target_id::text <> source_id::text),
    CONSTRAINT repository_relationships_one_target_check CHECK ((target_id IS NULL) <> (target_url IS NULL)),
    CONSTRAINT repository_relationships_path_check CHECK (length(path) <= 4096),
    CONSTRAINT repository_relationships_target_url_check CHECK (length(target_url) >= 1 AND length(target_url) <= 2048),
    CONSTRAINT repository_relationships_target_url_credentials_check CHECK (strpos(target_url, '://'::text) = 0 OR split_part(substr(target_url, strpos(target_url, '://'::text) + 3), '/'::text, 1) !~~ '%:%@%'::text),
    CONSTRAINT repository_relationships_updated_at_check CHECK (updated_at >= '0001-01-01 00:00:00+00'::timestamp with time zone AND updated_at <= '9999-12-31 23:59:59.999999+00'::timestamp with time zone)
);

CREATE TABLE schema_migrations (
    version bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    checksum text COLLATE "C" NOT NULL,
    applied_at timestamp with time zone NOT NULL,
    duration_ms bigint NOT NULL,
    CONSTRAINT schema_migrations_one_per_version PRIMARY KEY (version),
    CONSTRAINT schema_migrations_checksum_check CHECK (length(checksum) = 64),
    CONSTRAINT schema_migrations_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT schema_migrations_version_check CHECK (version >= 0)
);

CREATE TABLE object_metadata_00 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 0);

CREATE TABLE object_metadata_01 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 1);

CREATE TABLE object_metadata_02 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 2);

CREATE TABLE object_metadata_03 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 3);

CREATE TABLE object_metadata_04 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 4);

CREATE TABLE object_metadata_05 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 5);

CREATE TABLE object_metadata_06 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 6);

CREATE TABLE object_metadata_07 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 7);

CREATE TABLE object_metadata_08 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 8);

CREATE TABLE object_metadata_09 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 9);

CREATE TABLE object_metadata_10 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 10);

CREATE TABLE object_metadata_11 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 11);

CREATE TABLE object_metadata_12 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 12);

CREATE TABLE object_metadata_13 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 13);

CREATE TABLE object_metadata_14 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 14);

CREATE TABLE object_metadata_15 PARTITION OF object_metadata
    FOR VALUES WITH (modulus 16, remainder 15);

ALTER TABLE lease_import_lines
    ADD CONSTRAINT lease_import_lines_lease_id_fkey FOREIGN KEY (lease_id) REFERENCES leases(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE leases
    ADD CONSTRAINT leases_previous_lease_id_fkey FOREIGN KEY (previous_lease_id) REFERENCES leases(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE leases
    ADD CONSTRAINT leases_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE mirrors
    ADD CONSTRAINT mirrors_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE object_metadata
    ADD CONSTRAINT object_metadata_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE repositories
    ADD CONSTRAINT repositories_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE repository_relationships
    ADD CONSTRAINT repository_relationships_source_id_fkey FOREIGN KEY (source_id) REFERENCES repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE repository_relationships
    ADD CONSTRAINT repository_relationships_target_id_fkey FOREIGN KEY (target_id) REFERENCES repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

CREATE OR REPLACE FUNCTION forgedb_database_oid()
 RETURNS bigint
 LANGUAGE sql
BEGIN ATOMIC
 SELECT (pg_database.oid)::bigint AS oid
    FROM pg_database
   WHERE (pg_database.datname = current_database());
END;

CREATE OR REPLACE FUNCTION forgedb_descends_from(target_id ulid, source_id ulid, kind text)
 RETURNS boolean
 LANGUAGE sql
BEGIN ATOMIC
 WITH RECURSIVE ancestors(id) AS (
          SELECT forgedb_descends_from.target_id AS target_id
         UNION
          SELECT edge.target_id
            FROM (ancestors
              JOIN repository_relationships edge ON (((edge.source_id)::text = (ancestors.id)::text)))
           WHERE (edge.kind = forgedb_descends_from.kind)
         )
  SELECT (EXISTS ( SELECT 1
            FROM ancestors
           WHERE ((ancestors.id)::text = (forgedb_descends_from.source_id)::text))) AS "exists";
END;

CREATE OR REPLACE FUNCTION forgedb_digest(value text)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
BEGIN ATOMIC
 SELECT sha256(convert_to(value, 'UTF8'::name)) AS sha256;
END;

CREATE OR REPLACE FUNCTION forgedb_effective_era()
 RETURNS bigint
 LANGUAGE sql
BEGIN ATOMIC
 SELECT ((identity.era + COALESCE(forgedb_timeline(), (1)::bigint)) - 1)
    FROM database_identity identity;
END;

CREATE OR REPLACE FUNCTION forgedb_has_live_repositories(project_id ulid)
 RETURNS boolean
 LANGUAGE sql
BEGIN ATOMIC
 SELECT (EXISTS ( SELECT 1
            FROM repositories repository
           WHERE (((repository.project_id)::text = (forgedb_has_live_repositories.project_id)::text) AND (repository.deleted_at IS NULL)))) AS "exists";
END;

CREATE OR REPLACE FUNCTION forgedb_is_of_this_transaction(row_xmin xid)
 RETURNS boolean
 LANGUAGE sql
RETURN ((row_xmin = (pg_current_xact_id())::xid) OR forgedb_is_of_a_savepoint(row_xmin));

CREATE OR REPLACE FUNCTION forgedb_locked_project_is_deleted(project_id ulid)
 RETURNS boolean
 LANGUAGE sql
BEGIN ATOMIC
 SELECT (project.deleted_at IS NOT NULL)
    FROM projects project
   WHERE ((project.id)::text = (forgedb_locked_project_is_deleted.project_id)::text)
  FOR SHARE OF project;
END;

CREATE UNIQUE INDEX audit_checkpoints_one_per_hash ON audit_checkpoints USING btree (checkpoint_hash);

CREATE INDEX audit_entries_by_action ON audit_entries USING btree (action, id);

CREATE INDEX audit_entries_by_actor ON audit_entries USING btree (actor, id);

CREATE INDEX audit_entries_by_target ON audit_entries USING btree (target_id, id);

CREATE INDEX audit_entries_by_time ON audit_entries USING btree (at, id);

CREATE UNIQUE INDEX audit_entries_one_per_id ON audit_entries USING btree (id);

CREATE INDEX lease_import_lines_by_lease ON lease_import_lines USING btree (lease_id);

CREATE UNIQUE INDEX lease_import_lines_one_per_event ON lease_import_lines USING btree (legacy_lease_id, event);

CREATE UNIQUE INDEX leases_one_open_per_repository ON leases USING btree (repository_id) WHERE ended_at IS NULL;

CREATE UNIQUE INDEX leases_one_per_fencing_token ON leases USING btree (repository_id, fencing_token);

CREATE INDEX leases_open ON leases USING btree (id) WHERE ended_at IS NULL;

CREATE INDEX leases_open_by_expiry ON leases USING btree (expires_at, id) WHERE ended_at IS NULL;

CREATE INDEX leases_open_by_holder ON leases USING btree (holder, id) WHERE ended_at IS NULL;

CREATE INDEX mirrors_by_repository ON mirrors USING btree (repository_id, id);

CREATE INDEX mirrors_due ON mirrors USING btree (next_run_at, id) WHERE enabled AND next_run_at IS NOT NULL;

CREATE UNIQUE INDEX mirrors_one_per_remote ON mirrors USING btree (repository_id, direction, forgedb_digest(remote_url));

CREATE UNIQUE INDEX mirrors_one_pull_per_repository ON mirrors USING btree (repository_id) WHERE direction = 'pull'::text;

CREATE INDEX object_metadata_by_oid ON object_metadata USING btree (oid);

CREATE UNIQUE INDEX projects_one_live_per_slug ON projects USING btree (slug) WHERE deleted_at IS NULL;

CREATE INDEX repositories_by_project ON repositories USING btree (project_id, id);

CREATE UNIQUE INDEX repositories_one_live_per_path ON repositories USING btree (project_id, slug) WHERE deleted_at IS NULL;

CREATE INDEX repository_relationships_by_source ON repository_relationships USING btree (source_id, id);

CREATE INDEX repository_relationships_by_target ON repository_relationships USING btree (target_id, id);

CREATE UNIQUE INDEX repository_relationships_no_duplicates ON repository_relationships USING btree (source_id, kind, COALESCE(target_id::text, ''::text), forgedb_digest(COALESCE(target_url, ''::text)), forgedb_digest(path));

CREATE UNIQUE INDEX repository_relationships_one_fork_parent ON repository_relationships USING btree (source_id) WHERE kind = 'fork'::text;

CREATE TRIGGER audit_checkpoints_never_deleted BEFORE DELETE ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_truncated BEFORE TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_updated BEFORE UPDATE ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be updated');

CREATE TRIGGER audit_entries_never_deleted BEFORE DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_entries_never_truncated BEFORE TRUNCATE ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_entries_never_updated BEFORE UPDATE ON audit_entries FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('audit_entries_append_only', 'entries can''t be updated');

CREATE TRIGGER database_identity_era_grows BEFORE UPDATE OF era ON database_identity FOR EACH ROW WHEN (new.era < old.era OR new.era > old.era AND new.audit_seq <= old.audit_seq) EXECUTE FUNCTION forgedb_refuse('database_identity_era_grows', 'era can''t decrease, and grows with an entry');

CREATE TRIGGER database_identity_era_steps AFTER UPDATE OF era ON database_identity FOR EACH ROW WHEN (new.era::numeric > (GREATEST(EXTRACT(epoch FROM clock_timestamp() - '2026-01-01 00:00:00+00'::timestamp with time zone), 0::numeric) + 315576000::numeric) AND (old.era::numeric <= (GREATEST(EXTRACT(epoch FROM clock_timestamp() - '2026-01-01 00:00:00+00'::timestamp with time zone), 0::numeric) + 315576000::numeric) OR (new.era - old.era) > 1024)) EXECUTE FUNCTION forgedb_refuse('database_identity_era_steps', 'era can''t be ten years ahead of the clock');

CREATE TRIGGER database_identity_fixed_columns BEFORE UPDATE OF id, created_at ON database_identity FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.created_at IS DISTINCT FROM old.created_at) EXECUTE FUNCTION forgedb_refuse('database_identity_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER database_identity_moves_with_its_era AFTER UPDATE OF system_identifier, database_oid ON database_identity FOR EACH ROW WHEN (COALESCE(old.system_identifier, old.database_oid::text) IS NOT NULL AND (new.system_identifier IS DISTINCT FROM old.system_identifier OR new.database_oid IS DISTINCT FROM old.database_oid)) EXECUTE FUNCTION forgedb_database_moves();

CREATE TRIGGER database_identity_never_deleted BEFORE DELETE ON database_identity FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('database_identity_never_deleted', 'a database has one identity');

CREATE TRIGGER database_identity_never_truncated BEFORE TRUNCATE ON database_identity FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('database_identity_never_deleted', 'a database has one identity');

CREATE TRIGGER database_identity_one_row AFTER INSERT ON database_identity FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('database_identity_one_row', 'a database has one identity');

CREATE TRIGGER database_identity_stream_moves_forward AFTER UPDATE OF audit_seq, audit_head ON database_identity FOR EACH ROW WHEN (((new.audit_seq - old.audit_seq) >> 20) <> 0) EXECUTE FUNCTION forgedb_refuse('database_identity_stream_moves_forward', 'audit_seq grows by entries');

CREATE CONSTRAINT TRIGGER leases_begin AFTER INSERT ON leases DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION forgedb_lease_begins();

CREATE TRIGGER leases_change_once BEFORE UPDATE ON leases FOR EACH ROW WHEN (old.ended_at IS NOT NULL OR new.ended_at IS NULL) EXECUTE FUNCTION forgedb_refuse('leases_change_once', 'a lease changes once, from open to ended');

CREATE CONSTRAINT TRIGGER leases_end AFTER UPDATE ON leases DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION forgedb_lease_ends();

CREATE TRIGGER leases_fixed_columns BEFORE UPDATE OF id, repository_id, holder, purpose, fencing_token, idempotency_key, acquired_at, expires_at, previous_lease_id ON leases FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.repository_id::text IS DISTINCT FROM old.repository_id::text OR new.holder IS DISTINCT FROM old.holder OR new.purpose IS DISTINCT FROM old.purpose OR new.fencing_token IS DISTINCT FROM old.fencing_token OR new.idempotency_key IS DISTINCT FROM old.idempotency_key OR new.acquired_at IS DISTINCT FROM old.acquired_at OR new.expires_at IS DISTINCT FROM old.expires_at OR new.previous_lease_id::text IS DISTINCT FROM old.previous_lease_id::text) EXECUTE FUNCTION forgedb_refuse('leases_change_once', 'a lease changes once, from open to ended');

CREATE TRIGGER leases_never_deleted BEFORE DELETE ON leases FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER leases_never_truncated BEFORE TRUNCATE ON leases FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER mirrors_fixed_columns BEFORE UPDATE OF id, repository_id, created_at ON mirrors FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.repository_id::text IS DISTINCT FROM old.repository_id::text OR new.created_at IS DISTINCT FROM old.created_at) EXECUTE FUNCTION forgedb_refuse('mirrors_fixed_columns', 'id, repository_id and created_at can''t change');

CREATE TRIGGER mirrors_touch_updated_at BEFORE UPDATE OF direction, remote_url, credential_ref, enabled, interval_seconds, status, next_run_at, last_started_at, last_success_at, consecutive_failures, last_error, run_token, run_deadline_at ON mirrors FOR EACH ROW WHEN (NOT new.updated_at IS DISTINCT FROM old.updated_at) EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER projects_delete_without_live_repositories BEFORE UPDATE OF deleted_at ON projects FOR EACH ROW WHEN (new.deleted_at IS NOT NULL AND forgedb_has_live_repositories(old.id)) EXECUTE FUNCTION forgedb_refuse('projects_without_live_repositories', 'it has live repositories');

CREATE TRIGGER projects_fixed_columns BEFORE UPDATE OF id, created_at ON projects FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.created_at IS DISTINCT FROM old.created_at) EXECUTE FUNCTION forgedb_refuse('projects_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER projects_never_deleted BEFORE DELETE ON projects FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER projects_never_truncated BEFORE TRUNCATE ON projects FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER projects_stream_moves_forward AFTER UPDATE OF audit_seq, audit_head ON projects FOR EACH ROW WHEN (((new.audit_seq - old.audit_seq) >> 20) <> 0) EXECUTE FUNCTION forgedb_refuse('projects_stream_moves_forward', 'audit_seq grows by entries');

CREATE TRIGGER projects_touch_updated_at BEFORE UPDATE OF slug, name, description, visibility, deleted_at ON projects FOR EACH ROW WHEN (NOT new.updated_at IS DISTINCT FROM old.updated_at) EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER repositories_fixed_columns BEFORE UPDATE OF id, project_id, object_format, created_at ON repositories FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.project_id::text IS DISTINCT FROM old.project_id::text OR new.object_format IS DISTINCT FROM old.object_format OR new.created_at IS DISTINCT FROM old.created_at) EXECUTE FUNCTION forgedb_refuse('repositories_fixed_columns', 'ids, object_format and created_at can''t change');

CREATE CONSTRAINT TRIGGER repositories_insert_lease_epoch AFTER INSERT ON repositories DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.lease_epoch <> 0) EXECUTE FUNCTION forgedb_lease_epoch_moves();

CREATE TRIGGER repositories_insert_under_live_project BEFORE INSERT ON repositories FOR EACH ROW WHEN (new.deleted_at IS NULL AND forgedb_locked_project_is_deleted(new.project_id)) EXECUTE FUNCTION forgedb_refuse('repositories_under_live_project', 'the project is deleted');

CREATE TRIGGER repositories_lease_epoch_grows BEFORE UPDATE OF lease_epoch ON repositories FOR EACH ROW WHEN (new.lease_epoch < old.lease_epoch) EXECUTE FUNCTION forgedb_refuse('repositories_lease_epoch_grows', 'lease_epoch can''t decrease');

CREATE CONSTRAINT TRIGGER repositories_lease_epoch_moves AFTER UPDATE OF lease_epoch ON repositories DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.lease_epoch > old.lease_epoch AND (new.lease_epoch > (old.lease_epoch + 1) OR new.audit_seq = old.audit_seq)) EXECUTE FUNCTION forgedb_lease_epoch_moves();

CREATE TRIGGER repositories_never_deleted BEFORE DELETE ON repositories FOR EACH ROW EXECUTE FUNCTION forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_never_truncated BEFORE TRUNCATE ON repositories FOR EACH STATEMENT EXECUTE FUNCTION forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_restore_under_live_project BEFORE UPDATE OF deleted_at ON repositories FOR EACH ROW WHEN (new.deleted_at IS NULL AND forgedb_locked_project_is_deleted(new.project_id)) EXECUTE FUNCTION forgedb_refuse('repositories_under_live_project', 'the project is deleted');

CREATE TRIGGER repositories_stream_moves_forward AFTER UPDATE OF audit_seq, audit_head ON repositories FOR EACH ROW WHEN (((new.audit_seq - old.audit_seq) >> 20) <> 0) EXECUTE FUNCTION forgedb_refuse('repositories_stream_moves_forward', 'audit_seq grows by entries');

CREATE TRIGGER repositories_touch_updated_at BEFORE UPDATE OF slug, description, default_branch, visibility, state, deleted_at ON repositories FOR EACH ROW WHEN (NOT new.updated_at IS DISTINCT FROM old.updated_at) EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER repository_relationships_fixed_columns BEFORE UPDATE OF id, created_at ON repository_relationships FOR EACH ROW WHEN (new.id::text IS DISTINCT FROM old.id::text OR new.created_at IS DISTINCT FROM old.created_at) EXECUTE FUNCTION forgedb_refuse('repository_relationships_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER repository_relationships_insert_acyclic AFTER INSERT ON repository_relationships FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) AND forgedb_descends_from(new.target_id, new.source_id, new.kind)) EXECUTE FUNCTION forgedb_refuse('repository_relationships_acyclic', 'the target descends from it');

CREATE TRIGGER repository_relationships_insert_locks_kind BEFORE INSERT ON repository_relationships FOR EACH ROW WHEN (new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) EXECUTE FUNCTION forgedb_lock_kind();

CREATE TRIGGER repository_relationships_touch_updated_at BEFORE UPDATE OF source_id, target_id, target_url, kind, path ON repository_relationships FOR EACH ROW WHEN (NOT new.updated_at IS DISTINCT FROM old.updated_at) EXECUTE FUNCTION forgedb_touch_updated_at();

CREATE TRIGGER repository_relationships_update_acyclic AFTER UPDATE OF source_id, target_id, kind ON repository_relationships FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) AND forgedb_descends_from(new.target_id, new.source_id, new.kind)) EXECUTE FUNCTION forgedb_refuse('repository_relationships_acyclic', 'the target descends from it');

CREATE TRIGGER repository_relationships_update_locks_kind BEFORE UPDATE OF source_id, target_id, kind ON repository_relationships FOR EACH ROW WHEN (new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) EXECUTE FUNCTION forgedb_lock_kind();
