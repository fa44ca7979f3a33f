-- Row security, forced also for the owner, and the rights of each role.

-- Until the end: whoever is no superuser can give things only to roles that could make them.
GRANT USAGE, CREATE ON SCHEMA public TO threadkeep_writer, threadkeep_owner;

DO $$
DECLARE
    name text;
    is_tenant text := 'tenant_id = nullif(current_setting(''threadkeep.tenant'', true), '''')::uuid';
    is_owner text := ' AND owner = nullif(current_setting(''threadkeep.owner'', true), '''')';
    has_tenant text := 'nullif(current_setting(''threadkeep.tenant'', true), '''') IS NOT NULL';
    of_user text[] := ARRAY['threads', 'heads', 'entries', 'runs', 'partials', 'search', 'tickets',
                            'read_markers'];
    of_tenant text[] := ARRAY['policies', 'api_keys', 'token_issuers', 'revoked_users', 'agents',
                              'audit', 'dirty'];
    visible text;
BEGIN
    FOREACH name IN ARRAY of_user || of_tenant
                          || ARRAY['tenants', 'installation', 'heartbeat', 'alembic_version'] LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO threadkeep_owner', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY writes ON %I TO threadkeep_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO threadkeep_writer, threadkeep_app, threadkeep_auditor', name);
        visible := CASE
            WHEN name = ANY (of_user) THEN is_tenant || is_owner
            WHEN name = ANY (of_tenant) THEN is_tenant
            WHEN name = 'tenants' THEN replace(is_tenant, 'tenant_id', 'id')
            WHEN name = 'alembic_version' THEN 'false'
            ELSE has_tenant END;
        EXECUTE format('CREATE POLICY principal ON %I TO threadkeep_app USING (%s) WITH CHECK (%s)',
                       name, visible, visible);
        EXECUTE format('CREATE POLICY audits ON %I FOR SELECT TO threadkeep_auditor USING (%s)',
                       name, replace(visible, is_owner, ''));
    END LOOP;
END $$;

-- The application appends; it never rewrites or removes what was said.
GRANT INSERT ON threads, heads, entries, runs, partials, tickets, read_markers, audit, tenants,
    policies, api_keys, token_issuers, revoked_users, agents TO threadkeep_app;
GRANT UPDATE ON threads, heads, runs, read_markers, tenants, policies, api_keys, token_issuers,
    revoked_users, agents TO threadkeep_app;
GRANT DELETE ON partials, agents, revoked_users TO threadkeep_app;

GRANT INSERT ON entries, audit, dirty, search TO threadkeep_writer;
GRANT UPDATE ON heads, threads, runs, installation, dirty, search, tickets TO threadkeep_writer;
GRANT DELETE ON tickets, dirty, search, partials TO threadkeep_writer;

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'TK002'; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

DO $$
DECLARE f regprocedure; definer boolean;
BEGIN
    GRANT USAGE ON SCHEMA public TO threadkeep_app, threadkeep_auditor;
    FOR f, definer IN SELECT p.oid, p.prosecdef FROM pg_proc p
                       WHERE p.pronamespace = 'public'::regnamespace
                         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid
                                          AND d.deptype = 'e') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', f,
                       CASE WHEN definer THEN 'threadkeep_writer' ELSE 'threadkeep_owner' END);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO threadkeep_app, threadkeep_writer', f);
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM threadkeep_writer, threadkeep_owner;
END $$;

INSERT INTO installation (salt) VALUES (random_salt());
