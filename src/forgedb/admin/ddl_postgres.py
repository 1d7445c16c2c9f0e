"""PostgreSQL's catalogue, read as DDL statements; ``ddl`` puts them in order.

Names are written without the schema that comes first in search_path, so that the statements can
be run in a schema of another name.
"""

from __future__ import annotations

FIRST = "SET check_function_bodies = off;"
"""So that a function may name a table that is made after it."""

EXTENSIONS = """
SELECT 'pg_extension'::regclass::bigint, oid::bigint, extname,
    format('CREATE EXTENSION IF NOT EXISTS %I', extname)
FROM pg_extension
WHERE extnamespace = quote_ident(current_schema())::regnamespace
"""

TYPES = """
SELECT 'pg_type'::regclass::bigint, t.oid::bigint, t.typname,
    CASE t.typtype
        WHEN 'e' THEN format(
            'CREATE TYPE %I AS ENUM (%s)', t.typname,
            (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
             FROM pg_enum WHERE enumtypid = t.oid))
        WHEN 'c' THEN format(
            'CREATE TYPE %I AS (%s)', t.typname,
            (SELECT string_agg(
                format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped))
        WHEN 'r' THEN (
            SELECT format(
                'CREATE TYPE %I AS RANGE (SUBTYPE = %s, MULTIRANGE_TYPE_NAME = %I%s)', t.typname,
                format_type(rngsubtype, NULL), m.typname,
                ', SUBTYPE_DIFF = ' || nullif(rngsubdiff, 0)::regproc)
            FROM pg_range JOIN pg_type AS m ON m.oid = rngmultitypid
            WHERE rngtypid = t.oid)
        ELSE format(
            E'CREATE DOMAIN %I AS %s%s%s%s%s', t.typname, format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typcollation <> b.typcollation THEN
                (SELECT format(' COLLATE %I', collname)
                 FROM pg_collation WHERE oid = t.typcollation)
            END,
            ' DEFAULT ' || t.typdefault,
            CASE WHEN t.typnotnull THEN ' NOT NULL' END,
            (SELECT string_agg(
                format(E'\\n    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid, true)),
                '' ORDER BY k.conname COLLATE "C")
             FROM pg_constraint AS k
             WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated))
    END
FROM pg_type AS t
LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = quote_ident(current_schema())::regnamespace
  AND (t.typtype IN ('d', 'e', 'r') OR c.relkind = 'c')
"""

# Only the function's own name loses its schema; its body is left as it is.
FUNCTIONS = """
SELECT 'pg_proc'::regclass::bigint, p.oid::bigint,
    format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)),
    overlay(d.text PLACING '' FROM strpos(d.text, d.schema) FOR length(d.schema))
FROM pg_proc AS p
CROSS JOIN LATERAL (
    SELECT pg_get_functiondef(p.oid) AS text, quote_ident(current_schema()) || '.' AS schema
) AS d
WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.prokind IN ('f', 'p')
  AND p.prosqlbody IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM pg_depend
      WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')
"""

# SQL-standard bodies are parsed when the function is made, and so need the tables they name.
FUNCTIONS_OF_TABLES = FUNCTIONS.replace("prosqlbody IS NULL", "prosqlbody IS NOT NULL")

# Without the sequences of identity columns, which come with their column.
OWN_SEQUENCES = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, c.relname,
    format(
        E'CREATE SEQUENCE %I AS %s INCREMENT BY %s\\n'
        '    MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s',
        c.relname, format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart,
        s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END)
FROM pg_class AS c JOIN pg_sequence AS s ON s.seqrelid = c.oid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND NOT EXISTS (
      SELECT 1 FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'i')
