-- SECURITY DEFINER functions that serve no single principal. The list is closed: a test compares
-- it with the catalogue. Each names tenant and owner in its own predicates where it has them.

-- The database this service talks to: a new salt, hence new epochs, when the system identifier or
-- the timeline is not the recorded one (a restore, a promoted standby).
CREATE FUNCTION adopt_installation(OUT salt bigint, OUT changed boolean, OUT revision text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    ident bigint := (SELECT system_identifier FROM pg_control_system());
    line int;
    known public.installation%ROWTYPE;
BEGIN
    SELECT v.version_num INTO revision FROM public.alembic_version v;
    SELECT * INTO known FROM public.installation i FOR UPDATE;
    -- That of what is written now: a promotion's first checkpoint may come minutes later.
    line := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int;
    changed := known.system_identifier IS NOT NULL
               AND (known.system_identifier <> ident OR known.timeline <> line);
    salt := CASE WHEN changed THEN public.random_salt() ELSE known.salt END;
    IF changed OR known.system_identifier IS NULL THEN
        UPDATE public.installation i
           SET salt = adopt_installation.salt, system_identifier = ident, timeline = line,
               changed_at = clock_timestamp();
    END IF;
END $$;

CREATE FUNCTION random_salt() RETURNS bigint
LANGUAGE sql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$ SELECT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 8)
                  || right(gen_random_uuid()::text, 8))::bit(64)::bigint $$;

