"""A live database's schema as parts: a row for each, with its kind, name, table, and text.

Parts are looked up by the names that the migrations make, so an application's own tables in the
same schema are ignored.  A part that anybody added to a table of forgedb's is included.

On PostgreSQL these statements must not run functions that another role has planted.  Each function
is named with its schema, and each operator gets operands of exactly its types: otherwise a function
or operator that fits better would be taken instead, from any schema of the search_path.
"""

from __future__ import annotations

from forgedb.sql.catalogue import sql

_OF_HISTORY = """
SELECT relnamespace FROM pg_class
WHERE oid = CAST(pg_catalog.to_regclass('schema_migrations') AS oid)
"""

_CURRENT = "SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = pg_catalog.current_schema()"

_OWN = """
own (oid, name) AS (
    SELECT c.oid, CAST(c.relname AS text)
    FROM pg_catalog.unnest(CAST(:names AS text[])) AS asked (name)
    JOIN pg_class AS c
      ON c.oid = CAST(pg_catalog.to_regclass(pg_catalog.quote_ident(asked.name)) AS oid)
    UNION
    SELECT c.oid, CAST(c.relname AS text)
    FROM own
    JOIN pg_inherits AS i ON i.inhparent = own.oid
    JOIN pg_class AS c ON c.oid = i.inhrelid
)
"""
"""Each relation that a statement finds by these names, and its partitions and child tables."""

_KIND = """
CASE c.relkind
    WHEN 'r' THEN 'a table'
    WHEN 'p' THEN 'a table with partitions'
    WHEN 'v' THEN 'a view'
    WHEN 'm' THEN 'a materialized view'
    WHEN 'f' THEN 'a foreign table'
    WHEN 'S' THEN 'a sequence'
    WHEN 'c' THEN 'a type of columns'
    ELSE 'no table'
END
"""

# In SQLite, a virtual table has no root page.
NO_TABLES = sql(
    sqlite="""
    SELECT asked.value, CASE WHEN s.type IS NULL THEN NULL
        WHEN s.type <> 'table' THEN 'a view'
        ELSE 'a virtual table'
    END
    FROM carray(:names) AS asked
    LEFT JOIN sqlite_schema AS s
      ON s.name = asked.value COLLATE NOCASE AND s.type IN ('table', 'view')
    WHERE s.type IS NULL OR s.type <> 'table' OR s.rootpage = 0
    """,
    postgres=f"""
    WITH RECURSIVE {_OWN}
    SELECT asked.name, CAST(NULL AS text)
    FROM pg_catalog.unnest(CAST(:names AS text[])) AS asked (name)
    WHERE pg_catalog.to_regclass(pg_catalog.quote_ident(asked.name)) IS NULL
    UNION ALL
    SELECT own.name,
        CASE
            WHEN c.relkind NOT IN ('r', 'p') THEN {_KIND}
            WHEN c.relpersistence = 't' THEN 'a temporary table'
            WHEN c.relhasrules THEN 'a table with a rule'
            WHEN c.relrowsecurity THEN 'a table with row security'
            ELSE 'a table without a key'
        END
    FROM own
    JOIN pg_class AS c ON c.oid = own.oid
    WHERE c.relkind NOT IN ('r', 'p')
       OR c.relpersistence = 't'
       OR c.relrowsecurity
       OR c.relhasrules AND EXISTS (SELECT 1 FROM pg_rewrite AS r WHERE r.ev_class = c.oid)
       OR NOT EXISTS (
           SELECT 1 FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid)
    """,
)
"""Of the required tables, those that are missing (NULL) or are something else."""

_AGGREGATE = """
CASE WHEN p.prokind = 'a' THEN (
    SELECT 'an aggregate by ' || CAST(CAST(a.aggtransfn AS regprocedure) AS text)
        || coalesce(' from ' || a.agginitval, '')
        || CASE WHEN a.aggfinalfn = 0 THEN ''
            ELSE ' through ' || CAST(CAST(a.aggfinalfn AS regprocedure) AS text) END
    FROM pg_aggregate AS a WHERE a.aggfnoid = p.oid)
ELSE 'no function' END
"""