"""

TABLES = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, c.relname,
    format(
        E'CREATE %sTABLE %I (\\n%s\\n)%s%s%s', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END,
        c.relname,
        concat_ws(
            E',\\n',
            (SELECT string_agg(
                format(
                    '    %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attcollation <> t.typcollation THEN
                        (SELECT format(' COLLATE %I', collname)
                         FROM pg_collation WHERE oid = a.attcollation)
                    END,
                    CASE
                        WHEN a.attidentity <> '' THEN format(
                            ' GENERATED %s AS IDENTITY%s',
                            CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                            (SELECT format(
                                ' (START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s'
                                ' CACHE %s%s)',
                                s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                                CASE WHEN s.seqcycle THEN ' CYCLE' END)
                             FROM pg_depend AS o JOIN pg_sequence AS s ON s.seqrelid = o.objid
                             WHERE o.classid = 'pg_class'::regclass AND o.refobjid = c.oid
                               AND o.refclassid = 'pg_class'::regclass AND o.deptype = 'i'
                               AND o.refobjsubid = a.attnum
                               AND (s.seqstart, s.seqincrement, s.seqmin, s.seqcache, s.seqcycle)
                                   <> (1, 1, 1, 1, false)))
                        WHEN a.attgenerated <> '' THEN format(
                            ' GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                            CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)
                        ELSE ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
                    END,
                    CASE WHEN a.attnotnull THEN ' NOT NULL' END),
                E',\\n' ORDER BY a.attnum)
             FROM pg_attribute AS a
             JOIN pg_type AS t ON t.oid = a.atttypid
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal),
            (SELECT string_agg(
                format('    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid, true)),
                E',\\n' ORDER BY strpos('puxc', k.contype::text), k.conname COLLATE "C")
             FROM pg_constraint AS k
             WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c') AND k.convalidated
               AND k.conislocal
               AND NOT EXISTS (
                   SELECT 1 FROM pg_depend
                   WHERE classid = 'pg_constraint'::regclass AND objid = k.oid
                     AND refclassid = 'pg_proc'::regclass))),
        (SELECT format(' INHERITS (%s)', string_agg(quote_ident(p.relname), ', ' ORDER BY inhseqno))
         FROM pg_inherits JOIN pg_class AS p ON p.oid = inhparent
         WHERE inhrelid = c.oid
         HAVING count(*) > 0),
        ' PARTITION BY ' || pg_get_partkeydef(c.oid),
        (SELECT format(' WITH (%s)', string_agg(format('%I = %L', option_name, option_value), ', '))
         FROM pg_options_to_table(c.reloptions)
         HAVING count(*) > 0))
FROM pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""

PARTITIONS = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, c.relname,
    format(
        E'CREATE %sTABLE %I PARTITION OF %I\\n    %s%s',
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, c.relname, p.relname,
        pg_get_expr(c.relpartbound, c.oid), ' PARTITION BY ' || pg_get_partkeydef(c.oid))
FROM pg_class AS c
JOIN pg_inherits AS i ON i.inhrelid = c.oid
JOIN pg_class AS p ON p.oid = i.inhparent
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND c.relkind IN ('r', 'p') AND c.relispartition
"""

# Where a partition's column differs from its table's.
DEFAULTS_OF_PARTITIONS = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, format('%s %s', c.relname, a.attname),
    format(
        'ALTER TABLE %I ALTER COLUMN %I %s', c.relname, a.attname,
        coalesce('SET DEFAULT ' || own.expression, 'DROP DEFAULT'))
FROM pg_class AS c
JOIN pg_inherits AS i ON i.inhrelid = c.oid
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_attribute AS above ON above.attrelid = i.inhparent AND above.attname = a.attname
CROSS JOIN LATERAL (
    SELECT (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
            WHERE adrelid = c.oid AND adnum = a.attnum) AS expression
) AS own
CROSS JOIN LATERAL (
    SELECT (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
            WHERE adrelid = i.inhparent AND adnum = above.attnum) AS expression
) AS inherited
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relispartition
  AND a.attgenerated = '' AND own.expression IS DISTINCT FROM inherited.expression
"""

OWNERS_OF_SEQUENCES = """
SELECT 'pg_class'::regclass::bigint, t.oid::bigint, s.relname,
    format('ALTER SEQUENCE %I OWNED BY %I.%I', s.relname, t.relname, a.attname)
