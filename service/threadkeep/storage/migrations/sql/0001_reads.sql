-- Hot reads in one round trip, with the rights of the caller: they set the principal before the
-- inner query is planned, and name tenant and owner in its predicates too.

CREATE FUNCTION set_principal(p_tenant uuid, p_owner text) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('threadkeep.tenant', coalesce(p_tenant::text, ''), true),
            set_config('threadkeep.owner', coalesce(p_owner, ''), true),
            set_config('lock_timeout', '1s', true);
END $$;

-- A page of a thread's log. Every row repeats the head; a thread without a matching entry is one
-- row with a null seq, an invisible thread is no row. Ascending from p_after, or descending from
-- p_before when p_backward.
CREATE FUNCTION read_entries(
    p_tenant uuid, p_owner text, p_thread uuid, p_after bigint, p_before bigint,
    p_backward boolean, p_kinds text[], p_limit int)
RETURNS TABLE (state text, last_seq bigint, thread_salt bigint, database_salt bigint,
               seq bigint, id uuid, kind text, run_id uuid, body text, created_at timestamptz)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    IF p_backward THEN
        RETURN QUERY
        SELECT h.state, h.last_seq, h.salt, i.salt, e.seq, e.id, e.kind, e.run_id, e.body, e.created_at
          FROM public.heads h CROSS JOIN public.installation i
          LEFT JOIN LATERAL (
              SELECT x.* FROM public.entries x
               WHERE x.tenant_id = p_tenant AND x.thread_id = p_thread AND x.owner = p_owner
                 AND x.seq > p_after AND x.seq < p_before
                 AND (p_kinds IS NULL OR x.kind = ANY (p_kinds))
               ORDER BY x.tenant_id DESC, x.thread_id DESC, x.seq DESC LIMIT p_limit) e ON true
         WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner;
    ELSE
        RETURN QUERY
        SELECT h.state, h.last_seq, h.salt, i.salt, e.seq, e.id, e.kind, e.run_id, e.body, e.created_at
          FROM public.heads h CROSS JOIN public.installation i
          LEFT JOIN LATERAL (
              SELECT x.* FROM public.entries x
               WHERE x.tenant_id = p_tenant AND x.thread_id = p_thread AND x.owner = p_owner
                 AND x.seq > p_after AND x.seq < p_before
                 AND (p_kinds IS NULL OR x.kind = ANY (p_kinds))
               ORDER BY x.tenant_id, x.thread_id, x.seq LIMIT p_limit) e ON true
         WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner;
    END IF;
END $$;