CREATE FUNCTION lookup_api_key(p_id uuid)
RETURNS TABLE (tenant_id uuid, secret_hash bytea, scopes text[], expires_at timestamptz,
               tier text, limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT k.tenant_id, k.secret_hash, k.scopes, k.expires_at, p.tier, p.limits
      FROM public.api_keys k
      JOIN public.tenants t ON t.id = k.tenant_id AND t.disabled_at IS NULL
      JOIN public.policies p ON p.tenant_id = k.tenant_id
     WHERE k.id = p_id AND k.revoked_at IS NULL
       AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
$$;

-- Keeps the name of an issuer for one tenant until this transaction ends. False: another tenant
-- has a key of it that is not revoked, whether that tenant is disabled or not.
CREATE FUNCTION claim_issuer(p_tenant uuid, p_issuer text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    -- What the one before inserted is seen only by a statement that begins after the lock.
    PERFORM pg_advisory_xact_lock(hashtext('token_issuers'), hashtext(p_issuer));
    RETURN NOT EXISTS (
        SELECT FROM public.token_issuers s
         WHERE s.issuer = p_issuer AND s.tenant_id <> p_tenant AND s.revoked_at IS NULL);
END $$;

-- The key of an issuer; one that is registered with an empty key id serves all others. It never
-- chooses between tenants: where two of them have a key that fits, there is none.
CREATE FUNCTION lookup_issuer(p_issuer text, p_key_id text)
RETURNS TABLE (tenant_id uuid, id uuid, algorithm text, audience text, jwks_url text,
               public_key text, sealed_secret bytea, tier text, limits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT s.tenant_id, s.id, s.algorithm, s.audience, s.jwks_url, s.public_key, s.sealed_secret,
           p.tier, p.limits
      FROM public.token_issuers s
      JOIN public.tenants t ON t.id = s.tenant_id AND t.disabled_at IS NULL
      JOIN public.policies p ON p.tenant_id = s.tenant_id
     WHERE s.issuer = p_issuer AND s.key_id IN (p_key_id, '') AND s.revoked_at IS NULL
       AND NOT EXISTS (
           SELECT FROM public.token_issuers o
            WHERE o.issuer = p_issuer AND o.key_id IN (p_key_id, '') AND o.revoked_at IS NULL
              AND o.tenant_id <> s.tenant_id)
     ORDER BY s.key_id DESC LIMIT 1
$$;

-- Which of these credentials no longer hold: API keys and token issuers by id, users by the time
-- at which they were let in; and whether that is because the tenant is disabled.
CREATE FUNCTION refused_credentials(
    p_tenant uuid[], p_owner text[], p_key uuid[], p_issued timestamptz[])
RETURNS TABLE (ord bigint, is_disabled boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT c.ord, t.id IS NULL
      FROM unnest(p_tenant, p_owner, p_key, p_issued)
           WITH ORDINALITY AS c (tenant, owner, key, issued, ord)
      LEFT JOIN public.tenants t ON t.id = c.tenant AND t.disabled_at IS NULL
      LEFT JOIN public.api_keys k
        ON k.tenant_id = c.tenant AND k.id = c.key AND k.revoked_at IS NULL
       AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
      LEFT JOIN public.token_issuers s
        ON s.tenant_id = c.tenant AND s.id = c.key AND s.revoked_at IS NULL
      LEFT JOIN public.revoked_users r
        ON r.tenant_id = c.tenant AND r.owner = c.owner AND r.revoked_at >= c.issued
     WHERE t.id IS NULL OR r.owner IS NOT NULL
        OR (c.key IS NOT NULL AND k.id IS NULL AND s.id IS NULL)
$$;

-- A ticket opens one socket once: it is deleted by its use, and a few that nobody used with it.
CREATE FUNCTION use_ticket(p_hash bytea)
RETURNS TABLE (tenant_id uuid, owner text, origin text, actor text, scopes text[], key_id uuid,
               issued_at timestamptz, session_expires_at timestamptz, tier text, limits jsonb)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH used AS (
        DELETE FROM public.tickets k WHERE k.hash = p_hash
        RETURNING k.*),
    stale AS (
        DELETE FROM public.tickets k
         WHERE (k.tenant_id, k.hash) IN (
               SELECT e.tenant_id, e.hash FROM public.tickets e
                WHERE e.expires_at < clock_timestamp() - interval '1 minute'
                ORDER BY e.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))
    SELECT u.tenant_id, u.owner, u.origin, u.actor, u.scopes, u.key_id, u.issued_at,
           u.session_expires_at, p.tier, p.limits
      FROM used u
      JOIN public.policies p ON p.tenant_id = u.tenant_id
     WHERE u.expires_at > clock_timestamp()
       AND (u.session_expires_at IS NULL OR u.session_expires_at > clock_timestamp())
       AND NOT EXISTS (SELECT FROM public.refused_credentials(
               ARRAY[u.tenant_id], ARRAY[u.owner], ARRAY[u.key_id], ARRAY[u.issued_at]))
$$;

-- Who owns these threads and runs, asked only after a refusal was answered, to audit attempts on
-- foreign ones: one row per refusal of what exists and belongs to somebody else. The ids are made
-- of what they count, so that one aggregate has one row, whichever process writes it first.
-- Returns what was written.
CREATE FUNCTION audit_refusals(
    p_ids uuid[], p_tenant uuid[], p_actor text[], p_owner text[], p_action text[],
    p_target uuid[], p_count bigint[])
RETURNS TABLE (written uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    INSERT INTO public.audit (tenant_id, id, actor, owner, action, target, count, detail)
    SELECT c.tenant, c.id, c.actor, c.owner, c.action,
           replace(c.target::text, '-', ''), c.n,
           jsonb_build_object('foreign_tenant', f.tenant_id <> c.tenant)
      FROM unnest(p_ids, p_tenant, p_actor, p_owner, p_action, p_target, p_count)
           AS c (id, tenant, actor, owner, action, target, n)
      CROSS JOIN LATERAL (
          SELECT t.tenant_id FROM public.threads t
           WHERE t.id = c.target AND (t.tenant_id <> c.tenant OR t.owner <> c.owner)
          UNION ALL
          SELECT r.tenant_id FROM public.runs r
           WHERE r.id = c.target AND (r.tenant_id <> c.tenant OR r.owner <> c.owner)
          LIMIT 1) f
        ON CONFLICT DO NOTHING
    RETURNING id
$$;

-- Audit rows of many tenants in one round trip; each tenant's are written as that tenant.
CREATE FUNCTION write_audit(
    p_ids uuid[], p_tenant uuid[], p_actor text[], p_owner text[], p_action text[],
    p_target text[], p_count bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE each_tenant uuid;
BEGIN
    FOR each_tenant IN SELECT DISTINCT t FROM unnest(p_tenant) t LOOP
        PERFORM public.set_principal(each_tenant, NULL);
        INSERT INTO public.audit (tenant_id, id, actor, owner, action, target, count)
        SELECT c.tenant, c.id, c.actor, c.owner, c.action, c.target, c.n
          FROM unnest(p_ids, p_tenant, p_actor, p_owner, p_action, p_target, p_count)
               AS c (id, tenant, actor, owner, action, target, n)
         WHERE c.tenant = each_tenant
            ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- All tenants, for the platform key alone: it never reads conversations.
CREATE FUNCTION list_tenants(p_after uuid, p_before uuid, p_backward boolean, p_limit int)
RETURNS TABLE (id uuid, name text, tier text, limits jsonb, retention jsonb,
               created_at timestamptz, updated_at timestamptz, disabled_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT t.id, t.name, p.tier, p.limits, p.retention, t.created_at, p.updated_at, t.disabled_at
      FROM public.tenants t JOIN public.policies p ON p.tenant_id = t.id
     WHERE (p_after IS NULL OR t.id > p_after) AND (p_before IS NULL OR t.id < p_before)
     ORDER BY CASE WHEN p_backward THEN t.id END DESC, t.id LIMIT p_limit
$$;