FROM pg_class AS s
JOIN pg_depend AS o
  ON o.classid = 'pg_class'::regclass AND o.objid = s.oid
  AND o.refclassid = 'pg_class'::regclass AND o.deptype = 'a'
JOIN pg_class AS t ON t.oid = o.refobjid
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = o.refobjsubid
WHERE s.relnamespace = quote_ident(current_schema())::regnamespace AND s.relkind = 'S'
"""

# Foreign keys, constraints that CREATE TABLE can't write, and those that call a function, which
# may need the table.
CONSTRAINTS = """
SELECT 'pg_constraint'::regclass::bigint, k.oid::bigint,
    format('%s %s', coalesce(c.relname, t.typname), k.conname),
    format(
        E'ALTER %s %I\\n    ADD CONSTRAINT %I %s',
        CASE k.contypid WHEN 0 THEN 'TABLE' ELSE 'DOMAIN' END,
        coalesce(c.relname, t.typname), k.conname, pg_get_constraintdef(k.oid, true))
FROM pg_constraint AS k
LEFT JOIN pg_class AS c ON c.oid = k.conrelid
LEFT JOIN pg_type AS t ON t.oid = k.contypid
WHERE k.connamespace = quote_ident(current_schema())::regnamespace
  AND k.conparentid = 0 AND k.conislocal
  AND (k.contype = 'f'
       OR k.contype = 'c' AND NOT k.convalidated
       OR k.contype IN ('p', 'u', 'x', 'c') AND (
           c.relispartition
           OR c.oid IS NOT NULL AND EXISTS (
               SELECT 1 FROM pg_depend
               WHERE classid = 'pg_constraint'::regclass AND objid = k.oid
                 AND refclassid = 'pg_proc'::regclass)))
"""

# PostgreSQL describes an index of a partitioned table as ON ONLY, which leaves out partitions.
INDEXES = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, format('%s %s', t.relname, c.relname),
    CASE c.relkind
        WHEN 'I' THEN overlay(
            d.text PLACING ' ON ' FROM strpos(d.text, ' ON ONLY ') FOR length(' ON ONLY '))
        ELSE d.text
    END
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
CROSS JOIN LATERAL (SELECT pg_get_indexdef(c.oid, 0, true) AS text) AS d
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND NOT c.relispartition
  AND NOT EXISTS (
      SELECT 1 FROM pg_constraint
      WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))
"""

VIEWS = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, c.relname,
    format(
        E'CREATE %sVIEW %I%s AS\\n%s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' END, c.relname,
        (SELECT format(' WITH (%s)', string_agg(format('%I = %L', option_name, option_value), ', '))
         FROM pg_options_to_table(c.reloptions)
         HAVING count(*) > 0),
        pg_get_viewdef(c.oid, true))
FROM pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('v', 'm')
"""

RULES = """
SELECT 'pg_rewrite'::regclass::bigint, r.oid::bigint, format('%s %s', c.relname, r.rulename),
    pg_get_ruledef(r.oid, true)
FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND r.rulename <> '_RETURN'
"""

TRIGGERS = """
SELECT 'pg_trigger'::regclass::bigint, g.oid::bigint, format('%s %s', c.relname, g.tgname),
    pg_get_triggerdef(g.oid, true)
    || CASE WHEN g.tgenabled <> 'O' THEN format(
        E';\\n\\nALTER TABLE %I %s TRIGGER %I', c.relname,
        CASE g.tgenabled
            WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS'
        END,
        g.tgname)
    ELSE '' END
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND NOT g.tgisinternal AND g.tgparentid = 0
"""

STATISTICS = """
SELECT 'pg_statistic_ext'::regclass::bigint, s.oid::bigint, s.stxname,
    overlay(d.text PLACING '' FROM strpos(d.text, d.schema) FOR length(d.schema))
FROM pg_statistic_ext AS s
CROSS JOIN LATERAL (
    SELECT pg_get_statisticsobjdef(s.oid) AS text, quote_ident(current_schema()) || '.' AS schema
) AS d
WHERE s.stxnamespace = quote_ident(current_schema())::regnamespace
"""

ROW_SECURITY = """
SELECT 'pg_class'::regclass::bigint, c.oid::bigint, format('%s %s', c.relname, w.word),
    format('ALTER TABLE %I %s ROW LEVEL SECURITY', c.relname, w.word)
