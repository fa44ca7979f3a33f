-- Appending: the batch, its per-item twin, and the append inside another transaction.

-- One call per batch of messages. Groups are threads, sorted by (tenant, thread) so that two
-- processes lock in one order; entries name their group and their place in it. Raises TK001 when
-- any item does not fit (unknown thread, other owner, state), and unique_violation for a
-- repeated idempotency key: the caller then uses append_items for the same batch.
CREATE FUNCTION append_batch(
    g_tenant uuid[], g_thread uuid[], g_owner text[], g_count int[],
    e_group int[], e_offset int[], e_id uuid[], e_body text[], e_occurred timestamptz[],
    e_idem bytea[], e_digest bytea[], e_count int[],
    OUT bases bigint[], OUT times timestamptz[], OUT salts bigint[], OUT database_salt bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET lock_timeout = '1s'
AS $$
BEGIN
    WITH grown AS (
        UPDATE public.heads h
           SET last_seq = h.last_seq + g.n,
               last_at = greatest(h.last_at + interval '1 microsecond', clock_timestamp())
                         + (g.n - 1) * interval '1 microsecond'
          FROM unnest(g_tenant, g_thread, g_owner, g_count)
               WITH ORDINALITY AS g (tenant, thread, owner, n, ord)
         WHERE h.tenant_id = g.tenant AND h.thread_id = g.thread AND h.owner = g.owner
           AND h.state = 'active'
        RETURNING g.ord, h.last_seq - g.n AS base,
                  h.last_at - (g.n - 1) * interval '1 microsecond' AS at, h.salt)
    SELECT array_agg(base ORDER BY ord), array_agg(at ORDER BY ord), array_agg(salt ORDER BY ord)
      INTO bases, times, salts FROM grown;
    IF cardinality(bases) IS DISTINCT FROM cardinality(g_thread) THEN
        RAISE EXCEPTION 'an item does not fit' USING ERRCODE = 'TK001';
    END IF;
    INSERT INTO public.entries (tenant_id, thread_id, seq, id, created_at, occurred_at, idem_count,
                                owner, kind, body, idem, digest)
    SELECT g_tenant[e.grp], g_thread[e.grp], bases[e.grp] + e.off, e.id,
           times[e.grp] + (e.off - 1) * interval '1 microsecond', e.occurred, e.n,
           g_owner[e.grp], 'message', e.body, e.idem, e.digest
      FROM unnest(e_group, e_offset, e_id, e_body, e_occurred, e_idem, e_digest, e_count)
           AS e (grp, off, id, body, occurred, idem, digest, n);
    SELECT i.salt INTO database_salt FROM public.installation i;
END $$;

-- The same for items one by one, each with its verdict: appended, repeated, not_found, gone,
-- conflict_state, idempotency_mismatch, busy (lock timeout). An item is a request: entries
-- first_entry .. first_entry + n - 1 of the entry arrays.
CREATE FUNCTION append_items(
    i_tenant uuid[], i_thread uuid[], i_owner text[], i_first int[], i_count int[],
    i_idem bytea[], i_digest bytea[],
    e_id uuid[], e_body text[], e_occurred timestamptz[], e_event uuid[])
RETURNS TABLE (verdict text, state text, base bigint, at timestamptz, thread_salt bigint,
               database_salt bigint, ids uuid[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET lock_timeout = '1s'
AS $$
BEGIN
    SELECT i.salt INTO database_salt FROM public.installation i;
    FOR k IN 1 .. cardinality(i_thread) LOOP
        BEGIN
            SELECT o.verdict, o.state, o.base, o.at, o.salt, o.ids
              INTO verdict, state, base, at, thread_salt, ids
              FROM public.append_one(
                  i_tenant[k], i_thread[k], i_owner[k], i_idem[k], i_digest[k],
                  e_id[i_first[k] : i_first[k] + i_count[k] - 1],
                  e_body[i_first[k] : i_first[k] + i_count[k] - 1],
                  e_occurred[i_first[k] : i_first[k] + i_count[k] - 1], e_event[k]) o;
        EXCEPTION WHEN lock_not_available THEN
            verdict := 'busy'; state := NULL; base := NULL; at := NULL; ids := NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- One item under its head's lock. The idempotency key decides before the state: a repeat gets its
-- first answer also when the thread has been paused since.
CREATE FUNCTION append_one(
    p_tenant uuid, p_thread uuid, p_owner text, p_idem bytea, p_digest bytea,
    p_ids uuid[], p_bodies text[], p_occurred timestamptz[], p_event uuid,
    OUT verdict text, OUT state text, OUT base bigint, OUT at timestamptz, OUT salt bigint,
    OUT ids uuid[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    head public.heads%ROWTYPE;
    first public.entries%ROWTYPE;
    n int := cardinality(p_ids);
    risen int;
BEGIN
    SELECT * INTO head FROM public.heads h
     WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner
       FOR UPDATE;
    IF NOT FOUND THEN verdict := 'not_found'; RETURN; END IF;
    state := head.state; salt := head.salt;
    IF head.state = 'deleted' THEN verdict := 'gone'; RETURN; END IF;
    SELECT * INTO first FROM public.entries e
     WHERE e.tenant_id = p_tenant AND e.thread_id = p_thread AND e.idem = p_idem;
    IF FOUND THEN
        IF first.digest IS DISTINCT FROM p_digest THEN
            verdict := 'idempotency_mismatch'; RETURN;
        END IF;
        verdict := 'repeated'; base := first.seq - 1; at := first.created_at;
        SELECT array_agg(e.id ORDER BY e.seq) INTO ids FROM public.entries e
         WHERE e.tenant_id = p_tenant AND e.thread_id = p_thread
           AND e.seq BETWEEN first.seq AND first.seq + first.idem_count - 1;
        RETURN;
    END IF;
    IF head.state NOT IN ('active', 'completed') THEN verdict := 'conflict_state'; RETURN; END IF;
    verdict := 'appended'; ids := p_ids; base := head.last_seq;
    at := greatest(head.last_at + interval '1 microsecond', clock_timestamp());
    IF head.state = 'completed' THEN
        UPDATE public.threads t
           SET version = t.version + 1, updated_at = append_one.at, changed_at = clock_timestamp()
         WHERE t.tenant_id = p_tenant AND t.id = p_thread AND t.owner = p_owner
        RETURNING t.version INTO risen;
        INSERT INTO public.entries (tenant_id, thread_id, seq, id, created_at, owner, kind, body)
        VALUES (p_tenant, p_thread, base + 1, p_event, at, p_owner, 'thread_state_changed', format(
                '{"action":"reopen","from":"completed","to":"active","version":%s}', risen));
        base := base + 1; at := at + interval '1 microsecond';
    END IF;
    INSERT INTO public.entries (tenant_id, thread_id, seq, id, created_at, occurred_at, idem_count,
                                owner, kind, body, idem, digest)
    SELECT p_tenant, p_thread, append_one.base + e.off, e.id,
           append_one.at + (e.off - 1) * interval '1 microsecond', e.occurred,
           CASE WHEN e.off = 1 THEN n END, p_owner, 'message', e.body,
           CASE WHEN e.off = 1 THEN p_idem END, CASE WHEN e.off = 1 THEN p_digest END
      FROM unnest(p_ids, p_bodies, p_occurred) WITH ORDINALITY AS e (id, body, occurred, off);
    UPDATE public.heads h
       SET last_seq = append_one.base + n, state = 'active',
           last_at = append_one.at + (n - 1) * interval '1 microsecond'
     WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner;
END $$;

-- Entries appended inside a larger transaction that holds the head's lock already, with the rights
-- of the caller: row security applies. Returns nothing when the caller may not see the thread.
CREATE FUNCTION append_locked(
    p_tenant uuid, p_thread uuid, p_owner text, p_ids uuid[], p_kinds text[], p_runs uuid[],
    p_bodies text[], p_occurred timestamptz[], p_state text, p_idem bytea, p_digest bytea)
RETURNS TABLE (base bigint, at timestamptz, thread_salt bigint, database_salt bigint)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    n int := cardinality(p_ids);
BEGIN
    UPDATE public.heads h
       SET last_seq = h.last_seq + n, state = coalesce(p_state, h.state),
           last_at = greatest(h.last_at + interval '1 microsecond', clock_timestamp())
                     + (n - 1) * interval '1 microsecond'
     WHERE h.tenant_id = p_tenant AND h.thread_id = p_thread AND h.owner = p_owner
    RETURNING h.last_seq - n, h.last_at - (n - 1) * interval '1 microsecond', h.salt
      INTO base, at, thread_salt;
    IF NOT FOUND THEN RETURN; END IF;
    INSERT INTO public.entries (tenant_id, thread_id, seq, id, created_at, occurred_at, run_id,
                                idem_count, owner, kind, body, idem, digest)
    SELECT p_tenant, p_thread, append_locked.base + e.off, e.id,
           append_locked.at + (e.off - 1) * interval '1 microsecond', e.occurred, e.run,
           CASE WHEN e.off = 1 AND p_idem IS NOT NULL THEN n END, p_owner, e.kind, e.body,
           CASE WHEN e.off = 1 THEN p_idem END, CASE WHEN e.off = 1 THEN p_digest END
      FROM unnest(p_ids, p_kinds, p_runs, p_bodies, p_occurred)
           WITH ORDINALITY AS e (id, kind, run, body, occurred, off);
    SELECT i.salt INTO database_salt FROM public.installation i;
    RETURN NEXT;
END $$;
