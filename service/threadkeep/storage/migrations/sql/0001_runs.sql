-- Runs across threads, owners and tenants: who may be claimed, who has lost its holder. These only
-- find and renew; whatever is written to a thread is written under its head's lock afterwards,
-- with the rights of its owner.

-- Runs that a worker may claim, oldest first: all tenants (p_tenant is null) for the workers of
-- the service itself, one tenant's for an external one. A run that is not concurrent waits until
-- those asked for before it on its thread have ended. Takes no lock, so the claim decides again.
CREATE FUNCTION claimable_runs(p_tenant uuid, p_kinds text[], p_agents text[], p_limit int)
RETURNS TABLE (tenant_id uuid, owner text, thread_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT r.tenant_id, r.owner, r.thread_id, r.id
      FROM public.runs r
      JOIN public.heads h ON h.tenant_id = r.tenant_id AND h.thread_id = r.thread_id
                         AND h.owner = r.owner AND h.state IN ('active', 'completed')
     WHERE r.status IN ('queued', 'recovering')
       AND r.kind = ANY (p_kinds)
       AND (p_tenant IS NULL OR r.tenant_id = p_tenant)
       AND (p_agents IS NULL OR r.agent = ANY (p_agents))
       AND (r.concurrent OR NOT EXISTS (
            SELECT FROM public.runs o
             WHERE o.tenant_id = r.tenant_id AND o.thread_id = r.thread_id AND NOT o.concurrent
               AND o.status IN ('queued', 'running', 'requires_action', 'recovering')
               AND o.asked_seq < r.asked_seq))
     ORDER BY r.created_at LIMIT p_limit
$$;

-- Runs whose holder let the lease expire, and runs that wait on a deleted thread.
CREATE FUNCTION expired_runs(p_limit int)
RETURNS TABLE (tenant_id uuid, owner text, thread_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    (SELECT r.tenant_id, r.owner, r.thread_id, r.id
       FROM public.runs r
      WHERE r.status = 'running' AND r.lease_until <= clock_timestamp()
      ORDER BY r.lease_until LIMIT p_limit)
    UNION ALL
    (SELECT r.tenant_id, r.owner, r.thread_id, r.id
       FROM public.runs r
       JOIN public.heads h ON h.tenant_id = r.tenant_id AND h.thread_id = r.thread_id
                          AND h.owner = r.owner AND h.state = 'deleted'
      WHERE r.status IN ('queued', 'requires_action', 'recovering')
      LIMIT p_limit)
    UNION ALL
    -- Of a thread that was deleted and came back before the reaper did.
    (SELECT r.tenant_id, r.owner, r.thread_id, r.id
       FROM public.runs r
      WHERE r.status = 'requires_action' AND r.cancel_requested
      LIMIT p_limit)
$$;

-- The thread and user of a tenant's run, for workers, which know neither.
CREATE FUNCTION locate_run(p_tenant uuid, p_run uuid)
RETURNS TABLE (owner text, thread_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT r.owner, r.thread_id FROM public.runs r WHERE r.tenant_id = p_tenant AND r.id = p_run
$$;

-- A heartbeat. No row: no such run; renewed is false: the lease is another's, or has expired. The
-- lease of a run that is to be cancelled is not prolonged, so that a holder that does not listen
-- loses it. Locks the run alone and waits for nothing else.
CREATE FUNCTION renew_lease(
    p_tenant uuid, p_run uuid, p_fence bigint, p_seconds double precision)
RETURNS TABLE (renewed boolean, lease_until timestamptz, cancel_requested boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET lock_timeout = '1s'
AS $$
BEGIN
    RETURN QUERY
    UPDATE public.runs r
       SET lease_until = CASE WHEN r.cancel_requested THEN r.lease_until
                              ELSE clock_timestamp() + p_seconds * interval '1 second' END
     WHERE r.tenant_id = p_tenant AND r.id = p_run AND r.fence = p_fence
       AND r.status = 'running' AND r.lease_until > clock_timestamp()
    RETURNING true, r.lease_until, r.cancel_requested;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, NULL::timestamptz, r.cancel_requested
          FROM public.runs r WHERE r.tenant_id = p_tenant AND r.id = p_run;
    END IF;
END $$;
