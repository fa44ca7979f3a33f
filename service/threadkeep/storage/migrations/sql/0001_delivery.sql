-- What delivery reads: chunks and the end of a log, the sweep over subscribed heads, and changed
-- threads for the feeds of users.

-- A chunk of a thread's log after p_after: up to p_limit entries and about p_bytes bytes, at least
-- one entry where there is one. Rows as read_entries gives them.
CREATE FUNCTION read_chunk(
    p_tenant uuid, p_owner text, p_thread uuid, p_after bigint, p_limit int, p_bytes bigint)
RETURNS TABLE (state text, last_seq bigint, thread_salt bigint, database_salt bigint,
               seq bigint, id uuid, kind text, run_id uuid, body text, created_at timestamptz)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    RETURN QUERY
    SELECT h.state, h.last_seq, h.salt, i.salt, e.seq, e.id, e.kind, e.run_id, e.body, e.created_at
      FROM public.heads h CROSS JOIN public.installation i
      LEFT JOIN LATERAL (
          SELECT w.* FROM (
              SELECT x.*, sum(octet_length(x.body) + 300) OVER up_to AS size, row_number() OVER up_to AS n
                FROM (SELECT y.* FROM public.entries y
                       WHERE y.tenant_id = p_tenant AND y.thread_id = p_thread
                         AND y.owner = p_owner AND y.seq > p_after
                       ORDER BY y.tenant_id, y.thread_id, y.seq LIMIT p_limit) x
              WINDOW up_to AS (ORDER BY x.seq ROWS UNBOUNDED PRECEDING)) w
           WHERE w.n = 1 OR w.size <= p_bytes
           ORDER BY w.seq) e ON true
     WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner;
END $$;

-- The end of a thread's log for a snapshot, ascending: back to the p_messages-th last message, at
-- most p_limit entries and about p_bytes bytes, at least the last entry. The transaction has its
-- principal already.
CREATE FUNCTION read_recent(
    p_tenant uuid, p_owner text, p_thread uuid, p_messages int, p_limit int, p_bytes bigint)
RETURNS TABLE (seq bigint, id uuid, kind text, run_id uuid, body text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
    SELECT w.seq, w.id, w.kind, w.run_id, w.body, w.created_at
      FROM (SELECT x.*, sum(octet_length(x.body) + 300) OVER back_to AS size,
                   row_number() OVER back_to AS n,
                   count(*) FILTER (WHERE x.kind = 'message') OVER back_to AS messages
              FROM (SELECT y.* FROM public.entries y
                     WHERE y.tenant_id = p_tenant AND y.thread_id = p_thread AND y.owner = p_owner
                     ORDER BY y.tenant_id DESC, y.thread_id DESC, y.seq DESC LIMIT p_limit) x
            WINDOW back_to AS (ORDER BY x.seq DESC ROWS UNBOUNDED PRECEDING)) w
     WHERE (w.n = 1 OR w.size <= p_bytes)
       AND w.messages - (w.kind = 'message')::int < p_messages
     ORDER BY w.seq
$$;

-- Subscribed threads of one process that are not as it believes: grown, of another history, gone
-- (last_seq is null), or with a message that is streaming. This makes lost wake-ups harmless.
CREATE FUNCTION compare_heads(
    p_tenant uuid[], p_owner text[], p_thread uuid[], p_seq bigint[], p_salt bigint[],
    p_database_salt bigint[])
RETURNS TABLE (ord bigint, last_seq bigint, thread_salt bigint, database_salt bigint,
               streaming boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    SELECT s.ord, h.last_seq, h.salt, i.salt, p.streaming IS NOT NULL
      FROM unnest(p_tenant, p_owner, p_thread, p_seq, p_salt, p_database_salt)
           WITH ORDINALITY AS s (tenant, owner, thread, seq, salt, database_salt, ord)
     CROSS JOIN public.installation i
      LEFT JOIN public.heads h
        ON h.tenant_id = s.tenant AND h.thread_id = s.thread AND h.owner = s.owner
      LEFT JOIN LATERAL (
          SELECT true AS streaming FROM public.partials x
           WHERE x.tenant_id = s.tenant AND x.thread_id = s.thread AND x.owner = s.owner
           LIMIT 1) p ON true
     WHERE h.last_seq IS DISTINCT FROM s.seq OR h.salt <> s.salt OR i.salt <> s.database_salt
        OR p.streaming
$$;

-- Threads of these users that have changed since, oldest change first, for the feeds of users.
-- Pages by (changed_at, id). unread: messages after the read marker, counted to 100 at most.
-- kind: the last change of the thread itself since p_since that its log tells, if any.
CREATE FUNCTION changed_threads(
    p_tenant uuid[], p_owner text[], p_since timestamptz[], p_after uuid[], p_limit int)
RETURNS TABLE (ord bigint, id uuid, external_id text, title text, metadata jsonb, version bigint,
               created_at timestamptz, updated_at timestamptz, last_activity_at timestamptz,
               changed_at timestamptz, state text, hold boolean, last_seq bigint,
               thread_salt bigint, database_salt bigint, unread bigint, kind text,
               kind_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
    SELECT s.ord, t.id, t.external_id, t.title, t.metadata, t.version, t.created_at, t.updated_at,
           t.last_activity_at, t.changed_at, h.state, h.hold, h.last_seq, h.salt, i.salt,
           u.unread, k.kind, k.seq
      FROM unnest(p_tenant, p_owner, p_since, p_after)
           WITH ORDINALITY AS s (tenant, owner, since, after, ord)
     CROSS JOIN public.installation i
     CROSS JOIN LATERAL (
          SELECT x.* FROM public.threads x
           WHERE x.tenant_id = s.tenant AND x.owner = s.owner
             AND (x.changed_at, x.id) > (s.since, s.after)
           ORDER BY x.tenant_id, x.owner, x.changed_at, x.id LIMIT p_limit) t
      JOIN public.heads h
        ON h.tenant_id = s.tenant AND h.thread_id = t.id AND h.owner = s.owner
      LEFT JOIN public.read_markers m
        ON m.tenant_id = s.tenant AND m.owner = s.owner AND m.thread_id = t.id
     CROSS JOIN LATERAL (
          SELECT count(*) AS unread FROM (
              SELECT FROM public.entries e
               WHERE e.tenant_id = s.tenant AND e.thread_id = t.id AND e.kind = 'message'
                 AND e.seq > greatest(coalesce(m.seq, 0), h.last_seq - 1000)
               LIMIT 100) c) u
      LEFT JOIN LATERAL (
          SELECT e.kind, e.seq FROM public.entries e
           WHERE e.tenant_id = s.tenant AND e.thread_id = t.id AND e.seq > h.last_seq - 50
             AND e.kind IN ('thread_created', 'thread_updated', 'thread_state_changed',
                            'thread_deleted')
             AND e.created_at > s.since
           ORDER BY e.seq DESC LIMIT 1) k ON true
     ORDER BY s.ord, t.changed_at, t.id
$$;
