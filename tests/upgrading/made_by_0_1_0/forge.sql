

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE DOMAIN public.ulid AS text COLLATE pg_catalog."C"
	CONSTRAINT ulid_check CHECK ((VALUE ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'::text));

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.repository_relationships (
    id public.ulid NOT NULL,
    source_id public.ulid NOT NULL,
    target_id public.ulid,
    target_url text COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT repository_relationships_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT repository_relationships_kind_check CHECK ((kind = ANY (ARRAY['fork'::text, 'template'::text, 'mirror'::text, 'submodule'::text, 'object_pool'::text]))),
    CONSTRAINT repository_relationships_not_to_itself_check CHECK (((target_id)::text <> (source_id)::text)),
    CONSTRAINT repository_relationships_one_target_check CHECK (((target_id IS NULL) <> (target_url IS NULL))),
    CONSTRAINT repository_relationships_path_check CHECK ((length(path) <= 4096)),
    CONSTRAINT repository_relationships_target_url_check CHECK (((length(target_url) >= 1) AND (length(target_url) <= 2048))),
    CONSTRAINT repository_relationships_target_url_credentials_check CHECK (((strpos(target_url, '://'::text) = 0) OR (split_part(substr(target_url, (strpos(target_url, '://'::text) + 3)), '/'::text, 1) !~~ '%:%@%'::text))),
    CONSTRAINT repository_relationships_updated_at_check CHECK (((updated_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (updated_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone)))
);

CREATE FUNCTION public.forgedb_descends_from(target_id public.ulid, source_id public.ulid, kind text) RETURNS boolean
    LANGUAGE sql
    BEGIN ATOMIC
 WITH RECURSIVE ancestors(id) AS (
          SELECT forgedb_descends_from.target_id AS target_id
         UNION
          SELECT edge.target_id
            FROM (ancestors
              JOIN public.repository_relationships edge ON (((edge.source_id)::text = (ancestors.id)::text)))
           WHERE (edge.kind = forgedb_descends_from.kind)
         )
  SELECT (EXISTS ( SELECT 1
            FROM ancestors
           WHERE ((ancestors.id)::text = (forgedb_descends_from.source_id)::text))) AS "exists";
END;

CREATE FUNCTION public.forgedb_digest(value text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    BEGIN ATOMIC
 SELECT sha256(convert_to(value, 'UTF8'::name)) AS sha256;
END;

CREATE TABLE public.repositories (
    id public.ulid NOT NULL,
    project_id public.ulid NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    default_branch text NOT NULL COLLATE pg_catalog."C",
    object_format text NOT NULL COLLATE pg_catalog."C",
    visibility text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    lease_epoch bigint NOT NULL,
    audit_seq bigint NOT NULL,
    audit_head bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT repositories_audit_head_check CHECK ((octet_length(audit_head) = 32)),
    CONSTRAINT repositories_audit_seq_check CHECK ((audit_seq >= 0)),
    CONSTRAINT repositories_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT repositories_default_branch_check CHECK (((length(default_branch) >= 1) AND (length(default_branch) <= 255))),
    CONSTRAINT repositories_deleted_at_check CHECK (((deleted_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (deleted_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT repositories_description_check CHECK ((length(description) <= 10000)),
    CONSTRAINT repositories_lease_epoch_check CHECK ((lease_epoch >= 0)),
    CONSTRAINT repositories_object_format_check CHECK ((object_format = ANY (ARRAY['sha1'::text, 'sha256'::text]))),
    CONSTRAINT repositories_slug_check CHECK ((slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'::text)),
    CONSTRAINT repositories_state_check CHECK ((state = ANY (ARRAY['active'::text, 'read_only'::text, 'archived'::text]))),
    CONSTRAINT repositories_updated_at_check CHECK (((updated_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (updated_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT repositories_visibility_check CHECK ((visibility = ANY (ARRAY['private'::text, 'internal'::text, 'public'::text])))
);

CREATE FUNCTION public.forgedb_has_live_repositories(project_id public.ulid) RETURNS boolean
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT (EXISTS ( SELECT 1
            FROM public.repositories repository
           WHERE (((repository.project_id)::text = (forgedb_has_live_repositories.project_id)::text) AND (repository.deleted_at IS NULL)))) AS "exists";
END;

CREATE FUNCTION public.forgedb_lock_kind() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(1718579815, pg_catalog.hashtext(NEW.kind));
    RETURN NEW;
END;
$$;

CREATE TABLE public.projects (
    id public.ulid NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    description text NOT NULL,
    visibility text NOT NULL COLLATE pg_catalog."C",
    audit_seq bigint NOT NULL,
    audit_head bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT projects_audit_head_check CHECK ((octet_length(audit_head) = 32)),
    CONSTRAINT projects_audit_seq_check CHECK ((audit_seq >= 0)),
    CONSTRAINT projects_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT projects_deleted_at_check CHECK (((deleted_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (deleted_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT projects_description_check CHECK ((length(description) <= 10000)),
    CONSTRAINT projects_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT projects_slug_check CHECK ((slug ~ '^[a-z0-9][a-z0-9._-]{0,99}$'::text)),
    CONSTRAINT projects_updated_at_check CHECK (((updated_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (updated_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT projects_visibility_check CHECK ((visibility = ANY (ARRAY['private'::text, 'internal'::text, 'public'::text])))
);

CREATE FUNCTION public.forgedb_locked_project_is_deleted(project_id public.ulid) RETURNS boolean
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT (project.deleted_at IS NOT NULL)
    FROM public.projects project
   WHERE ((project.id)::text = (forgedb_locked_project_is_deleted.project_id)::text)
  FOR SHARE OF project;
END;

CREATE FUNCTION public.forgedb_refuse() RETURNS trigger
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

CREATE FUNCTION public.forgedb_touch_updated_at() RETURNS trigger
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

CREATE TABLE public.audit_checkpoints (
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    format_version bigint NOT NULL,
    tree_size bigint NOT NULL,
    root_hash bytea NOT NULL,
    previous_hash bytea NOT NULL,
    checkpoint_hash bytea NOT NULL,
    heads json NOT NULL,
    key_id text NOT NULL COLLATE pg_catalog."C",
    signature bytea NOT NULL,
    CONSTRAINT audit_checkpoints_at_check CHECK (((at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT audit_checkpoints_checkpoint_hash_check CHECK ((octet_length(checkpoint_hash) = 32)),
    CONSTRAINT audit_checkpoints_format_version_check CHECK ((format_version >= 1)),
    CONSTRAINT audit_checkpoints_heads_check CHECK (
CASE
    WHEN ("left"((heads)::text, 1) = '['::text) THEN (json_array_length(heads) = tree_size)
    ELSE false
END),
    CONSTRAINT audit_checkpoints_key_id_check CHECK (((length(key_id) >= 1) AND (length(key_id) <= 200))),
    CONSTRAINT audit_checkpoints_previous_hash_check CHECK ((octet_length(previous_hash) = 32)),
    CONSTRAINT audit_checkpoints_root_hash_check CHECK ((octet_length(root_hash) = 32)),
    CONSTRAINT audit_checkpoints_seq_check CHECK ((seq >= 1)),
    CONSTRAINT audit_checkpoints_signature_check CHECK ((octet_length(signature) = 64)),
    CONSTRAINT audit_checkpoints_tree_size_check CHECK ((tree_size >= 0))
);

CREATE TABLE public.audit_entries (
    stream_id public.ulid NOT NULL,
    seq bigint NOT NULL,
    id public.ulid NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    target_type text NOT NULL COLLATE pg_catalog."C",
    target_id public.ulid NOT NULL,
    request_id text COLLATE pg_catalog."C",
    source_ip text COLLATE pg_catalog."C",
    reason text,
    changes json NOT NULL,
    hash_version bigint NOT NULL,
    entry_hash bytea NOT NULL,
    CONSTRAINT audit_entries_action_check CHECK (((length(action) >= 1) AND (length(action) <= 100))),
    CONSTRAINT audit_entries_actor_check CHECK (((length(actor) >= 1) AND (length(actor) <= 200))),
    CONSTRAINT audit_entries_at_check CHECK (((at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT audit_entries_changes_check CHECK (((length((changes)::text) <= 1000000) AND ("left"((changes)::text, 1) = '{'::text))),
    CONSTRAINT audit_entries_entry_hash_check CHECK ((octet_length(entry_hash) = 32)),
    CONSTRAINT audit_entries_hash_version_check CHECK ((hash_version >= 1)),
    CONSTRAINT audit_entries_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 2000))),
    CONSTRAINT audit_entries_request_id_check CHECK (((length(request_id) >= 1) AND (length(request_id) <= 200))),
    CONSTRAINT audit_entries_seq_check CHECK ((seq >= 1)),
    CONSTRAINT audit_entries_source_ip_check CHECK (((length(source_ip) >= 1) AND (length(source_ip) <= 45))),
    CONSTRAINT audit_entries_target_type_check CHECK (((length(target_type) >= 1) AND (length(target_type) <= 50)))
);

CREATE TABLE public.lease_import_lines (
    source text NOT NULL COLLATE pg_catalog."C",
    line_number bigint NOT NULL,
    line_sha256 bytea NOT NULL,
    event text NOT NULL COLLATE pg_catalog."C",
    legacy_lease_id text NOT NULL COLLATE pg_catalog."C",
    repository_id text COLLATE pg_catalog."C",
    lease_id public.ulid,
    imported_at timestamp with time zone NOT NULL,
    CONSTRAINT lease_import_lines_acquired_names_repository_check CHECK (((event = 'acquired'::text) = (repository_id IS NOT NULL))),
    CONSTRAINT lease_import_lines_event_check CHECK ((event = ANY (ARRAY['acquired'::text, 'released'::text, 'forced'::text]))),
    CONSTRAINT lease_import_lines_imported_at_check CHECK (((imported_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (imported_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT lease_import_lines_legacy_lease_id_check CHECK (((length(legacy_lease_id) >= 1) AND (length(legacy_lease_id) <= 200))),
    CONSTRAINT lease_import_lines_line_number_check CHECK ((line_number >= 1)),
    CONSTRAINT lease_import_lines_line_sha256_check CHECK ((octet_length(line_sha256) = 32)),
    CONSTRAINT lease_import_lines_repository_id_check CHECK (((length(repository_id) >= 1) AND (length(repository_id) <= 200))),
    CONSTRAINT lease_import_lines_source_check CHECK (((length(source) >= 1) AND (length(source) <= 4096)))
);

CREATE TABLE public.leases (
    id public.ulid NOT NULL,
    repository_id public.ulid NOT NULL,
    holder text NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL,
    fencing_token bigint NOT NULL,
    idempotency_key text COLLATE pg_catalog."C",
    acquired_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text COLLATE pg_catalog."C",
    previous_lease_id public.ulid,
    ended_by text COLLATE pg_catalog."C",
    end_note text,
    CONSTRAINT leases_72_hours_check CHECK (((expires_at > acquired_at) AND (expires_at <= (acquired_at + '72:00:00'::interval)))),
    CONSTRAINT leases_acquired_at_check CHECK (((acquired_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (acquired_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT leases_end_complete_check CHECK ((((ended_at IS NULL) = (end_reason IS NULL)) AND ((ended_at IS NULL) = (ended_by IS NULL)) AND ((ended_at IS NOT NULL) OR (end_note IS NULL)))),
    CONSTRAINT leases_end_note_check CHECK (((length(end_note) >= 1) AND (length(end_note) <= 2000))),
    CONSTRAINT leases_end_reason_check CHECK ((end_reason = ANY (ARRAY['released'::text, 'expired'::text, 'forced'::text, 'transferred'::text]))),
    CONSTRAINT leases_ended_after_acquired_check CHECK ((ended_at >= acquired_at)),
    CONSTRAINT leases_ended_at_check CHECK (((ended_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (ended_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT leases_ended_by_check CHECK (((length(ended_by) >= 1) AND (length(ended_by) <= 200))),
    CONSTRAINT leases_expires_at_check CHECK (((expires_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (expires_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT leases_fencing_token_check CHECK ((fencing_token >= 1)),
    CONSTRAINT leases_forced_says_why_check CHECK (((end_reason <> 'forced'::text) OR (end_note IS NOT NULL))),
    CONSTRAINT leases_holder_check CHECK (((length(holder) >= 1) AND (length(holder) <= 200))),
    CONSTRAINT leases_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT leases_previous_lease_id_not_itself_check CHECK (((previous_lease_id)::text <> (id)::text)),
    CONSTRAINT leases_purpose_check CHECK ((length(purpose) <= 1000))
);

CREATE TABLE public.mirrors (
    id public.ulid NOT NULL,
    repository_id public.ulid NOT NULL,
    direction text NOT NULL COLLATE pg_catalog."C",
    remote_url text NOT NULL COLLATE pg_catalog."C",
    credential_ref text COLLATE pg_catalog."C",
    enabled boolean NOT NULL,
    interval_seconds bigint,
    status text NOT NULL COLLATE pg_catalog."C",
    next_run_at timestamp with time zone,
    last_started_at timestamp with time zone,
    last_success_at timestamp with time zone,
    consecutive_failures bigint NOT NULL,
    last_error text,
    run_token public.ulid,
    run_deadline_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT mirrors_consecutive_failures_check CHECK ((consecutive_failures >= 0)),
    CONSTRAINT mirrors_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT mirrors_credential_ref_check CHECK (((length(credential_ref) >= 1) AND (length(credential_ref) <= 200))),
    CONSTRAINT mirrors_direction_check CHECK ((direction = ANY (ARRAY['pull'::text, 'push'::text]))),
    CONSTRAINT mirrors_interval_seconds_check CHECK (((interval_seconds >= 60) AND (interval_seconds <= 31536000))),
    CONSTRAINT mirrors_last_error_check CHECK (((length(last_error) >= 1) AND (length(last_error) <= 10000))),
    CONSTRAINT mirrors_last_started_at_check CHECK (((last_started_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (last_started_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT mirrors_last_success_at_check CHECK (((last_success_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (last_success_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT mirrors_next_run_at_check CHECK (((next_run_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (next_run_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT mirrors_remote_url_check CHECK (((length(remote_url) >= 1) AND (length(remote_url) <= 2048))),
    CONSTRAINT mirrors_remote_url_credentials_check CHECK (((strpos(remote_url, '://'::text) = 0) OR (split_part(substr(remote_url, (strpos(remote_url, '://'::text) + 3)), '/'::text, 1) !~~ '%:%@%'::text))),
    CONSTRAINT mirrors_run_deadline_at_check CHECK (((run_deadline_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (run_deadline_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT mirrors_running_complete_check CHECK ((((status = 'running'::text) = (run_token IS NOT NULL)) AND ((status = 'running'::text) = (run_deadline_at IS NOT NULL)))),
    CONSTRAINT mirrors_status_check CHECK ((status = ANY (ARRAY['never'::text, 'running'::text, 'ok'::text, 'failed'::text]))),
    CONSTRAINT mirrors_updated_at_check CHECK (((updated_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (updated_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone)))
);

CREATE TABLE public.object_metadata (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
)
PARTITION BY HASH (repository_id);

CREATE TABLE public.object_metadata_00 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_01 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_02 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_03 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_04 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_05 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_06 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_07 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_08 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_09 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_10 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_11 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_12 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_13 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_14 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.object_metadata_15 (
    repository_id text NOT NULL COLLATE pg_catalog."C",
    oid bytea NOT NULL,
    type smallint NOT NULL,
    size bigint NOT NULL,
    disk_size bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT object_metadata_created_at_check CHECK (((created_at >= '0001-12-31 20:29:08-03:30:52 BC'::timestamp with time zone) AND (created_at <= '9999-12-31 20:29:59.999999-03:30'::timestamp with time zone))),
    CONSTRAINT object_metadata_disk_size_check CHECK ((disk_size >= 0)),
    CONSTRAINT object_metadata_oid_check CHECK ((octet_length(oid) = ANY (ARRAY[20, 32]))),
    CONSTRAINT object_metadata_size_check CHECK ((size >= 0)),
    CONSTRAINT object_metadata_type_check CHECK (((type >= 1) AND (type <= 4)))
);

CREATE TABLE public.schema_migrations (
    version bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    checksum text NOT NULL COLLATE pg_catalog."C",
    applied_at timestamp with time zone NOT NULL,
    duration_ms bigint NOT NULL,
    CONSTRAINT schema_migrations_checksum_check CHECK ((length(checksum) = 64)),
    CONSTRAINT schema_migrations_duration_ms_check CHECK ((duration_ms >= 0)),
    CONSTRAINT schema_migrations_version_check CHECK ((version >= 0))
);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_00 FOR VALUES WITH (modulus 16, remainder 0);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_01 FOR VALUES WITH (modulus 16, remainder 1);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_02 FOR VALUES WITH (modulus 16, remainder 2);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_03 FOR VALUES WITH (modulus 16, remainder 3);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_04 FOR VALUES WITH (modulus 16, remainder 4);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_05 FOR VALUES WITH (modulus 16, remainder 5);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_06 FOR VALUES WITH (modulus 16, remainder 6);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_07 FOR VALUES WITH (modulus 16, remainder 7);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_08 FOR VALUES WITH (modulus 16, remainder 8);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_09 FOR VALUES WITH (modulus 16, remainder 9);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_10 FOR VALUES WITH (modulus 16, remainder 10);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_11 FOR VALUES WITH (modulus 16, remainder 11);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_12 FOR VALUES WITH (modulus 16, remainder 12);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_13 FOR VALUES WITH (modulus 16, remainder 13);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_14 FOR VALUES WITH (modulus 16, remainder 14);

ALTER TABLE ONLY public.object_metadata ATTACH PARTITION public.object_metadata_15 FOR VALUES WITH (modulus 16, remainder 15);

INSERT INTO public.audit_checkpoints VALUES
	(1, '2026-11-25 11:30:00.123456-03:30', 1, 6, '\x0bfc8dbb9a99c2af278d701baea965ced3448a7b1cfe29fc9717c6ab5cab2f89', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x846a120a280b83ca028c9ea782392a723e29bc2f60eaa70a170c2e816b18efc7', '["01M8K70NA9Y5XB3ZBYZMRASBGD 1 79c4a6a04ea14f783c66c67f8b4a4715799b2d8515707ec3be6aa7059ee39958","01M8K70NADMWAZZQMKQRT6QZQZ 1 c3ff7dd4ff170102a51fa7270ce852a05fadb1ee4d29dedb61080536ed5ddd78","01M8K70NAEK19QQPYB4ZZWAR3J 18 95c6e918c0fb42a84f0f1306cab298502b00d5b6b3d057849c4026d28d4d1038","01M8K70NAJA7GY0EADFNR5V4WB 1 689638dc6c613fb314bed4bd97ec0fd3a228cdcd4a87c95736121e3128bbd3d0","01M8K70NAM520E69TYGHRP04J9 1 461eb35e7ee6fcb29bb7b239d69167a6c6df11e6dc077657aedf3b45bb85c527","01M8K70NAPES3H55P8ZNN198PF 2 a8e2e7042f87ee1253a9176bca2e00ba1be033dc5ff0b26c296851e5a42c1303"]', 'ed25519:0299083c6fd51bb105119a1931c1765c948f5193887e6755b6d86f9e491e03a4', '\xb2cbf1e18632a39f78af675b085ff22a805d8e5cd4b6b8697ee61a2434f6eeaa9a193b9e00b677a76d4ddf132a911bd0ed695c1e3dc728aededbf83bfcedc10e'),
	(2, '2026-11-25 12:30:00.123456-03:30', 1, 5, '\xf03b105473c05a2844472bd5f6bd282fdab38208354ff1f27c86cadf44a4c9b6', '\x846a120a280b83ca028c9ea782392a723e29bc2f60eaa70a170c2e816b18efc7', '\xdbfa2abe4d97328a73b0c0592265d696a1e88819028167bbf9ae70aeddf0a76b', '["01M8K70NADMWAZZQMKQRT6QZQZ 2 489a38d447b944af515e37008c2486ff87bd767f9db01bce0684f4f010710ded","01M8K70NAEK19QQPYB4ZZWAR3J 20 2b811791a6b9a70cd71d2c0a3b2b3ed5154aeff0b6da126a800fba6b24614c4d","01M8K70NAJA7GY0EADFNR5V4WB 4 3d0620a64584b5435bbc992a3eb44e46ad9cd6dc239406f76c9df1256eab6f4e","01M8K70NAM520E69TYGHRP04J9 2 42e0f5171ec6273a92cbc726ad6e5d12744eb54b957b3e87488f0dadf914d42c","01M8K70NAPES3H55P8ZNN198PF 4 8edd193426b8efb73807ed35327eb39b5c5904e0ffdb4138f49368f7da0b4b85"]', 'ed25519:0299083c6fd51bb105119a1931c1765c948f5193887e6755b6d86f9e491e03a4', '\xeb9b6a09b8ac48ea10ed4c6a0bea2b2ac8e33121c6c1b56a697c8180b67fbc4cc018a196121c407ebaff1d99123566d892600c4a39459024fc898acf15228b0f');

INSERT INTO public.audit_entries VALUES
	('01M8K70NA9Y5XB3ZBYZMRASBGD', 1, '01M8K70NA9Y5XB3ZBYZPJ4RZBV', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'project.create', 'project', '01M8K70NA9Y5XB3ZBYZMRASBGD', 'req-1', '10.0.0.7', NULL, '{"slug":[null,"platform"],"name":[null,"Platform"],"description":[null,"Ünïcödé – 😀"],"visibility":[null,"private"]}', 1, '\x79c4a6a04ea14f783c66c67f8b4a4715799b2d8515707ec3be6aa7059ee39958'),
	('01M8K70NADMWAZZQMKQRT6QZQZ', 1, '01M8K70NADMWAZZQMKQWEZ11AS', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'project.create', 'project', '01M8K70NADMWAZZQMKQRT6QZQZ', 'req-1', '10.0.0.7', NULL, '{"slug":[null,"old"],"name":[null,"Old"],"description":[null,""],"visibility":[null,"private"]}', 1, '\xc3ff7dd4ff170102a51fa7270ce852a05fadb1ee4d29dedb61080536ed5ddd78'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 1, '01M8K70NAGBHJCD7BGZDPCXZ91', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'repository.create', 'repository', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"project_id":[null,"01M8K70NA9Y5XB3ZBYZMRASBGD"],"slug":[null,"api"],"description":[null,""],"default_branch":[null,"main"],"object_format":[null,"sha1"],"visibility":[null,"private"],"state":[null,"active"],"lease_epoch":[null,0]}', 1, '\x43c8a5eed3f0a6f55baa6388ca7a874a697b8c12423a5f648313128bfa130463'),
	('01M8K70NAJA7GY0EADFNR5V4WB', 1, '01M8K70NAKCD72X9BY1GT6AZRN', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'repository.create', 'repository', '01M8K70NAJA7GY0EADFNR5V4WB', 'req-1', '10.0.0.7', NULL, '{"project_id":[null,"01M8K70NA9Y5XB3ZBYZMRASBGD"],"slug":[null,"web"],"description":[null,""],"default_branch":[null,"main"],"object_format":[null,"sha256"],"visibility":[null,"private"],"state":[null,"active"],"lease_epoch":[null,0]}', 1, '\x689638dc6c613fb314bed4bd97ec0fd3a228cdcd4a87c95736121e3128bbd3d0'),
	('01M8K70NAM520E69TYGHRP04J9', 1, '01M8K70NANYFFZE8FBNDAMGKJ0', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'repository.create', 'repository', '01M8K70NAM520E69TYGHRP04J9', 'req-1', '10.0.0.7', NULL, '{"project_id":[null,"01M8K70NADMWAZZQMKQRT6QZQZ"],"slug":[null,"gone"],"description":[null,""],"default_branch":[null,"main"],"object_format":[null,"sha1"],"visibility":[null,"private"],"state":[null,"active"],"lease_epoch":[null,0]}', 1, '\x461eb35e7ee6fcb29bb7b239d69167a6c6df11e6dc077657aedf3b45bb85c527'),
	('01M8K70NAPES3H55P8ZNN198PF', 1, '01M8K70NAQ1ZDTEF6R5B2PJSN7', '2026-11-22 06:30:00.123456-03:30', 'user:bob', 'repository.create', 'repository', '01M8K70NAPES3H55P8ZNN198PF', NULL, '2001:db8::7', NULL, '{"project_id":[null,"01M8K70NA9Y5XB3ZBYZMRASBGD"],"slug":[null,"api-fork"],"description":[null,""],"default_branch":[null,"main"],"object_format":[null,"sha1"],"visibility":[null,"private"],"state":[null,"active"],"lease_epoch":[null,0]}', 1, '\x680a6b1f64055f12c2a5e3976c74f8a6f2556a997c0c9d24f54d7808bf994c43'),
	('01M8K70NAPES3H55P8ZNN198PF', 2, '01M8K70NAZ9NXPYGRSHBKWA0CC', '2026-11-22 06:30:00.123456-03:30', 'user:bob', 'relationship.create', 'relationship', '01M8K70NAZ9NXPYGRSHBD939W5', NULL, '2001:db8::7', NULL, '{"source_id":[null,"01M8K70NAPES3H55P8ZNN198PF"],"target_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"kind":[null,"fork"],"path":[null,""]}', 1, '\xa8e2e7042f87ee1253a9176bca2e00ba1be033dc5ff0b26c296851e5a42c1303'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 2, '01M8K70NB3D0K635PGERPS6M5J', '2026-11-22 06:30:00.123456-03:30', 'user:ada', 'mirror.create', 'mirror', '01M8K70NB3D0K635PGEQYFZFN9', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"direction":[null,"pull"],"remote_url":[null,"https://example.org/api.git"],"credential_ref":[null,"vault:api"],"enabled":[null,true],"interval_seconds":[null,3600],"status":[null,"never"],"next_run_at":[null,"2026-11-22T10:00:00.123456Z"],"consecutive_failures":[null,0]}', 1, '\xd86330659a1c7b41cbd1c15e7da441d9b117a866132b12485e8f35b38390523b'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 3, '01M8K70NB915WKNHD364PAV5GF', '2026-11-22 07:30:00.123456-03:30', 'service:mirror', 'mirror.claim', 'mirror', '01M8K70NB3D0K635PGEQYFZFN9', NULL, NULL, NULL, '{"status":["never","running"],"next_run_at":["2026-11-22T10:00:00.123456Z","2026-11-22T12:00:00.123456Z"],"last_started_at":[null,"2026-11-22T11:00:00.123456Z"],"run_token":[null,"01M8K70NB915WKNHD3626Y59D7"],"run_deadline_at":[null,"2026-11-22T12:00:00.123456Z"]}', 1, '\x6bd8e9faf2f18f0af000ff2f3270fb5c5b7ebff4dc3006f7464a80aff16b101f'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 4, '01M8K70NBCTABB65PNBFNCFQF0', '2026-11-22 07:30:00.123456-03:30', 'service:mirror', 'mirror.finish', 'mirror', '01M8K70NB3D0K635PGEQYFZFN9', NULL, NULL, NULL, '{"status":["running","failed"],"consecutive_failures":[0,1],"last_error":[null,"timed out"],"run_token":["01M8K70NB915WKNHD3626Y59D7",null],"run_deadline_at":["2026-11-22T12:00:00.123456Z",null]}', 1, '\xd2cbb20594c1cb07f7782eb103ca779033205aa36fd96ba7ac3b67502d77a823'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 5, '01M8K70NBF2S5YWGGY61H6MRTK', '2026-11-22 07:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NBEX5KK9A55WD0BM3MA', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:ada"],"purpose":[null,"import 0"],"fencing_token":[null,1],"idempotency_key":[null,"k0"],"acquired_at":[null,"2026-11-22T11:00:00.123456Z"],"expires_at":[null,"2026-11-25T11:00:00.123456Z"]}', 1, '\xdf2bc01462756e75f7c3d1793869e03f92449c46cec80f2d4fcc4447c181639a'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 6, '01M8K70NBSQ0HA264WQ6VTCVZY', '2026-11-22 07:30:00.123456-03:30', 'user:ada', 'objects.add', 'objects', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"added":[null,50],"already_there":[null,0],"resized":[null,0],"sha256_of_oids":[null,"4d07314e160c3a56a3d41c1a978cac7bfb9028a2c4143c0bc61ea43585b9be37"],"fencing_token":[null,1]}', 1, '\x9c0e9a984a16f774c77a32ee69c4ef81a858ad624a7ef04a32d4f3a2ade3d16f'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 7, '01M8K70NBW926MA88J8P2WHDY0', '2026-11-22 08:30:00.123456-03:30', 'user:ada', 'lease.release', 'lease', '01M8K70NBEX5KK9A55WD0BM3MA', 'req-1', '10.0.0.7', NULL, '{"holder":["user:ada","user:ada"],"ended_at":[null,"2026-11-22T12:00:00.123456Z"],"end_reason":[null,"released"],"ended_by":[null,"user:ada"]}', 1, '\x7fbe968d45150dd284ffc51a748db0291a02caf85ac79c6c0cc9a291984932fb'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 8, '01M8K70NBYABGEEMMQVJ6V0H1Q', '2026-11-22 08:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NBYABGEEMMQVJ4TTCF2', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:ada"],"purpose":[null,"import 1"],"fencing_token":[null,2],"idempotency_key":[null,"k1"],"acquired_at":[null,"2026-11-22T12:00:00.123456Z"],"expires_at":[null,"2026-11-25T12:00:00.123456Z"],"previous_lease_id":[null,"01M8K70NBEX5KK9A55WD0BM3MA"]}', 1, '\x288ac707fe1d80cfd9df47612f5dfd0ab439254dac66dd54162dca906be391bd'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 9, '01M8K70NC3HV3YDFA861WNHAJZ', '2026-11-22 08:30:00.123456-03:30', 'user:ada', 'objects.add', 'objects', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"added":[null,50],"already_there":[null,0],"resized":[null,0],"sha256_of_oids":[null,"35cb0cf1201b9fccfae976cfd97c3b99baedf5ef8a06a1ff66845f2efc820547"],"fencing_token":[null,2]}', 1, '\x1d2e6af47cd28ac6413c95bf534694632b3c22f42b7948ab6a4cfc2d5537ef82'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 10, '01M8K70NC5Q05T7S4EQRJACNV5', '2026-11-22 09:30:00.123456-03:30', 'user:bob', 'lease.force_release', 'lease', '01M8K70NBYABGEEMMQVJ4TTCF2', NULL, '2001:db8::7', 'stuck', '{"holder":["user:ada","user:ada"],"ended_at":[null,"2026-11-22T13:00:00.123456Z"],"end_reason":[null,"forced"],"ended_by":[null,"user:bob"],"end_note":[null,"stuck"]}', 1, '\xff1ce7693023c5ba27d11ca1fb3f711bdbadce9b49c59ffed83cf3f2e4a19b4f'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 11, '01M8K70NC7KTXCPASJSYHM01H5', '2026-11-22 09:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NC7KTXCPASJSWBAFQG9', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:ada"],"purpose":[null,"import 2"],"fencing_token":[null,3],"idempotency_key":[null,"k2"],"acquired_at":[null,"2026-11-22T13:00:00.123456Z"],"expires_at":[null,"2026-11-25T13:00:00.123456Z"],"previous_lease_id":[null,"01M8K70NBYABGEEMMQVJ4TTCF2"]}', 1, '\x27c36017e95f609e408f86c95e5eb61c4f6364c94f21ebe804bc307f0b626e3f'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 12, '01M8K70NCBK17GWV73XMH0PSC2', '2026-11-22 09:30:00.123456-03:30', 'user:ada', 'objects.add', 'objects', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"added":[null,50],"already_there":[null,0],"resized":[null,0],"sha256_of_oids":[null,"c3422f82ddc8b1101b92e0fb863f709f1368b9398d3c072a7ad4caaa693d6d0f"],"fencing_token":[null,3]}', 1, '\x1e509fc8d7a87e227f4808997787bcd48cd50a1a1bdf24541d6a14d631e12898'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 13, '01M8K70NCDJJP3HGNT68GZYD18', '2026-11-22 10:30:00.123456-03:30', 'user:ada', 'lease.handover', 'lease', '01M8K70NC7KTXCPASJSWBAFQG9', 'req-1', '10.0.0.7', 'the rest is yours', '{"holder":["user:ada","user:ada"],"ended_at":[null,"2026-11-22T14:00:00.123456Z"],"end_reason":[null,"transferred"],"ended_by":[null,"user:ada"],"end_note":[null,"the rest is yours"]}', 1, '\xdc6bec686e0f31731a361413bbf7b8dc3327e2e828b6792dbf2ce26359ac7d2b'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 14, '01M8K70NCDJJP3HGNT6AEX5GG0', '2026-11-22 10:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NCDJJP3HGNT6725WNJD', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:bob"],"purpose":[null,"import 2"],"fencing_token":[null,4],"acquired_at":[null,"2026-11-22T14:00:00.123456Z"],"expires_at":[null,"2026-11-25T13:00:00.123456Z"],"previous_lease_id":[null,"01M8K70NC7KTXCPASJSWBAFQG9"]}', 1, '\x9f1053def0ef5cba0f1bc5e73e6c42169c4ed0abde3072b5a4dd4134c4a7958e'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 15, '01M8K70NCG4TEX6YCXNRP47GRV', '2026-11-22 10:30:00.123456-03:30', 'user:bob', 'lease.release', 'lease', '01M8K70NCDJJP3HGNT6725WNJD', NULL, '2001:db8::7', NULL, '{"holder":["user:bob","user:bob"],"ended_at":[null,"2026-11-22T14:00:00.123456Z"],"end_reason":[null,"released"],"ended_by":[null,"user:bob"]}', 1, '\x4e6604b1d9cccedb8df2a70419cc3c29d5990a3f2c5167929059889c82a87b42'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 16, '01M8K70NCH7922T0DAX2H51MGJ', '2026-11-22 10:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NCH7922T0DAX1WXZER8', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:ada"],"purpose":[null,"import 3"],"fencing_token":[null,5],"idempotency_key":[null,"k3"],"acquired_at":[null,"2026-11-22T14:00:00.123456Z"],"expires_at":[null,"2026-11-25T14:00:00.123456Z"],"previous_lease_id":[null,"01M8K70NCDJJP3HGNT6725WNJD"]}', 1, '\xc6231f96b8a9fe1a6e13473c2ebb6cdbe786d0ca0414ad0ad05de6e63067091c'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 17, '01M8K70NCN6KPAPMSHPJS5W5ZK', '2026-11-22 10:30:00.123456-03:30', 'user:ada', 'objects.add', 'objects', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"added":[null,50],"already_there":[null,0],"resized":[null,0],"sha256_of_oids":[null,"c4e09c51ec4f709c22a5945817105743d20c8177a50b721517f785a3cdf6d314"],"fencing_token":[null,5]}', 1, '\x5a0e333b43e513fc69d4a7506b00db6de0bf3baae8aa3ff1307f8126478cdb12'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 18, '01M8K70NCQC67CNB2BC18FQEH7', '2026-11-25 11:30:00.123456-03:30', 'user:ada', 'lease.expire', 'lease', '01M8K70NCH7922T0DAX1WXZER8', 'req-1', '10.0.0.7', NULL, '{"holder":["user:ada","user:ada"],"ended_at":[null,"2026-11-25T14:00:00.123456Z"],"end_reason":[null,"expired"],"ended_by":[null,"user:ada"]}', 1, '\x95c6e918c0fb42a84f0f1306cab298502b00d5b6b3d057849c4026d28d4d1038'),
	('01M8K70NAJA7GY0EADFNR5V4WB', 2, '01M8K70NCXQYMAM7ME8Q05CBF0', '2026-11-25 11:30:00.123456-03:30', 'user:bob', 'lease.acquire', 'lease', '01M8K70NCWAH4VYDN5ZC3A2VWT', NULL, '2001:db8::7', NULL, '{"repository_id":[null,"01M8K70NAJA7GY0EADFNR5V4WB"],"holder":[null,"user:bob"],"purpose":[null,"gc"],"fencing_token":[null,1],"acquired_at":[null,"2026-11-25T15:00:00.123456Z"],"expires_at":[null,"2026-11-28T15:00:00.123456Z"]}', 1, '\x61a54692310e50dccb66cd9772f4eccb61926218237a79149fe55bbaa362f25f'),
	('01M8K70NAJA7GY0EADFNR5V4WB', 3, '01M8K70ND1B5S0RWZ8SPP95AET', '2026-11-25 11:30:00.123456-03:30', 'user:bob', 'objects.add', 'objects', '01M8K70NAJA7GY0EADFNR5V4WB', NULL, '2001:db8::7', NULL, '{"added":[null,1],"already_there":[null,0],"resized":[null,0],"sha256_of_oids":[null,"4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0"],"fencing_token":[null,1]}', 1, '\x1051f994d641dbe7711e6d9a4fbec0f492455c0dd4a9550a1cca8b192e21f73e'),
	('01M8K70NAJA7GY0EADFNR5V4WB', 4, '01M8K70ND4Q6PCKH7VZJY6MQXS', '2026-11-25 11:30:00.123456-03:30', 'user:bob', 'objects.remove', 'objects', '01M8K70NAJA7GY0EADFNR5V4WB', NULL, '2001:db8::7', NULL, '{"removed":[null,1],"sha256_of_oids":[null,"4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0"],"fencing_token":[null,1]}', 1, '\x3d0620a64584b5435bbc992a3eb44e46ad9cd6dc239406f76c9df1256eab6f4e'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 19, '01M8K70ND6910JVTWD7HBWPYFE', '2026-11-25 11:30:00.123456-03:30', 'user:ada', 'review.approve', 'repository', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"review":[null,7]}', 1, '\xe2a3a882f6eaa6fcb5939535344a237a94f25af2412800fb2e89608f2b9b3527'),
	('01M8K70NAPES3H55P8ZNN198PF', 3, '01M8K70NDF9KGRQPVYJZ9B3ZPS', '2026-11-20 06:30:00-03:30', 'service:importer', 'lease.acquire', 'lease', '01M8K70NDF9KGRQPVYJVDSSHMX', NULL, NULL, NULL, '{"repository_id":[null,"01M8K70NAPES3H55P8ZNN198PF"],"holder":[null,"user:eve"],"purpose":[null,""],"fencing_token":[null,1],"acquired_at":[null,"2026-11-20T10:00:00Z"],"expires_at":[null,"2026-11-20T12:00:00Z"],"imported_from":[null,"old.jsonl:1"]}', 1, '\x8428a79cd51092894661d3a9e2fdee641a8ed4b53cb224221f44ba1fd558dd6b'),
	('01M8K70NAPES3H55P8ZNN198PF', 4, '01M8K70NDF9KGRQPVYK1PD4ND5', '2026-11-20 07:30:00-03:30', 'service:importer', 'lease.release', 'lease', '01M8K70NDF9KGRQPVYJVDSSHMX', NULL, NULL, NULL, '{"holder":["user:eve","user:eve"],"ended_at":[null,"2026-11-20T11:00:00Z"],"end_reason":[null,"released"],"ended_by":[null,"user:eve"],"imported_from":[null,"old.jsonl:2"]}', 1, '\x8edd193426b8efb73807ed35327eb39b5c5904e0ffdb4138f49368f7da0b4b85'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 20, '01M8K70NDNRY0WMHKA14K55DB7', '2026-11-25 11:30:00.123456-03:30', 'user:ada', 'repository.update', 'repository', '01M8K70NAEK19QQPYB4ZZWAR3J', 'req-1', '10.0.0.7', NULL, '{"description":["","the API"]}', 1, '\x2b811791a6b9a70cd71d2c0a3b2b3ed5154aeff0b6da126a800fba6b24614c4d'),
	('01M8K70NAM520E69TYGHRP04J9', 2, '01M8K70NDR3BTWJ0BMM9C1YYJ3', '2026-11-25 11:30:00.123456-03:30', 'user:ada', 'repository.delete', 'repository', '01M8K70NAM520E69TYGHRP04J9', 'req-1', '10.0.0.7', NULL, '{"deleted_at":[null,"2026-11-25T15:00:00.123456Z"]}', 1, '\x42e0f5171ec6273a92cbc726ad6e5d12744eb54b957b3e87488f0dadf914d42c'),
	('01M8K70NADMWAZZQMKQRT6QZQZ', 2, '01M8K70NDVT0QFBPGDYN11D27Y', '2026-11-25 11:30:00.123456-03:30', 'user:ada', 'project.delete', 'project', '01M8K70NADMWAZZQMKQRT6QZQZ', 'req-1', '10.0.0.7', NULL, '{"deleted_at":[null,"2026-11-25T15:00:00.123456Z"]}', 1, '\x489a38d447b944af515e37008c2486ff87bd767f9db01bce0684f4f010710ded'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', 21, '01M8K70NDZV6BBHCJ58P7E43TE', '2026-11-25 12:30:00.123456-03:30', 'user:ada', 'lease.acquire', 'lease', '01M8K70NDYS1KSBM36W6FP27SY', 'req-1', '10.0.0.7', NULL, '{"repository_id":[null,"01M8K70NAEK19QQPYB4ZZWAR3J"],"holder":[null,"user:ada"],"purpose":[null,"still going on"],"fencing_token":[null,6],"acquired_at":[null,"2026-11-25T16:00:00.123456Z"],"expires_at":[null,"2026-11-28T16:00:00.123456Z"],"previous_lease_id":[null,"01M8K70NCH7922T0DAX1WXZER8"]}', 1, '\x1289aede5f6f3d65c0fabac0711fe87fe645ddaffe08081ebf700e942181116e');

INSERT INTO public.lease_import_lines VALUES
	('old.jsonl', 1, '\x5f3aedf7dfddd787574e1ce307148e3c5e3aad6c2b77eaff38da0b14f6b3bbc8', 'acquired', 'l-1', 'platform/api-fork', '01M8K70NDF9KGRQPVYJVDSSHMX', '2026-11-25 11:30:00.123456-03:30'),
	('old.jsonl', 2, '\x1fa2c7376d5ffac0a9049a081fb344507b7f0db355f07ca265b943de454e93c1', 'released', 'l-1', NULL, '01M8K70NDF9KGRQPVYJVDSSHMX', '2026-11-25 11:30:00.123456-03:30'),
	('old.jsonl', 3, '\x1061a3ef597e5a29c3e2ac092d7f4e3f38f2c2f2802e6d46bb99279daa1fa71f', 'acquired', 'l-2', 'platform/unknown', NULL, '2026-11-25 11:30:00.123456-03:30');

INSERT INTO public.leases VALUES
	('01M8K70NBEX5KK9A55WD0BM3MA', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:ada', 'import 0', 1, 'k0', '2026-11-22 07:30:00.123456-03:30', '2026-11-25 07:30:00.123456-03:30', '2026-11-22 08:30:00.123456-03:30', 'released', NULL, 'user:ada', NULL),
	('01M8K70NBYABGEEMMQVJ4TTCF2', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:ada', 'import 1', 2, 'k1', '2026-11-22 08:30:00.123456-03:30', '2026-11-25 08:30:00.123456-03:30', '2026-11-22 09:30:00.123456-03:30', 'forced', '01M8K70NBEX5KK9A55WD0BM3MA', 'user:bob', 'stuck'),
	('01M8K70NC7KTXCPASJSWBAFQG9', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:ada', 'import 2', 3, 'k2', '2026-11-22 09:30:00.123456-03:30', '2026-11-25 09:30:00.123456-03:30', '2026-11-22 10:30:00.123456-03:30', 'transferred', '01M8K70NBYABGEEMMQVJ4TTCF2', 'user:ada', 'the rest is yours'),
	('01M8K70NCDJJP3HGNT6725WNJD', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:bob', 'import 2', 4, NULL, '2026-11-22 10:30:00.123456-03:30', '2026-11-25 09:30:00.123456-03:30', '2026-11-22 10:30:00.123456-03:30', 'released', '01M8K70NC7KTXCPASJSWBAFQG9', 'user:bob', NULL),
	('01M8K70NCH7922T0DAX1WXZER8', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:ada', 'import 3', 5, 'k3', '2026-11-22 10:30:00.123456-03:30', '2026-11-25 10:30:00.123456-03:30', '2026-11-25 10:30:00.123456-03:30', 'expired', '01M8K70NCDJJP3HGNT6725WNJD', 'user:ada', NULL),
	('01M8K70NCWAH4VYDN5ZC3A2VWT', '01M8K70NAJA7GY0EADFNR5V4WB', 'user:bob', 'gc', 1, NULL, '2026-11-25 11:30:00.123456-03:30', '2026-11-28 11:30:00.123456-03:30', NULL, NULL, NULL, NULL, NULL),
	('01M8K70NDF9KGRQPVYJVDSSHMX', '01M8K70NAPES3H55P8ZNN198PF', 'user:eve', '', 1, NULL, '2026-11-20 06:30:00-03:30', '2026-11-20 08:30:00-03:30', '2026-11-20 07:30:00-03:30', 'released', NULL, 'user:eve', NULL),
	('01M8K70NDYS1KSBM36W6FP27SY', '01M8K70NAEK19QQPYB4ZZWAR3J', 'user:ada', 'still going on', 6, NULL, '2026-11-25 12:30:00.123456-03:30', '2026-11-28 12:30:00.123456-03:30', NULL, NULL, '01M8K70NCH7922T0DAX1WXZER8', NULL, NULL);

INSERT INTO public.mirrors VALUES
	('01M8K70NB3D0K635PGEQYFZFN9', '01M8K70NAEK19QQPYB4ZZWAR3J', 'pull', 'https://example.org/api.git', 'vault:api', true, 3600, 'failed', '2026-11-22 08:30:00.123456-03:30', '2026-11-22 07:30:00.123456-03:30', NULL, 1, 'timed out', NULL, NULL, '2026-11-22 06:30:00.123456-03:30', '2026-11-22 07:30:00.123457-03:30');

INSERT INTO public.object_metadata_06 VALUES
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000000', 3, 0, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000001', 3, 1, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000002', 3, 2, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000003', 3, 3, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000004', 3, 4, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000005', 3, 5, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000006', 3, 6, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000007', 3, 7, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000008', 3, 8, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000009', 3, 9, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000a', 3, 10, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000b', 3, 11, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000c', 3, 12, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000d', 3, 13, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000e', 3, 14, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000000f', 3, 15, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000010', 3, 16, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000011', 3, 17, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000012', 3, 18, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000013', 3, 19, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000014', 3, 20, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000015', 3, 21, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000016', 3, 22, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000017', 3, 23, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000018', 3, 24, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000019', 3, 25, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001a', 3, 26, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001b', 3, 27, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001c', 3, 28, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001d', 3, 29, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001e', 3, 30, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000001f', 3, 31, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000020', 3, 32, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000021', 3, 33, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000022', 3, 34, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000023', 3, 35, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000024', 3, 36, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000025', 3, 37, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000026', 3, 38, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000027', 3, 39, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000028', 3, 40, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000029', 3, 41, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002a', 3, 42, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002b', 3, 43, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002c', 3, 44, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002d', 3, 45, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002e', 3, 46, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x000000000000000000000000000000000000002f', 3, 47, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000030', 3, 48, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0000000000000000000000000000000000000031', 3, 49, NULL, '2026-11-22 07:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010100', 3, 0, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010101', 3, 1, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010102', 3, 2, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010103', 3, 3, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010104', 3, 4, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010105', 3, 5, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010106', 3, 6, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010107', 3, 7, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010108', 3, 8, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010109', 3, 9, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010a', 3, 10, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010b', 3, 11, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010c', 3, 12, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010d', 3, 13, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010e', 3, 14, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101010f', 3, 15, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010110', 3, 16, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010111', 3, 17, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010112', 3, 18, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010113', 3, 19, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010114', 3, 20, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010115', 3, 21, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010116', 3, 22, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010117', 3, 23, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010118', 3, 24, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010119', 3, 25, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011a', 3, 26, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011b', 3, 27, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011c', 3, 28, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011d', 3, 29, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011e', 3, 30, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101011f', 3, 31, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010120', 3, 32, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010121', 3, 33, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010122', 3, 34, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010123', 3, 35, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010124', 3, 36, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010125', 3, 37, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010126', 3, 38, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010127', 3, 39, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010128', 3, 40, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010129', 3, 41, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012a', 3, 42, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012b', 3, 43, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012c', 3, 44, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012d', 3, 45, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012e', 3, 46, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x010101010101010101010101010101010101012f', 3, 47, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010130', 3, 48, NULL, '2026-11-22 08:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0101010101010101010101010101010101010131', 3, 49, NULL, '2026-11-22 08:30:00.123456-03:30');
INSERT INTO public.object_metadata_06 VALUES
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020200', 3, 0, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020201', 3, 1, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020202', 3, 2, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020203', 3, 3, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020204', 3, 4, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020205', 3, 5, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020206', 3, 6, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020207', 3, 7, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020208', 3, 8, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020209', 3, 9, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020a', 3, 10, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020b', 3, 11, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020c', 3, 12, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020d', 3, 13, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020e', 3, 14, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202020f', 3, 15, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020210', 3, 16, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020211', 3, 17, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020212', 3, 18, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020213', 3, 19, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020214', 3, 20, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020215', 3, 21, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020216', 3, 22, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020217', 3, 23, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020218', 3, 24, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020219', 3, 25, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021a', 3, 26, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021b', 3, 27, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021c', 3, 28, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021d', 3, 29, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021e', 3, 30, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202021f', 3, 31, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020220', 3, 32, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020221', 3, 33, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020222', 3, 34, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020223', 3, 35, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020224', 3, 36, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020225', 3, 37, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020226', 3, 38, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020227', 3, 39, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020228', 3, 40, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020229', 3, 41, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022a', 3, 42, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022b', 3, 43, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022c', 3, 44, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022d', 3, 45, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022e', 3, 46, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x020202020202020202020202020202020202022f', 3, 47, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020230', 3, 48, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0202020202020202020202020202020202020231', 3, 49, NULL, '2026-11-22 09:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030300', 3, 0, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030301', 3, 1, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030302', 3, 2, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030303', 3, 3, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030304', 3, 4, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030305', 3, 5, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030306', 3, 6, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030307', 3, 7, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030308', 3, 8, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030309', 3, 9, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030a', 3, 10, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030b', 3, 11, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030c', 3, 12, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030d', 3, 13, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030e', 3, 14, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303030f', 3, 15, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030310', 3, 16, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030311', 3, 17, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030312', 3, 18, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030313', 3, 19, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030314', 3, 20, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030315', 3, 21, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030316', 3, 22, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030317', 3, 23, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030318', 3, 24, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030319', 3, 25, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031a', 3, 26, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031b', 3, 27, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031c', 3, 28, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031d', 3, 29, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031e', 3, 30, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303031f', 3, 31, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030320', 3, 32, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030321', 3, 33, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030322', 3, 34, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030323', 3, 35, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030324', 3, 36, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030325', 3, 37, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030326', 3, 38, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030327', 3, 39, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030328', 3, 40, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030329', 3, 41, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032a', 3, 42, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032b', 3, 43, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032c', 3, 44, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032d', 3, 45, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032e', 3, 46, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x030303030303030303030303030303030303032f', 3, 47, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030330', 3, 48, NULL, '2026-11-22 10:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '\x0303030303030303030303030303030303030331', 3, 49, NULL, '2026-11-22 10:30:00.123456-03:30');

INSERT INTO public.projects VALUES
	('01M8K70NA9Y5XB3ZBYZMRASBGD', 'platform', 'Platform', 'Ünïcödé – 😀', 'private', 1, '\x79c4a6a04ea14f783c66c67f8b4a4715799b2d8515707ec3be6aa7059ee39958', '2026-11-22 06:30:00.123456-03:30', '2026-11-22 06:30:00.123456-03:30', NULL),
	('01M8K70NADMWAZZQMKQRT6QZQZ', 'old', 'Old', '', 'private', 2, '\x489a38d447b944af515e37008c2486ff87bd767f9db01bce0684f4f010710ded', '2026-11-22 06:30:00.123456-03:30', '2026-11-25 11:30:00.123456-03:30', '2026-11-25 11:30:00.123456-03:30');

INSERT INTO public.repositories VALUES
	('01M8K70NAJA7GY0EADFNR5V4WB', '01M8K70NA9Y5XB3ZBYZMRASBGD', 'web', '', 'main', 'sha256', 'private', 'active', 1, 4, '\x3d0620a64584b5435bbc992a3eb44e46ad9cd6dc239406f76c9df1256eab6f4e', '2026-11-22 06:30:00.123456-03:30', '2026-11-22 06:30:00.123456-03:30', NULL),
	('01M8K70NAPES3H55P8ZNN198PF', '01M8K70NA9Y5XB3ZBYZMRASBGD', 'api-fork', '', 'main', 'sha1', 'private', 'active', 1, 4, '\x8edd193426b8efb73807ed35327eb39b5c5904e0ffdb4138f49368f7da0b4b85', '2026-11-22 06:30:00.123456-03:30', '2026-11-22 06:30:00.123456-03:30', NULL),
	('01M8K70NAM520E69TYGHRP04J9', '01M8K70NADMWAZZQMKQRT6QZQZ', 'gone', '', 'main', 'sha1', 'private', 'active', 0, 2, '\x42e0f5171ec6273a92cbc726ad6e5d12744eb54b957b3e87488f0dadf914d42c', '2026-11-22 06:30:00.123456-03:30', '2026-11-25 11:30:00.123456-03:30', '2026-11-25 11:30:00.123456-03:30'),
	('01M8K70NAEK19QQPYB4ZZWAR3J', '01M8K70NA9Y5XB3ZBYZMRASBGD', 'api', 'the API', 'main', 'sha1', 'private', 'active', 6, 21, '\x1289aede5f6f3d65c0fabac0711fe87fe645ddaffe08081ebf700e942181116e', '2026-11-22 06:30:00.123456-03:30', '2026-11-25 11:30:00.123456-03:30', NULL);

INSERT INTO public.repository_relationships VALUES
	('01M8K70NAZ9NXPYGRSHBD939W5', '01M8K70NAPES3H55P8ZNN198PF', '01M8K70NAEK19QQPYB4ZZWAR3J', NULL, 'fork', '', '2026-11-22 06:30:00.123456-03:30', '2026-11-22 06:30:00.123456-03:30');

INSERT INTO public.schema_migrations VALUES
	(1, 'initial', 'fb6215705c60f7582a66c729c93f80285747a0585974632b7cfa885d6fdd874c', '2026-11-22 06:30:00.123456-03:30', 73);

ALTER TABLE ONLY public.audit_checkpoints
    ADD CONSTRAINT audit_checkpoints_one_per_seq PRIMARY KEY (seq);

ALTER TABLE ONLY public.audit_entries
    ADD CONSTRAINT audit_entries_one_per_seq PRIMARY KEY (stream_id, seq);

ALTER TABLE ONLY public.lease_import_lines
    ADD CONSTRAINT lease_import_lines_one_per_line PRIMARY KEY (source, line_number);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_one_per_id PRIMARY KEY (id);

ALTER TABLE ONLY public.mirrors
    ADD CONSTRAINT mirrors_one_per_id PRIMARY KEY (id);

ALTER TABLE ONLY public.object_metadata
    ADD CONSTRAINT object_metadata_one_per_oid PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_00
    ADD CONSTRAINT object_metadata_00_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_01
    ADD CONSTRAINT object_metadata_01_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_02
    ADD CONSTRAINT object_metadata_02_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_03
    ADD CONSTRAINT object_metadata_03_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_04
    ADD CONSTRAINT object_metadata_04_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_05
    ADD CONSTRAINT object_metadata_05_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_06
    ADD CONSTRAINT object_metadata_06_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_07
    ADD CONSTRAINT object_metadata_07_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_08
    ADD CONSTRAINT object_metadata_08_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_09
    ADD CONSTRAINT object_metadata_09_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_10
    ADD CONSTRAINT object_metadata_10_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_11
    ADD CONSTRAINT object_metadata_11_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_12
    ADD CONSTRAINT object_metadata_12_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_13
    ADD CONSTRAINT object_metadata_13_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_14
    ADD CONSTRAINT object_metadata_14_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.object_metadata_15
    ADD CONSTRAINT object_metadata_15_pkey PRIMARY KEY (repository_id, oid);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_one_per_id PRIMARY KEY (id);

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_one_per_id PRIMARY KEY (id);

ALTER TABLE ONLY public.repository_relationships
    ADD CONSTRAINT repository_relationships_one_per_id PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_one_per_version PRIMARY KEY (version);

CREATE UNIQUE INDEX audit_checkpoints_one_per_hash ON public.audit_checkpoints USING btree (checkpoint_hash);

CREATE INDEX audit_entries_by_action ON public.audit_entries USING btree (action, id);

CREATE INDEX audit_entries_by_actor ON public.audit_entries USING btree (actor, id);

CREATE INDEX audit_entries_by_target ON public.audit_entries USING btree (target_id, id);

CREATE INDEX audit_entries_by_time ON public.audit_entries USING btree (at, id);

CREATE UNIQUE INDEX audit_entries_one_per_id ON public.audit_entries USING btree (id);

CREATE INDEX lease_import_lines_by_lease ON public.lease_import_lines USING btree (lease_id);

CREATE UNIQUE INDEX lease_import_lines_one_per_event ON public.lease_import_lines USING btree (legacy_lease_id, event);

CREATE UNIQUE INDEX leases_one_open_per_repository ON public.leases USING btree (repository_id) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX leases_one_per_fencing_token ON public.leases USING btree (repository_id, fencing_token);

CREATE INDEX leases_open ON public.leases USING btree (id) WHERE (ended_at IS NULL);

CREATE INDEX leases_open_by_expiry ON public.leases USING btree (expires_at, id) WHERE (ended_at IS NULL);

CREATE INDEX leases_open_by_holder ON public.leases USING btree (holder, id) WHERE (ended_at IS NULL);

CREATE INDEX mirrors_by_repository ON public.mirrors USING btree (repository_id, id);

CREATE INDEX mirrors_due ON public.mirrors USING btree (next_run_at, id) WHERE (enabled AND (next_run_at IS NOT NULL));

CREATE UNIQUE INDEX mirrors_one_per_remote ON public.mirrors USING btree (repository_id, direction, public.forgedb_digest(remote_url));

CREATE UNIQUE INDEX mirrors_one_pull_per_repository ON public.mirrors USING btree (repository_id) WHERE (direction = 'pull'::text);

CREATE INDEX object_metadata_by_oid ON ONLY public.object_metadata USING btree (oid);

CREATE INDEX object_metadata_00_oid_idx ON public.object_metadata_00 USING btree (oid);

CREATE INDEX object_metadata_01_oid_idx ON public.object_metadata_01 USING btree (oid);

CREATE INDEX object_metadata_02_oid_idx ON public.object_metadata_02 USING btree (oid);

CREATE INDEX object_metadata_03_oid_idx ON public.object_metadata_03 USING btree (oid);

CREATE INDEX object_metadata_04_oid_idx ON public.object_metadata_04 USING btree (oid);

CREATE INDEX object_metadata_05_oid_idx ON public.object_metadata_05 USING btree (oid);

CREATE INDEX object_metadata_06_oid_idx ON public.object_metadata_06 USING btree (oid);

CREATE INDEX object_metadata_07_oid_idx ON public.object_metadata_07 USING btree (oid);

CREATE INDEX object_metadata_08_oid_idx ON public.object_metadata_08 USING btree (oid);

CREATE INDEX object_metadata_09_oid_idx ON public.object_metadata_09 USING btree (oid);

CREATE INDEX object_metadata_10_oid_idx ON public.object_metadata_10 USING btree (oid);

CREATE INDEX object_metadata_11_oid_idx ON public.object_metadata_11 USING btree (oid);

CREATE INDEX object_metadata_12_oid_idx ON public.object_metadata_12 USING btree (oid);

CREATE INDEX object_metadata_13_oid_idx ON public.object_metadata_13 USING btree (oid);

CREATE INDEX object_metadata_14_oid_idx ON public.object_metadata_14 USING btree (oid);

CREATE INDEX object_metadata_15_oid_idx ON public.object_metadata_15 USING btree (oid);

CREATE UNIQUE INDEX projects_one_live_per_slug ON public.projects USING btree (slug) WHERE (deleted_at IS NULL);

CREATE INDEX repositories_by_project ON public.repositories USING btree (project_id, id);

CREATE UNIQUE INDEX repositories_one_live_per_path ON public.repositories USING btree (project_id, slug) WHERE (deleted_at IS NULL);

CREATE INDEX repository_relationships_by_source ON public.repository_relationships USING btree (source_id, id);

CREATE INDEX repository_relationships_by_target ON public.repository_relationships USING btree (target_id, id);

CREATE UNIQUE INDEX repository_relationships_no_duplicates ON public.repository_relationships USING btree (source_id, kind, COALESCE((target_id)::text, ''::text), public.forgedb_digest(COALESCE(target_url, ''::text)), public.forgedb_digest(path));

CREATE UNIQUE INDEX repository_relationships_one_fork_parent ON public.repository_relationships USING btree (source_id) WHERE (kind = 'fork'::text);

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_00_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_00_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_01_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_01_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_02_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_02_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_03_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_03_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_04_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_04_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_05_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_05_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_06_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_06_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_07_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_07_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_08_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_08_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_09_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_09_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_10_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_10_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_11_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_11_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_12_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_12_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_13_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_13_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_14_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_14_pkey;

ALTER INDEX public.object_metadata_by_oid ATTACH PARTITION public.object_metadata_15_oid_idx;

ALTER INDEX public.object_metadata_one_per_oid ATTACH PARTITION public.object_metadata_15_pkey;

CREATE TRIGGER audit_checkpoints_never_deleted BEFORE DELETE ON public.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_truncated BEFORE TRUNCATE ON public.audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION public.forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be deleted');

CREATE TRIGGER audit_checkpoints_never_updated BEFORE UPDATE ON public.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('audit_checkpoints_append_only', 'checkpoints can''t be updated');

CREATE TRIGGER audit_entries_never_deleted BEFORE DELETE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_entries_never_truncated BEFORE TRUNCATE ON public.audit_entries FOR EACH STATEMENT EXECUTE FUNCTION public.forgedb_refuse('audit_entries_append_only', 'entries can''t be deleted');

CREATE TRIGGER audit_entries_never_updated BEFORE UPDATE ON public.audit_entries FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('audit_entries_append_only', 'entries can''t be updated');

CREATE TRIGGER leases_change_once BEFORE UPDATE ON public.leases FOR EACH ROW WHEN (((old.ended_at IS NOT NULL) OR (new.ended_at IS NULL) OR ((((((((((new.id)::text IS DISTINCT FROM (old.id)::text) OR ((new.repository_id)::text IS DISTINCT FROM (old.repository_id)::text)) OR (new.holder IS DISTINCT FROM old.holder)) OR (new.purpose IS DISTINCT FROM old.purpose)) OR (new.fencing_token IS DISTINCT FROM old.fencing_token)) OR (new.idempotency_key IS DISTINCT FROM old.idempotency_key)) OR (new.acquired_at IS DISTINCT FROM old.acquired_at)) OR (new.expires_at IS DISTINCT FROM old.expires_at)) OR ((new.previous_lease_id)::text IS DISTINCT FROM (old.previous_lease_id)::text)))) EXECUTE FUNCTION public.forgedb_refuse('leases_change_once', 'a lease changes once, from open to ended');

CREATE TRIGGER leases_never_deleted BEFORE DELETE ON public.leases FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER leases_never_truncated BEFORE TRUNCATE ON public.leases FOR EACH STATEMENT EXECUTE FUNCTION public.forgedb_refuse('leases_never_deleted', 'end the lease instead');

CREATE TRIGGER mirrors_fixed_columns BEFORE UPDATE OF id, repository_id, created_at ON public.mirrors FOR EACH ROW WHEN (((((new.id)::text IS DISTINCT FROM (old.id)::text) OR ((new.repository_id)::text IS DISTINCT FROM (old.repository_id)::text)) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.forgedb_refuse('mirrors_fixed_columns', 'id, repository_id and created_at can''t change');

CREATE TRIGGER mirrors_touch_updated_at BEFORE UPDATE OF direction, remote_url, credential_ref, enabled, interval_seconds, status, next_run_at, last_started_at, last_success_at, consecutive_failures, last_error, run_token, run_deadline_at ON public.mirrors FOR EACH ROW WHEN ((NOT (new.updated_at IS DISTINCT FROM old.updated_at))) EXECUTE FUNCTION public.forgedb_touch_updated_at();

CREATE TRIGGER projects_delete_without_live_repositories BEFORE UPDATE OF deleted_at ON public.projects FOR EACH ROW WHEN (((new.deleted_at IS NOT NULL) AND public.forgedb_has_live_repositories(old.id))) EXECUTE FUNCTION public.forgedb_refuse('projects_without_live_repositories', 'it has live repositories');

CREATE TRIGGER projects_fixed_columns BEFORE UPDATE OF id, created_at ON public.projects FOR EACH ROW WHEN ((((new.id)::text IS DISTINCT FROM (old.id)::text) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.forgedb_refuse('projects_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER projects_never_deleted BEFORE DELETE ON public.projects FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER projects_never_truncated BEFORE TRUNCATE ON public.projects FOR EACH STATEMENT EXECUTE FUNCTION public.forgedb_refuse('projects_never_deleted', 'set deleted_at instead');

CREATE TRIGGER projects_touch_updated_at BEFORE UPDATE OF slug, name, description, visibility, deleted_at ON public.projects FOR EACH ROW WHEN ((NOT (new.updated_at IS DISTINCT FROM old.updated_at))) EXECUTE FUNCTION public.forgedb_touch_updated_at();

CREATE TRIGGER repositories_fixed_columns BEFORE UPDATE OF id, project_id, object_format, created_at ON public.repositories FOR EACH ROW WHEN ((((((new.id)::text IS DISTINCT FROM (old.id)::text) OR ((new.project_id)::text IS DISTINCT FROM (old.project_id)::text)) OR (new.object_format IS DISTINCT FROM old.object_format)) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.forgedb_refuse('repositories_fixed_columns', 'ids, object_format and created_at can''t change');

CREATE TRIGGER repositories_insert_under_live_project BEFORE INSERT ON public.repositories FOR EACH ROW WHEN (((new.deleted_at IS NULL) AND public.forgedb_locked_project_is_deleted(new.project_id))) EXECUTE FUNCTION public.forgedb_refuse('repositories_under_live_project', 'the project is deleted');

CREATE TRIGGER repositories_lease_epoch_grows BEFORE UPDATE OF lease_epoch ON public.repositories FOR EACH ROW WHEN ((new.lease_epoch < old.lease_epoch)) EXECUTE FUNCTION public.forgedb_refuse('repositories_lease_epoch_grows', 'lease_epoch can''t decrease');

CREATE TRIGGER repositories_never_deleted BEFORE DELETE ON public.repositories FOR EACH ROW EXECUTE FUNCTION public.forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_never_truncated BEFORE TRUNCATE ON public.repositories FOR EACH STATEMENT EXECUTE FUNCTION public.forgedb_refuse('repositories_never_deleted', 'set deleted_at instead');

CREATE TRIGGER repositories_restore_under_live_project BEFORE UPDATE OF deleted_at ON public.repositories FOR EACH ROW WHEN (((new.deleted_at IS NULL) AND public.forgedb_locked_project_is_deleted(new.project_id))) EXECUTE FUNCTION public.forgedb_refuse('repositories_under_live_project', 'the project is deleted');

CREATE TRIGGER repositories_touch_updated_at BEFORE UPDATE OF slug, description, default_branch, visibility, state, deleted_at ON public.repositories FOR EACH ROW WHEN ((NOT (new.updated_at IS DISTINCT FROM old.updated_at))) EXECUTE FUNCTION public.forgedb_touch_updated_at();

CREATE TRIGGER repository_relationships_fixed_columns BEFORE UPDATE OF id, created_at ON public.repository_relationships FOR EACH ROW WHEN ((((new.id)::text IS DISTINCT FROM (old.id)::text) OR (new.created_at IS DISTINCT FROM old.created_at))) EXECUTE FUNCTION public.forgedb_refuse('repository_relationships_fixed_columns', 'id and created_at can''t change');

CREATE TRIGGER repository_relationships_insert_acyclic AFTER INSERT ON public.repository_relationships FOR EACH ROW WHEN (((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) AND public.forgedb_descends_from(new.target_id, new.source_id, new.kind))) EXECUTE FUNCTION public.forgedb_refuse('repository_relationships_acyclic', 'the target descends from it');

CREATE TRIGGER repository_relationships_insert_locks_kind BEFORE INSERT ON public.repository_relationships FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text]))) EXECUTE FUNCTION public.forgedb_lock_kind();

CREATE TRIGGER repository_relationships_touch_updated_at BEFORE UPDATE OF source_id, target_id, target_url, kind, path ON public.repository_relationships FOR EACH ROW WHEN ((NOT (new.updated_at IS DISTINCT FROM old.updated_at))) EXECUTE FUNCTION public.forgedb_touch_updated_at();

CREATE TRIGGER repository_relationships_update_acyclic AFTER UPDATE OF source_id, target_id, kind ON public.repository_relationships FOR EACH ROW WHEN (((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text])) AND public.forgedb_descends_from(new.target_id, new.source_id, new.kind))) EXECUTE FUNCTION public.forgedb_refuse('repository_relationships_acyclic', 'the target descends from it');

CREATE TRIGGER repository_relationships_update_locks_kind BEFORE UPDATE OF source_id, target_id, kind ON public.repository_relationships FOR EACH ROW WHEN ((new.kind = ANY (ARRAY['fork'::text, 'template'::text, 'object_pool'::text]))) EXECUTE FUNCTION public.forgedb_lock_kind();

ALTER TABLE ONLY public.lease_import_lines
    ADD CONSTRAINT lease_import_lines_lease_id_fkey FOREIGN KEY (lease_id) REFERENCES public.leases(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_previous_lease_id_fkey FOREIGN KEY (previous_lease_id) REFERENCES public.leases(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.mirrors
    ADD CONSTRAINT mirrors_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE public.object_metadata
    ADD CONSTRAINT object_metadata_repository_id_fkey FOREIGN KEY (repository_id) REFERENCES public.repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.repositories
    ADD CONSTRAINT repositories_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.repository_relationships
    ADD CONSTRAINT repository_relationships_source_id_fkey FOREIGN KEY (source_id) REFERENCES public.repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

ALTER TABLE ONLY public.repository_relationships
    ADD CONSTRAINT repository_relationships_target_id_fkey FOREIGN KEY (target_id) REFERENCES public.repositories(id) ON UPDATE RESTRICT ON DELETE RESTRICT;