_FUNCTION = f"""
CASE WHEN p.prokind IN ('f', 'p') THEN
    pg_catalog.replace(
        pg_catalog.pg_get_functiondef(p.oid),
        ' FUNCTION ' || pg_catalog.quote_ident(CAST(n.nspname AS text)) || '.',
        ' FUNCTION ')
ELSE {_AGGREGATE} END
"""

_NO_EXTENSIONS = """
NOT EXISTS (
    SELECT 1 FROM pg_depend AS d
    WHERE d.classid = CAST(CAST({} AS regclass) AS oid) AND d.objid = {} AND d.deptype = 'e')
"""

# Objects of the owner, of a superuser or of an extension are trusted.
_STRANGERS = f"""
{_NO_EXTENSIONS.format("{catalogue}", "{oid}")}
AND NOT EXISTS (
    SELECT 1 FROM pg_roles AS r
    WHERE r.oid = {{owner}}
      AND (r.rolsuper OR r.oid = (SELECT t.relowner FROM pg_class AS t
          WHERE t.oid = CAST(pg_catalog.to_regclass('schema_migrations') AS oid))))
"""

# With JIT, which PostgreSQL uses for costly plans, the next statement takes ten times as long.
UNCOMPILED = sql(
    sqlite="SELECT NULL",
    postgres="SELECT set_config('jit', 'off', true)",
)

# The text of a view is its query; that of a sequence, its options.
_BEYOND_TABLES = """
|| CASE WHEN c.relkind IN ('v', 'm')
    THEN coalesce(' with ' || pg_catalog.array_to_string(c.reloptions, ', '), '')
        || ' AS ' || pg_catalog.pg_get_viewdef(c.oid, true)
    ELSE '' END
|| coalesce((
    SELECT ' of ' || pg_catalog.format_type(q.seqtypid, -1)
        || ' from ' || CAST(q.seqstart AS text) || ' by ' || CAST(q.seqincrement AS text)
        || ' in ' || CAST(q.seqmin AS text) || ' to ' || CAST(q.seqmax AS text)
        || CASE WHEN q.seqcycle THEN ' again and again' ELSE '' END
    FROM pg_sequence AS q WHERE q.seqrelid = c.oid), '')
"""

_LABELS = """
|| coalesce((
    SELECT pg_catalog.string_agg(
        pg_catalog.quote_literal(CAST(e.enumlabel AS text)), ', ' ORDER BY e.enumsortorder)
    FROM pg_enum AS e WHERE e.enumtypid = t.oid), '')
"""
"""The labels of an enum type."""

_POLICY = """
CASE WHEN p.polpermissive THEN 'permissive for ' ELSE 'restrictive for ' END
|| CAST(p.polcmd AS text)
|| ' to ' || coalesce((
    SELECT pg_catalog.string_agg(CAST(r.rolname AS text), ', ' ORDER BY CAST(r.rolname AS text))
    FROM pg_roles AS r WHERE r.oid = ANY (p.polroles)), 'all')
|| coalesce(' using ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid), '')
|| coalesce(' with check ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')
"""

_SQLITE_PARTS = """
    SELECT
        CASE WHEN own.value = lower(s.name) THEN 'table' ELSE s.type END,
        CASE WHEN own.value = lower(s.name) THEN own.value ELSE s.name END,
        own.value,
        coalesce(s.sql, '')
    FROM sqlite_schema AS s
    JOIN carray(:names) AS own
      ON own.value = lower(s.tbl_name)
      OR s.type = 'view' AND instr(lower(s.sql), own.value) > 0
    """


