-- Roles are shared by all databases of a server: created once, without login. Whoever installs
-- gives the service a login that is a member of threadkeep_app, or makes that role one.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['threadkeep_owner', 'threadkeep_writer', 'threadkeep_app',
                                'threadkeep_auditor'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another migration on the same server was faster
        END;
    END LOOP;
END $$;