FROM pg_class AS c
JOIN (VALUES ('ENABLE'), ('FORCE')) AS w (word)
  ON w.word = 'ENABLE' AND c.relrowsecurity OR w.word = 'FORCE' AND c.relforcerowsecurity
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
"""

POLICIES = """
SELECT 'pg_policy'::regclass::bigint, p.oid::bigint, format('%s %s', c.relname, p.polname),
    format(
        'CREATE POLICY %I ON %I AS %s FOR %s TO %s%s%s', p.polname, c.relname,
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE p.polcmd
            WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE' ELSE 'ALL'
        END,
        (SELECT string_agg(
            CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', '
            ORDER BY pg_get_userbyid(role))
         FROM unnest(p.polroles) AS role),
        E'\\n    USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        E'\\n    WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
"""

COMMENTS = """
WITH named (catalogue, oid, part, name) AS (
    SELECT 'pg_class'::regclass, c.oid, 0,
        format(
            '%s %I',
            CASE c.relkind
                WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' WHEN 'c' THEN 'TYPE' ELSE 'TABLE'
            END,
            c.relname)
    FROM pg_class AS c
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, a.attnum, format('COLUMN %I.%I', c.relname, a.attname)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0,
        format('%s %I', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.typname)
    FROM pg_type AS t WHERE t.typnamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0,
        format('ROUTINE %I(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
    FROM pg_proc AS p
    WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.prokind IN ('f', 'p')
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 0,
        format(
            'CONSTRAINT %I ON %s%I', k.conname, CASE WHEN k.contypid <> 0 THEN 'DOMAIN ' END,
            coalesce(c.relname, t.typname))
    FROM pg_constraint AS k
    LEFT JOIN pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_type AS t ON t.oid = k.contypid
    WHERE k.connamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid, 0, format('TRIGGER %I ON %I', g.tgname, c.relname)
    FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, 0, format('POLICY %I ON %I', p.polname, c.relname)
    FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
)
SELECT n.catalogue::bigint, n.oid::bigint, n.name,
    format('COMMENT ON %s IS %L', n.name, d.description)
FROM named AS n
JOIN pg_description AS d
  ON d.classoid = n.catalogue AND d.objoid = n.oid AND d.objsubid = n.part
"""

STATEMENTS = (
    EXTENSIONS,
    TYPES,
    FUNCTIONS,
    OWN_SEQUENCES,
    TABLES,
    PARTITIONS,
    DEFAULTS_OF_PARTITIONS,
    OWNERS_OF_SEQUENCES,
    CONSTRAINTS,
    FUNCTIONS_OF_TABLES,
    INDEXES,
    VIEWS,
    RULES,
    TRIGGERS,
    STATISTICS,
    ROW_SECURITY,
    POLICIES,
    COMMENTS,
)
"""The queries, in the order of their statements, unless one statement needs a later one.

Each row is a statement: the object it is about, by catalogue and oid, its name, and the text.
"""

SEQUENCES = STATEMENTS.index(OWN_SEQUENCES)

DEPENDENCIES = """
SELECT classid::bigint, objid::bigint, refclassid::bigint, refobjid::bigint, deptype::text
FROM pg_depend
WHERE deptype IN ('n', 'a', 'i', 'e')
"""
"""Normal, auto, internal and extension dependencies; not those of partitions, which need not wait
for their table's indexes."""

BELONGS = "aie"
"""The kinds of dependency that a part has on its whole."""

WITHIN = """
SELECT pg_describe_object(classid, objid, 0), classid::bigint, objid::bigint
FROM pg_depend
WHERE refclassid = 'pg_namespace'::regclass
  AND refobjid = quote_ident(current_schema())::regnamespace
  AND classid NOT IN ('pg_default_acl'::regclass, 'pg_publication_namespace'::regclass)
"""
"""Each object that is directly in the schema, with a description for people."""