def _postgres_parts(home: str, functions: str, operators: str) -> str:
    """The parts of the names asked for, and functions and operators that meet the conditions.

    ``functions`` applies to functions that have the name of one in pg_catalog.
    """
    return f"""
    WITH RECURSIVE home (oid) AS ({home}),
    {_OWN},
    path (oid) AS (
        SELECT oid FROM home
        UNION
        SELECT n.oid FROM pg_namespace AS n
        WHERE n.nspname = ANY (pg_catalog.current_schemas(false))
    )
    SELECT 'table', own.name, own.name,
        {_KIND}
        || CASE c.relpersistence
            WHEN 'u' THEN ' that is unlogged'
            WHEN 't' THEN ' that is temporary'
            ELSE '' END
        || CASE WHEN c.relnamespace = home.oid THEN '' ELSE ' in another schema' END
        || coalesce(
            ' by ' || CASE c.relkind WHEN 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END, '')
        || coalesce((
            SELECT pg_catalog.string_agg(
                ' of ' || CAST(above.relname AS text), '' ORDER BY i.inhseqno)
            FROM pg_inherits AS i JOIN pg_class AS above ON above.oid = i.inhparent
            WHERE i.inhrelid = c.oid), '')
        || coalesce(' ' || CASE WHEN c.relispartition
            THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END, '')
        || CASE WHEN c.relrowsecurity THEN ' with row security' ELSE '' END
        || CASE WHEN c.relforcerowsecurity THEN ' that is forced' ELSE '' END
        {_BEYOND_TABLES}
    FROM own JOIN pg_class AS c ON c.oid = own.oid CROSS JOIN home

    UNION ALL
    SELECT 'column', CAST(a.attname AS text), own.name,
        pg_catalog.format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation = t.typcollation THEN ''
            ELSE coalesce((SELECT ' COLLATE ' || CAST(o.collname AS text)
                FROM pg_collation AS o WHERE o.oid = a.attcollation), '') END
        || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
        || CASE WHEN a.attnotnull AND EXISTS (
            SELECT 1 FROM pg_constraint AS k
            WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated
              AND a.attnum = ANY (k.conkey)) THEN ' NOT VALID' ELSE '' END
        || CASE a.attidentity WHEN '' THEN '' ELSE ' IDENTITY ' || CAST(a.attidentity AS text) END
        || CASE a.attgenerated WHEN '' THEN coalesce(' DEFAULT ' || own_default.text, '')
            ELSE ' GENERATED ' || coalesce(own_default.text, '') END
    FROM own
    JOIN pg_class AS c ON c.oid = own.oid AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c')
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (SELECT (
        SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)) AS own_default (text)
    WHERE NOT c.relispartition OR a.attislocal OR own_default.text IS DISTINCT FROM (
        SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
        FROM pg_inherits AS i
        JOIN pg_attribute AS above ON above.attrelid = i.inhparent AND above.attname = a.attname
        JOIN pg_attrdef AS d ON d.adrelid = i.inhparent AND d.adnum = above.attnum
        WHERE i.inhrelid = c.oid)

    UNION ALL
    SELECT 'constraint', CAST(k.conname AS text), own.name,
        pg_catalog.pg_get_constraintdef(k.oid, true)
        || coalesce((
            SELECT ' that is not in use' FROM pg_index AS x
            WHERE k.contype IN ('p', 'u', 'x') AND x.indexrelid = k.conindid
              AND NOT (x.indisvalid AND x.indisready AND x.indislive)), '')
        || CASE WHEN EXISTS (
            SELECT 1 FROM pg_trigger AS g
            JOIN pg_constraint AS one ON one.oid = g.tgconstraint
            WHERE (one.oid = k.oid OR one.conparentid = k.oid) AND g.tgisinternal
              AND g.tgenabled <> 'O') THEN ' that is disabled' ELSE '' END
    FROM own
    JOIN pg_class AS c ON c.oid = own.oid
    JOIN pg_constraint AS k ON k.conrelid = c.oid
    WHERE k.contype IN ('p', 'u', 'x', 'c', 'f')
      AND (NOT c.relispartition OR k.conislocal AND k.conparentid = 0)

    UNION ALL
    SELECT 'index', CAST(c.relname AS text), own.name,
        pg_catalog.pg_get_indexdef(c.oid, 0, true)
        || CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN ''
            ELSE ' that is not in use' END
    FROM own
    JOIN pg_index AS x ON x.indrelid = own.oid
    JOIN pg_class AS c ON c.oid = x.indexrelid
    WHERE NOT c.relispartition AND NOT EXISTS (
        SELECT 1 FROM pg_constraint AS k
        WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))

    UNION ALL
    SELECT 'trigger', CAST(g.tgname AS text), own.name,
        pg_catalog.pg_get_triggerdef(g.oid, true)
        || CASE g.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ' that is disabled'
            WHEN 'R' THEN ' that fires on a replica alone' ELSE ' that fires on a replica too' END
    FROM own
    JOIN pg_trigger AS g ON g.tgrelid = own.oid AND NOT g.tgisinternal
    LEFT JOIN pg_trigger AS above ON above.oid = g.tgparentid
    WHERE above.oid IS NULL OR above.tgenabled <> g.tgenabled

    UNION ALL
    SELECT 'rule', CAST(r.rulename AS text), own.name, pg_catalog.pg_get_ruledef(r.oid, true)
    FROM own JOIN pg_rewrite AS r ON r.ev_class = own.oid
    WHERE r.rulename <> '_RETURN'

    UNION ALL
    SELECT 'policy', CAST(p.polname AS text), own.name,
        {_POLICY}
    FROM own JOIN pg_policy AS p ON p.polrelid = own.oid

    UNION ALL
    SELECT DISTINCT 'view', CAST(c.relname AS text), own.name, 'a view of it'
    FROM own
    JOIN pg_depend AS d
      ON d.refobjid = own.oid AND d.refclassid = CAST(CAST('pg_class' AS regclass) AS oid)
     AND d.classid = CAST(CAST('pg_rewrite' AS regclass) AS oid)
    JOIN pg_rewrite AS r ON r.oid = d.objid
    JOIN pg_class AS c ON c.oid = r.ev_class AND c.oid <> own.oid

    UNION ALL
    SELECT 'domain',
        CASE WHEN t.typnamespace = home.oid THEN '' ELSE CAST(n.nspname AS text) || '.' END
        || CAST(t.typname AS text),
        '',
        CASE t.typtype WHEN 'd' THEN '' ELSE 'no domain: ' END
        || pg_catalog.format_type(t.typbasetype, t.typtypmod)
        || coalesce((SELECT ' COLLATE ' || CAST(o.collname AS text)
            FROM pg_collation AS o WHERE o.oid = t.typcollation), '')
        {_LABELS}
        || coalesce(' DEFAULT ' || t.typdefault, '')
        || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce((
            SELECT pg_catalog.string_agg(
                ' CONSTRAINT ' || CAST(k.conname AS text) || ' '
                || pg_catalog.pg_get_constraintdef(k.oid, true),
                '' ORDER BY CAST(k.conname AS text) COLLATE "C")
            FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'), '')
    FROM path
    CROSS JOIN home
    JOIN pg_type AS t ON t.typnamespace = path.oid AND t.typtype IN ('d', 'e', 'r', 'b')
    JOIN pg_namespace AS n ON n.oid = path.oid
    WHERE CAST(t.typname AS text) = ANY (CAST(:names AS text[]))

    UNION ALL
    SELECT 'function',
        CASE WHEN p.pronamespace = home.oid THEN '' ELSE CAST(n.nspname AS text) || '.' END
        || CAST(p.proname AS text) || '('
        || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
        '', {_FUNCTION}
    FROM path
    CROSS JOIN home
    JOIN pg_proc AS p ON p.pronamespace = path.oid
    JOIN pg_namespace AS n ON n.oid = path.oid
    WHERE CAST(p.proname AS text) = ANY (CAST(:names AS text[]))
       OR EXISTS (
           SELECT 1 FROM pg_proc AS b JOIN pg_namespace AS m ON m.oid = b.pronamespace
           WHERE b.proname = p.proname AND m.nspname = 'pg_catalog')
      AND {functions}

    UNION ALL
    SELECT 'operator', CAST(n.nspname AS text) || '.' || CAST(o.oprname AS text), '',
        pg_catalog.format_type(o.oprleft, -1) || ', ' || pg_catalog.format_type(o.oprright, -1)
    FROM path
    JOIN pg_operator AS o ON o.oprnamespace = path.oid
    JOIN pg_namespace AS n ON n.oid = path.oid
    WHERE {operators}
    """


