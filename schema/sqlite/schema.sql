CREATE TABLE schema_migrations (
    version     INTEGER NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    checksum    TEXT NOT NULL,
    applied_at  TEXT NOT NULL,
    duration_ms INTEGER NOT NULL,
    CONSTRAINT schema_migrations_version_check CHECK (version >= 0),
    CONSTRAINT schema_migrations_checksum_check CHECK (length(checksum) = 64),
    CONSTRAINT schema_migrations_duration_ms_check CHECK (duration_ms >= 0)
) STRICT;

CREATE TABLE projects (
    id          TEXT NOT NULL PRIMARY KEY,
    slug        TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    visibility  TEXT NOT NULL,
    audit_seq   INTEGER NOT NULL,
    audit_head  BLOB NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    deleted_at  TEXT,
    CONSTRAINT projects_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT projects_slug_check CHECK (
        length(slug) BETWEEN 1 AND 100
        AND slug GLOB '[a-z0-9]*'
        AND slug NOT GLOB '*[^a-z0-9._-]*'
        AND instr(slug, char(0)) = 0
    ),
    CONSTRAINT projects_name_check CHECK (
        length(name) BETWEEN 1 AND 200
        AND instr(name, char(0)) = 0
    ),
    CONSTRAINT projects_description_check CHECK (
        length(description) <= 10000
        AND instr(description, char(0)) = 0
    ),
    CONSTRAINT projects_visibility_check CHECK (visibility IN ('private', 'internal', 'public')),
    CONSTRAINT projects_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT projects_audit_head_check CHECK (length(audit_head) = 32),
    CONSTRAINT projects_created_at_check CHECK (
        created_at > '0001'
        AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND created_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19))
            || substr(created_at, 20)
    ),
    CONSTRAINT projects_updated_at_check CHECK (
        updated_at > '0001'
        AND substr(updated_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND updated_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(updated_at, 1, 19))
            || substr(updated_at, 20)
    ),
    CONSTRAINT projects_deleted_at_check CHECK (
        deleted_at > '0001'
        AND substr(deleted_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND deleted_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(deleted_at, 1, 19))
            || substr(deleted_at, 20)
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE repositories (
    id             TEXT NOT NULL PRIMARY KEY,
    project_id     TEXT NOT NULL
                   REFERENCES projects (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    slug           TEXT NOT NULL,
    description    TEXT NOT NULL,
    default_branch TEXT NOT NULL,
    object_format  TEXT NOT NULL,
    visibility     TEXT NOT NULL,
    state          TEXT NOT NULL,
    lease_epoch    INTEGER NOT NULL,
    audit_seq      INTEGER NOT NULL,
    audit_head     BLOB NOT NULL,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    deleted_at     TEXT,
    CONSTRAINT repositories_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT repositories_project_id_check CHECK (
        length(project_id) = 26
        AND octet_length(project_id) = 26
        AND project_id GLOB '[0-7]*'
        AND project_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT repositories_slug_check CHECK (
        length(slug) BETWEEN 1 AND 100
        AND slug GLOB '[a-z0-9]*'
        AND slug NOT GLOB '*[^a-z0-9._-]*'
        AND instr(slug, char(0)) = 0
    ),
    CONSTRAINT repositories_description_check CHECK (
        length(description) <= 10000
        AND instr(description, char(0)) = 0
    ),
    CONSTRAINT repositories_default_branch_check CHECK (
        length(default_branch) BETWEEN 1 AND 255
        AND instr(default_branch, char(0)) = 0
    ),
    CONSTRAINT repositories_object_format_check CHECK (object_format IN ('sha1', 'sha256')),
    CONSTRAINT repositories_visibility_check CHECK (
        visibility IN ('private', 'internal', 'public')
    ),
    CONSTRAINT repositories_state_check CHECK (state IN ('active', 'read_only', 'archived')),
    CONSTRAINT repositories_lease_epoch_check CHECK (lease_epoch >= 0),
    CONSTRAINT repositories_audit_seq_check CHECK (audit_seq >= 0),
    CONSTRAINT repositories_audit_head_check CHECK (length(audit_head) = 32),
    CONSTRAINT repositories_created_at_check CHECK (
        created_at > '0001'
        AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND created_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19))
            || substr(created_at, 20)
    ),
    CONSTRAINT repositories_updated_at_check CHECK (
        updated_at > '0001'
        AND substr(updated_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND updated_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(updated_at, 1, 19))
            || substr(updated_at, 20)
    ),
    CONSTRAINT repositories_deleted_at_check CHECK (
        deleted_at > '0001'
        AND substr(deleted_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND deleted_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(deleted_at, 1, 19))
            || substr(deleted_at, 20)
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    id                TEXT NOT NULL PRIMARY KEY,
    repository_id     TEXT NOT NULL
                      REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    holder            TEXT NOT NULL,
    purpose           TEXT NOT NULL,
    fencing_token     INTEGER NOT NULL,
    idempotency_key   TEXT,
    acquired_at       TEXT NOT NULL,
    expires_at        TEXT NOT NULL,
    ended_at          TEXT,
    end_reason        TEXT,
    previous_lease_id TEXT
                      REFERENCES leases (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    ended_by          TEXT,
    end_note          TEXT,
    CONSTRAINT leases_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT leases_repository_id_check CHECK (
        length(repository_id) = 26
        AND octet_length(repository_id) = 26
        AND repository_id GLOB '[0-7]*'
        AND repository_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT leases_holder_check CHECK (
        length(holder) BETWEEN 1 AND 200
        AND instr(holder, char(0)) = 0
    ),
    CONSTRAINT leases_purpose_check CHECK (
        length(purpose) <= 1000
        AND instr(purpose, char(0)) = 0
    ),
    CONSTRAINT leases_fencing_token_check CHECK (fencing_token >= 1),
    CONSTRAINT leases_idempotency_key_check CHECK (
        length(idempotency_key) BETWEEN 1 AND 200
        AND instr(idempotency_key, char(0)) = 0
    ),
    CONSTRAINT leases_acquired_at_check CHECK (
        acquired_at > '0001'
        AND substr(acquired_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND acquired_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(acquired_at, 1, 19))
            || substr(acquired_at, 20)
    ),
    CONSTRAINT leases_expires_at_check CHECK (
        expires_at > '0001'
        AND substr(expires_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND expires_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(expires_at, 1, 19))
            || substr(expires_at, 20)
    ),
    -- Exact to the microsecond, where julianday() and unixepoch() round.
    CONSTRAINT leases_72_hours_check CHECK (
        expires_at > acquired_at
        AND expires_at <=
            strftime('%Y-%m-%dT%H:%M:%S', substr(acquired_at, 1, 19), '+72 hours')
            || substr(acquired_at, 20)
    ),
    CONSTRAINT leases_ended_at_check CHECK (
        ended_at > '0001'
        AND substr(ended_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND ended_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(ended_at, 1, 19))
            || substr(ended_at, 20)
    ),
    CONSTRAINT leases_ended_after_acquired_check CHECK (ended_at >= acquired_at),
    CONSTRAINT leases_end_reason_check CHECK (
        end_reason IN ('released', 'expired', 'forced', 'transferred')
    ),
    CONSTRAINT leases_previous_lease_id_check CHECK (
        length(previous_lease_id) = 26
        AND octet_length(previous_lease_id) = 26
        AND previous_lease_id GLOB '[0-7]*'
        AND previous_lease_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT leases_previous_lease_id_not_itself_check CHECK (previous_lease_id <> id),
    CONSTRAINT leases_ended_by_check CHECK (
        length(ended_by) BETWEEN 1 AND 200
        AND instr(ended_by, char(0)) = 0
    ),
    CONSTRAINT leases_end_note_check CHECK (
        length(end_note) BETWEEN 1 AND 2000
        AND instr(end_note, char(0)) = 0
    ),
    CONSTRAINT leases_end_complete_check CHECK (
        (ended_at IS NULL) = (end_reason IS NULL)
        AND (ended_at IS NULL) = (ended_by IS NULL)
        AND (ended_at IS NOT NULL OR end_note IS NULL)
    ),
    CONSTRAINT leases_forced_says_why_check CHECK (end_reason <> 'forced' OR end_note IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    stream_id    TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    id           TEXT NOT NULL,
    at           TEXT NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    target_type  TEXT NOT NULL,
    target_id    TEXT NOT NULL,
    request_id   TEXT,
    source_ip    TEXT,
    reason       TEXT,
    changes      TEXT NOT NULL,
    hash_version INTEGER NOT NULL,
    entry_hash   BLOB NOT NULL,
    PRIMARY KEY (stream_id, seq),
    CONSTRAINT audit_entries_stream_id_check CHECK (
        length(stream_id) = 26
        AND octet_length(stream_id) = 26
        AND stream_id GLOB '[0-7]*'
        AND stream_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT audit_entries_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_entries_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT audit_entries_at_check CHECK (
        at > '0001'
        AND substr(at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND at IS strftime('%Y-%m-%dT%H:%M:%S', substr(at, 1, 19))
            || substr(at, 20)
    ),
    CONSTRAINT audit_entries_actor_check CHECK (
        length(actor) BETWEEN 1 AND 200
        AND instr(actor, char(0)) = 0
    ),
    CONSTRAINT audit_entries_action_check CHECK (
        length(action) BETWEEN 1 AND 100
        AND instr(action, char(0)) = 0
    ),
    CONSTRAINT audit_entries_target_type_check CHECK (
        length(target_type) BETWEEN 1 AND 50
        AND instr(target_type, char(0)) = 0
    ),
    CONSTRAINT audit_entries_target_id_check CHECK (
        length(target_id) = 26
        AND octet_length(target_id) = 26
        AND target_id GLOB '[0-7]*'
        AND target_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT audit_entries_request_id_check CHECK (
        length(request_id) BETWEEN 1 AND 200
        AND instr(request_id, char(0)) = 0
    ),
    CONSTRAINT audit_entries_source_ip_check CHECK (
        length(source_ip) BETWEEN 1 AND 45
        AND instr(source_ip, char(0)) = 0
    ),
    CONSTRAINT audit_entries_reason_check CHECK (
        length(reason) BETWEEN 1 AND 2000
        AND instr(reason, char(0)) = 0
    ),
    -- JSON that begins with a brace is an object: json_type() would parse it a second time.
    CONSTRAINT audit_entries_changes_check CHECK (
        length(changes) <= 1000000
        AND instr(changes, char(0)) = 0
        AND substr(changes, 1, 1) = '{'
        AND json_valid(changes)
    ),
    CONSTRAINT audit_entries_hash_version_check CHECK (hash_version >= 1),
    CONSTRAINT audit_entries_entry_hash_check CHECK (length(entry_hash) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_metadata (
    repository_id TEXT NOT NULL
                  REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    oid           BLOB NOT NULL,
    type          INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    disk_size     INTEGER,
    created_at    TEXT NOT NULL,
    PRIMARY KEY (repository_id, oid),
    CONSTRAINT object_metadata_oid_check CHECK (length(oid) IN (20, 32)),
    CONSTRAINT object_metadata_type_check CHECK (type BETWEEN 1 AND 4),
    CONSTRAINT object_metadata_size_check CHECK (size >= 0),
    CONSTRAINT object_metadata_disk_size_check CHECK (disk_size >= 0),
    CONSTRAINT object_metadata_created_at_check CHECK (
        octet_length(created_at) = 27
        AND created_at GLOB '????-??-??T??:??:??.??????Z'
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE mirrors (
    id                   TEXT NOT NULL PRIMARY KEY,
    repository_id        TEXT NOT NULL
                         REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    direction            TEXT NOT NULL,
    remote_url           TEXT NOT NULL,
    credential_ref       TEXT,
    enabled              INTEGER NOT NULL,
    interval_seconds     INTEGER,
    status               TEXT NOT NULL,
    next_run_at          TEXT,
    last_started_at      TEXT,
    last_success_at      TEXT,
    consecutive_failures INTEGER NOT NULL,
    last_error           TEXT,
    run_token            TEXT,
    run_deadline_at      TEXT,
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    CONSTRAINT mirrors_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT mirrors_repository_id_check CHECK (
        length(repository_id) = 26
        AND octet_length(repository_id) = 26
        AND repository_id GLOB '[0-7]*'
        AND repository_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT mirrors_direction_check CHECK (direction IN ('pull', 'push')),
    CONSTRAINT mirrors_remote_url_check CHECK (
        length(remote_url) BETWEEN 1 AND 2048
        AND instr(remote_url, char(0)) = 0
    ),
    -- Between :// and the next slash stands user:password@ or there is no password.
    CONSTRAINT mirrors_remote_url_credentials_check CHECK (
        instr(remote_url, '://') = 0
        OR substr(
            substr(remote_url, instr(remote_url, '://') + 3),
            1,
            instr(substr(remote_url, instr(remote_url, '://') + 3) || '/', '/')
        ) NOT GLOB '*:*@*'
    ),
    CONSTRAINT mirrors_credential_ref_check CHECK (
        length(credential_ref) BETWEEN 1 AND 200
        AND instr(credential_ref, char(0)) = 0
    ),
    CONSTRAINT mirrors_enabled_check CHECK (enabled IN (0, 1)),
    CONSTRAINT mirrors_interval_seconds_check CHECK (interval_seconds BETWEEN 60 AND 31536000),
    CONSTRAINT mirrors_status_check CHECK (status IN ('never', 'running', 'ok', 'failed')),
    CONSTRAINT mirrors_next_run_at_check CHECK (
        next_run_at > '0001'
        AND substr(next_run_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND next_run_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(next_run_at, 1, 19))
            || substr(next_run_at, 20)
    ),
    CONSTRAINT mirrors_last_started_at_check CHECK (
        last_started_at > '0001'
        AND substr(last_started_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND last_started_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(last_started_at, 1, 19))
            || substr(last_started_at, 20)
    ),
    CONSTRAINT mirrors_last_success_at_check CHECK (
        last_success_at > '0001'
        AND substr(last_success_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND last_success_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(last_success_at, 1, 19))
            || substr(last_success_at, 20)
    ),
    CONSTRAINT mirrors_consecutive_failures_check CHECK (consecutive_failures >= 0),
    CONSTRAINT mirrors_last_error_check CHECK (
        length(last_error) BETWEEN 1 AND 10000
        AND instr(last_error, char(0)) = 0
    ),
    CONSTRAINT mirrors_run_token_check CHECK (
        length(run_token) = 26
        AND octet_length(run_token) = 26
        AND run_token GLOB '[0-7]*'
        AND run_token NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT mirrors_run_deadline_at_check CHECK (
        run_deadline_at > '0001'
        AND substr(run_deadline_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND run_deadline_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(run_deadline_at, 1, 19))
            || substr(run_deadline_at, 20)
    ),
    CONSTRAINT mirrors_running_complete_check CHECK (
        (status = 'running') = (run_token IS NOT NULL)
        AND (status = 'running') = (run_deadline_at IS NOT NULL)
    ),
    CONSTRAINT mirrors_created_at_check CHECK (
        created_at > '0001'
        AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND created_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19))
            || substr(created_at, 20)
    ),
    CONSTRAINT mirrors_updated_at_check CHECK (
        updated_at > '0001'
        AND substr(updated_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND updated_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(updated_at, 1, 19))
            || substr(updated_at, 20)
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_relationships (
    id         TEXT NOT NULL PRIMARY KEY,
    source_id  TEXT NOT NULL
               REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    target_id  TEXT
               REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    target_url TEXT,
    kind       TEXT NOT NULL,
    path       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT repository_relationships_id_check CHECK (
        length(id) = 26
        AND octet_length(id) = 26
        AND id GLOB '[0-7]*'
        AND id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT repository_relationships_source_id_check CHECK (
        length(source_id) = 26
        AND octet_length(source_id) = 26
        AND source_id GLOB '[0-7]*'
        AND source_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT repository_relationships_target_id_check CHECK (
        length(target_id) = 26
        AND octet_length(target_id) = 26
        AND target_id GLOB '[0-7]*'
        AND target_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT repository_relationships_target_url_check CHECK (
        length(target_url) BETWEEN 1 AND 2048
        AND instr(target_url, char(0)) = 0
    ),
    CONSTRAINT repository_relationships_target_url_credentials_check CHECK (
        instr(target_url, '://') = 0
        OR substr(
            substr(target_url, instr(target_url, '://') + 3),
            1,
            instr(substr(target_url, instr(target_url, '://') + 3) || '/', '/')
        ) NOT GLOB '*:*@*'
    ),
    CONSTRAINT repository_relationships_one_target_check CHECK (
        (target_id IS NULL) <> (target_url IS NULL)
    ),
    CONSTRAINT repository_relationships_not_to_itself_check CHECK (target_id <> source_id),
    CONSTRAINT repository_relationships_kind_check CHECK (
        kind IN ('fork', 'template', 'mirror', 'submodule', 'object_pool')
    ),
    CONSTRAINT repository_relationships_path_check CHECK (
        length(path) <= 4096
        AND instr(path, char(0)) = 0
    ),
    CONSTRAINT repository_relationships_created_at_check CHECK (
        created_at > '0001'
        AND substr(created_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND created_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(created_at, 1, 19))
            || substr(created_at, 20)
    ),
    CONSTRAINT repository_relationships_updated_at_check CHECK (
        updated_at > '0001'
        AND substr(updated_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND updated_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(updated_at, 1, 19))
            || substr(updated_at, 20)
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_checkpoints (
    seq             INTEGER NOT NULL PRIMARY KEY,
    at              TEXT NOT NULL,
    format_version  INTEGER NOT NULL,
    tree_size       INTEGER NOT NULL,
    root_hash       BLOB NOT NULL,
    previous_hash   BLOB NOT NULL,
    checkpoint_hash BLOB NOT NULL,
    heads           TEXT NOT NULL,
    key_id          TEXT NOT NULL,
    signature       BLOB NOT NULL,
    CONSTRAINT audit_checkpoints_seq_check CHECK (seq >= 1),
    CONSTRAINT audit_checkpoints_at_check CHECK (
        at > '0001'
        AND substr(at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND at IS strftime('%Y-%m-%dT%H:%M:%S', substr(at, 1, 19))
            || substr(at, 20)
    ),
    CONSTRAINT audit_checkpoints_format_version_check CHECK (format_version >= 1),
    CONSTRAINT audit_checkpoints_tree_size_check CHECK (tree_size >= 0),
    CONSTRAINT audit_checkpoints_root_hash_check CHECK (length(root_hash) = 32),
    CONSTRAINT audit_checkpoints_previous_hash_check CHECK (length(previous_hash) = 32),
    CONSTRAINT audit_checkpoints_checkpoint_hash_check CHECK (length(checkpoint_hash) = 32),
    CONSTRAINT audit_checkpoints_heads_check CHECK (
        instr(heads, char(0)) = 0
        AND substr(heads, 1, 1) = '['
        AND json_valid(heads)
        AND json_array_length(heads) = tree_size
    ),
    CONSTRAINT audit_checkpoints_key_id_check CHECK (
        length(key_id) BETWEEN 1 AND 200
        AND instr(key_id, char(0)) = 0
    ),
    CONSTRAINT audit_checkpoints_signature_check CHECK (length(signature) = 64)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_import_lines (
    source          TEXT NOT NULL,
    line_number     INTEGER NOT NULL,
    line_sha256     BLOB NOT NULL,
    event           TEXT NOT NULL,
    legacy_lease_id TEXT NOT NULL,
    repository_id   TEXT,
    lease_id        TEXT
                    REFERENCES leases (id) ON UPDATE RESTRICT ON DELETE RESTRICT,
    imported_at     TEXT NOT NULL,
    PRIMARY KEY (source, line_number),
    CONSTRAINT lease_import_lines_source_check CHECK (
        length(source) BETWEEN 1 AND 4096
        AND instr(source, char(0)) = 0
    ),
    CONSTRAINT lease_import_lines_line_number_check CHECK (line_number >= 1),
    CONSTRAINT lease_import_lines_line_sha256_check CHECK (length(line_sha256) = 32),
    CONSTRAINT lease_import_lines_event_check CHECK (event IN ('acquired', 'released', 'forced')),
    CONSTRAINT lease_import_lines_legacy_lease_id_check CHECK (
        length(legacy_lease_id) BETWEEN 1 AND 200
        AND instr(legacy_lease_id, char(0)) = 0
    ),
    CONSTRAINT lease_import_lines_repository_id_check CHECK (
        length(repository_id) BETWEEN 1 AND 200
        AND instr(repository_id, char(0)) = 0
    ),
    -- Only the line that begins a lease names its repository.
    CONSTRAINT lease_import_lines_acquired_names_repository_check CHECK (
        (event = 'acquired') = (repository_id IS NOT NULL)
    ),
    CONSTRAINT lease_import_lines_lease_id_check CHECK (
        length(lease_id) = 26
        AND octet_length(lease_id) = 26
        AND lease_id GLOB '[0-7]*'
        AND lease_id NOT GLOB '*[^0-9A-HJKMNP-TV-Z]*'
    ),
    CONSTRAINT lease_import_lines_imported_at_check CHECK (
        imported_at > '0001'
        AND substr(imported_at, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
        AND imported_at IS strftime('%Y-%m-%dT%H:%M:%S', substr(imported_at, 1, 19))
            || substr(imported_at, 20)
    )
) STRICT, WITHOUT ROWID;

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

CREATE UNIQUE INDEX projects_one_live_per_slug
ON projects (slug)
WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX repositories_one_live_per_path
ON repositories (project_id, slug)
WHERE deleted_at IS NULL;

CREATE INDEX repositories_by_project
ON repositories (project_id, id);

CREATE UNIQUE INDEX leases_one_open_per_repository
ON leases (repository_id)
WHERE ended_at IS NULL;

CREATE UNIQUE INDEX leases_one_per_fencing_token
ON leases (repository_id, fencing_token);

CREATE INDEX leases_open_by_expiry
ON leases (expires_at, id)
WHERE ended_at IS NULL;

CREATE INDEX leases_open_by_holder
ON leases (holder, id)
WHERE ended_at IS NULL;

CREATE INDEX leases_open
ON leases (id)
WHERE ended_at IS NULL;

CREATE UNIQUE INDEX audit_entries_one_per_id
ON audit_entries (id);

CREATE INDEX audit_entries_by_target
ON audit_entries (target_id, id);

CREATE INDEX audit_entries_by_actor
ON audit_entries (actor, id);

CREATE INDEX audit_entries_by_action
ON audit_entries (action, id);

CREATE INDEX audit_entries_by_time
ON audit_entries (at, id);

CREATE INDEX object_metadata_by_oid
ON object_metadata (oid);

CREATE UNIQUE INDEX mirrors_one_pull_per_repository
ON mirrors (repository_id)
WHERE direction = 'pull';

CREATE UNIQUE INDEX mirrors_one_per_remote
ON mirrors (repository_id, direction, remote_url);

CREATE INDEX mirrors_by_repository
ON mirrors (repository_id, id);

CREATE INDEX mirrors_due
ON mirrors (next_run_at, id)
WHERE enabled AND next_run_at IS NOT NULL;

CREATE UNIQUE INDEX repository_relationships_no_duplicates
ON repository_relationships (
    source_id,
    kind,
    coalesce(target_id, ''),
    coalesce(target_url, ''),
    path
);

CREATE UNIQUE INDEX repository_relationships_one_fork_parent
ON repository_relationships (source_id)
WHERE kind = 'fork';

CREATE INDEX repository_relationships_by_source
ON repository_relationships (source_id, id);

CREATE INDEX repository_relationships_by_target
ON repository_relationships (target_id, id);

CREATE UNIQUE INDEX audit_checkpoints_one_per_hash
ON audit_checkpoints (checkpoint_hash);

CREATE UNIQUE INDEX lease_import_lines_one_per_event
ON lease_import_lines (legacy_lease_id, event);

CREATE INDEX lease_import_lines_by_lease
ON lease_import_lines (lease_id);

CREATE TRIGGER projects_insert_keeps_others
BEFORE INSERT ON projects
BEGIN
    SELECT RAISE(ABORT, 'forgedb: projects_one_per_id: a project has this id')
    WHERE EXISTS (
        SELECT 1
        FROM projects
        WHERE id = NEW.id
    );
    SELECT RAISE(ABORT, 'forgedb: projects_one_live_per_slug: a live project has this slug')
    WHERE NEW.deleted_at IS NULL
    AND EXISTS (
        SELECT 1
        FROM projects
        WHERE slug = NEW.slug
        AND deleted_at IS NULL
    );
END;

CREATE TRIGGER projects_update_keeps_others
BEFORE UPDATE OF slug, deleted_at ON projects
WHEN NEW.deleted_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'forgedb: projects_one_live_per_slug: a live project has this slug')
    WHERE EXISTS (
        SELECT 1
        FROM projects
        WHERE slug = NEW.slug
        AND deleted_at IS NULL
        AND id <> OLD.id
    );
END;

CREATE TRIGGER repositories_insert_keeps_others
BEFORE INSERT ON repositories
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_one_per_id: a repository has this id')
    WHERE EXISTS (
        SELECT 1
        FROM repositories
        WHERE id = NEW.id
    );
    SELECT RAISE(ABORT, 'forgedb: repositories_one_live_per_path: a live repository has this path')
    WHERE NEW.deleted_at IS NULL
    AND EXISTS (
        SELECT 1
        FROM repositories
        WHERE project_id = NEW.project_id
        AND slug = NEW.slug
        AND deleted_at IS NULL
    );
END;

CREATE TRIGGER repositories_update_keeps_others
BEFORE UPDATE OF slug, deleted_at ON repositories
WHEN NEW.deleted_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_one_live_per_path: a live repository has this path')
    WHERE EXISTS (
        SELECT 1
        FROM repositories
        WHERE project_id = NEW.project_id
        AND slug = NEW.slug
        AND deleted_at IS NULL
        AND id <> OLD.id
    );
END;

CREATE TRIGGER leases_insert_keeps_others
BEFORE INSERT ON leases
BEGIN
    SELECT RAISE(ABORT, 'forgedb: leases_one_per_id: a lease has this id')
    WHERE EXISTS (
        SELECT 1
        FROM leases
        WHERE id = NEW.id
    );
    SELECT RAISE(ABORT, 'forgedb: leases_one_per_fencing_token: a lease has this fencing token')
    WHERE EXISTS (
        SELECT 1
        FROM leases
        WHERE repository_id = NEW.repository_id
        AND fencing_token = NEW.fencing_token
    );
    SELECT RAISE(ABORT, 'forgedb: leases_one_open_per_repository: the repository has an open lease')
    WHERE NEW.ended_at IS NULL
    AND EXISTS (
        SELECT 1
        FROM leases
        WHERE repository_id = NEW.repository_id
        AND ended_at IS NULL
    );
END;

CREATE TRIGGER audit_entries_insert_keeps_others
BEFORE INSERT ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_entries_one_per_seq: the stream has an entry of this seq')
    WHERE EXISTS (
        SELECT 1
        FROM audit_entries
        WHERE stream_id = NEW.stream_id
        AND seq = NEW.seq
    );
    SELECT RAISE(ABORT, 'forgedb: audit_entries_one_per_id: an entry has this id')
    WHERE EXISTS (
        SELECT 1
        FROM audit_entries
        WHERE id = NEW.id
    );
END;

CREATE TRIGGER audit_checkpoints_insert_keeps_others
BEFORE INSERT ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_checkpoints_one_per_seq: a checkpoint has this seq')
    WHERE EXISTS (
        SELECT 1
        FROM audit_checkpoints
        WHERE seq = NEW.seq
    );
    SELECT RAISE(ABORT, 'forgedb: audit_checkpoints_one_per_hash: a checkpoint has this hash')
    WHERE EXISTS (
        SELECT 1
        FROM audit_checkpoints
        WHERE checkpoint_hash = NEW.checkpoint_hash
    );
END;

CREATE TRIGGER projects_fixed_columns
BEFORE UPDATE OF id, created_at ON projects
WHEN (NEW.id, NEW.created_at) IS NOT (OLD.id, OLD.created_at)
BEGIN
    SELECT RAISE(ABORT, 'forgedb: projects_fixed_columns: id and created_at can''t change');
END;

CREATE TRIGGER projects_never_deleted
BEFORE DELETE ON projects
BEGIN
    SELECT RAISE(ABORT, 'forgedb: projects_never_deleted: set deleted_at instead');
END;

CREATE TRIGGER repositories_fixed_columns
BEFORE UPDATE OF id, project_id, object_format, created_at ON repositories
WHEN (NEW.id, NEW.project_id, NEW.object_format, NEW.created_at)
    IS NOT (OLD.id, OLD.project_id, OLD.object_format, OLD.created_at)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: repositories_fixed_columns: ids, object_format and created_at can''t change'
    );
END;

CREATE TRIGGER repositories_never_deleted
BEFORE DELETE ON repositories
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_never_deleted: set deleted_at instead');
END;

CREATE TRIGGER repositories_lease_epoch_grows
BEFORE UPDATE OF lease_epoch ON repositories
WHEN NEW.lease_epoch < OLD.lease_epoch
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_lease_epoch_grows: lease_epoch can''t decrease');
END;

CREATE TRIGGER leases_change_once
BEFORE UPDATE ON leases
WHEN OLD.ended_at IS NOT NULL
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
) IS NOT (
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
BEGIN
    SELECT RAISE(ABORT, 'forgedb: leases_change_once: a lease changes once, from open to ended');
END;

CREATE TRIGGER leases_never_deleted
BEFORE DELETE ON leases
BEGIN
    SELECT RAISE(ABORT, 'forgedb: leases_never_deleted: end the lease instead');
END;

CREATE TRIGGER audit_entries_never_updated
BEFORE UPDATE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_entries_append_only: entries can''t be updated');
END;

CREATE TRIGGER audit_entries_never_deleted
BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_entries_append_only: entries can''t be deleted');
END;

CREATE TRIGGER audit_checkpoints_never_updated
BEFORE UPDATE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_checkpoints_append_only: checkpoints can''t be updated');
END;

CREATE TRIGGER audit_checkpoints_never_deleted
BEFORE DELETE ON audit_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'forgedb: audit_checkpoints_append_only: checkpoints can''t be deleted');
END;

CREATE TRIGGER mirrors_fixed_columns
BEFORE UPDATE OF id, repository_id, created_at ON mirrors
WHEN (NEW.id, NEW.repository_id, NEW.created_at)
    IS NOT (OLD.id, OLD.repository_id, OLD.created_at)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: mirrors_fixed_columns: id, repository_id and created_at can''t change'
    );
END;

CREATE TRIGGER repository_relationships_fixed_columns
BEFORE UPDATE OF id, created_at ON repository_relationships
WHEN (NEW.id, NEW.created_at) IS NOT (OLD.id, OLD.created_at)
BEGIN
    SELECT RAISE(
        ABORT,
        'forgedb: repository_relationships_fixed_columns: id and created_at can''t change'
    );
END;

CREATE TRIGGER repositories_insert_under_live_project
BEFORE INSERT ON repositories
WHEN NEW.deleted_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_under_live_project: the project is deleted')
    FROM projects
    WHERE id = NEW.project_id
    AND deleted_at IS NOT NULL;
END;

CREATE TRIGGER repositories_restore_under_live_project
BEFORE UPDATE OF deleted_at ON repositories
WHEN NEW.deleted_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repositories_under_live_project: the project is deleted')
    FROM projects
    WHERE id = NEW.project_id
    AND deleted_at IS NOT NULL;
END;

CREATE TRIGGER projects_delete_without_live_repositories
BEFORE UPDATE OF deleted_at ON projects
WHEN NEW.deleted_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'forgedb: projects_without_live_repositories: it has live repositories')
    WHERE EXISTS (
        SELECT 1
        FROM repositories
        WHERE project_id = OLD.id
        AND deleted_at IS NULL
    );
END;

CREATE TRIGGER repository_relationships_insert_acyclic
AFTER INSERT ON repository_relationships
WHEN NEW.kind IN ('fork', 'template', 'object_pool')
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repository_relationships_acyclic: the target descends from it')
    WHERE NEW.source_id IN (
        WITH RECURSIVE ancestors (id) AS (
            SELECT NEW.target_id
            UNION
            SELECT edge.target_id
            FROM ancestors
            JOIN repository_relationships AS edge ON edge.source_id = ancestors.id
            WHERE edge.kind = NEW.kind
        )
        SELECT id
        FROM ancestors
    );
END;

CREATE TRIGGER repository_relationships_update_acyclic
AFTER UPDATE OF source_id, target_id, kind ON repository_relationships
WHEN NEW.kind IN ('fork', 'template', 'object_pool')
BEGIN
    SELECT RAISE(ABORT, 'forgedb: repository_relationships_acyclic: the target descends from it')
    WHERE NEW.source_id IN (
        WITH RECURSIVE ancestors (id) AS (
            SELECT NEW.target_id
            UNION
            SELECT edge.target_id
            FROM ancestors
            JOIN repository_relationships AS edge ON edge.source_id = ancestors.id
            WHERE edge.kind = NEW.kind
        )
        SELECT id
        FROM ancestors
    );
END;

CREATE TRIGGER projects_touch_updated_at
AFTER UPDATE OF
    slug,
    name,
    description,
    visibility,
    deleted_at
ON projects
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE projects
    SET updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z',
        strftime(
            '%Y-%m-%dT%H:%M:%S',
            substr(OLD.updated_at, 1, 19),
            iif(substr(OLD.updated_at, 21, 6) = '999999', '+1 second', '+0 seconds')
        )
        || printf('.%06dZ', (substr(OLD.updated_at, 21, 6) + 1) % 1000000)
    )
    WHERE id = OLD.id;
END;

CREATE TRIGGER repositories_touch_updated_at
AFTER UPDATE OF
    slug,
    description,
    default_branch,
    visibility,
    state,
    deleted_at
ON repositories
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE repositories
    SET updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z',
        strftime(
            '%Y-%m-%dT%H:%M:%S',
            substr(OLD.updated_at, 1, 19),
            iif(substr(OLD.updated_at, 21, 6) = '999999', '+1 second', '+0 seconds')
        )
        || printf('.%06dZ', (substr(OLD.updated_at, 21, 6) + 1) % 1000000)
    )
    WHERE id = OLD.id;
END;

CREATE TRIGGER mirrors_touch_updated_at
AFTER UPDATE OF
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
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE mirrors
    SET updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z',
        strftime(
            '%Y-%m-%dT%H:%M:%S',
            substr(OLD.updated_at, 1, 19),
            iif(substr(OLD.updated_at, 21, 6) = '999999', '+1 second', '+0 seconds')
        )
        || printf('.%06dZ', (substr(OLD.updated_at, 21, 6) + 1) % 1000000)
    )
    WHERE id = OLD.id;
END;

CREATE TRIGGER repository_relationships_touch_updated_at
AFTER UPDATE OF
    source_id,
    target_id,
    target_url,
    kind,
    path
ON repository_relationships
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE repository_relationships
    SET updated_at = max(
        strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z',
        strftime(
            '%Y-%m-%dT%H:%M:%S',
            substr(OLD.updated_at, 1, 19),
            iif(substr(OLD.updated_at, 21, 6) = '999999', '+1 second', '+0 seconds')
        )
        || printf('.%06dZ', (substr(OLD.updated_at, 21, 6) + 1) % 1000000)
    )
    WHERE id = OLD.id;
END;

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