PARTS = sql(
    sqlite=_SQLITE_PARTS,
    postgres=_postgres_parts(
        _OF_HISTORY,
        _STRANGERS.format(catalogue="'pg_proc'", oid="p.oid", owner="p.proowner"),
        _STRANGERS.format(catalogue="'pg_operator'", oid="o.oid", owner="o.oprowner"),
    ),
)

PARTS_OF_SCHEMA = sql(
    sqlite=_SQLITE_PARTS,
    postgres=_postgres_parts(_CURRENT, "false", _NO_EXTENSIONS.format("'pg_operator'", "o.oid")),
)
"""The parts that files make in one schema, which must be the whole search_path."""

VERSION = sql(
    sqlite="SELECT 'sqlite', version FROM schema_migrations ORDER BY version DESC LIMIT 1",
    postgres="SELECT 'postgres', version FROM schema_migrations ORDER BY version DESC LIMIT 1",
)
"""The database and the version of the parts to compare with."""

NAMES = sql(
    sqlite="""
    SELECT 'main', name, type
    FROM sqlite_schema
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
    """,
    postgres=f"""
    WITH homes (oid, name) AS (
        SELECT n.oid, CAST(n.nspname AS text)
        FROM pg_namespace AS n
        WHERE NOT pg_catalog.starts_with(CAST(n.nspname AS text), CAST('pg_' AS text))
          AND n.nspname <> 'information_schema'
    )
    SELECT homes.name, '', 'schema' FROM homes
    UNION ALL
    SELECT homes.name, CAST(c.relname AS text),
        CASE WHEN c.relkind IN ('r', 'p') THEN 'table'
            WHEN c.relkind IN ('S', 'c') THEN 'other'
            ELSE 'view' END
    FROM homes JOIN pg_class AS c ON c.relnamespace = homes.oid
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
      AND NOT c.relispartition
      AND {_NO_EXTENSIONS.format("'pg_class'", "c.oid")}
    UNION ALL
    SELECT homes.name, CAST(p.proname AS text), 'other'
    FROM homes JOIN pg_proc AS p ON p.pronamespace = homes.oid
    WHERE {_NO_EXTENSIONS.format("'pg_proc'", "p.oid")}
    UNION ALL
    SELECT homes.name, CAST(t.typname AS text), 'other'
    FROM homes JOIN pg_type AS t ON t.typnamespace = homes.oid
    WHERE t.typtype IN ('d', 'e', 'r')
      AND {_NO_EXTENSIONS.format("'pg_type'", "t.oid")}
    """,
)
"""All names, by schema, except those that belong to an extension."""

EXTENSIONS = sql(
    sqlite="SELECT '' WHERE false",
    postgres="SELECT CAST(e.extname AS text) FROM pg_extension AS e ORDER BY 1",
)

IN_SCHEMA = sql(
    sqlite="SELECT :schema WHERE false",
    postgres="""
    SELECT pg_catalog.set_config(
        'search_path', pg_catalog.quote_ident(CAST(:schema AS text)), true)
    """,
)
"""Set the search_path to one schema, until the transaction ends."""
