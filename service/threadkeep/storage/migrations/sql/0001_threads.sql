-- Threads as callers see them, with the rights of the caller: each function sets the principal
-- before its queries are planned, and names tenant and owner in its predicates too.

CREATE FUNCTION thread_row(p_tenant uuid, p_owner text, p_id uuid)
RETURNS TABLE (id uuid, external_id text, title text, metadata jsonb, version bigint,
               created_at timestamptz, updated_at timestamptz, last_activity_at timestamptz,
               state text, hold boolean, last_seq bigint, thread_salt bigint, database_salt bigint)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    RETURN QUERY
    SELECT t.id, t.external_id, t.title, t.metadata, t.version, t.created_at, t.updated_at,
           t.last_activity_at, h.state, h.hold, h.last_seq, h.salt, i.salt
      FROM public.threads t
      JOIN public.heads h
        ON h.tenant_id = p_tenant AND h.thread_id = t.id AND h.owner = p_owner
     CROSS JOIN public.installation i
     WHERE t.tenant_id = p_tenant AND t.id = p_id AND t.owner = p_owner;
END $$;

-- A new thread with its head and its first entry, or the thread that has this external id: one
-- row and one id also when a hundred ask at once. An insert that meets another one under way
-- waits for it; the read after it has a snapshot of its own, so it sees what that one committed.
CREATE FUNCTION create_thread(
    p_tenant uuid, p_owner text, p_id uuid, p_external text, p_title text, p_metadata jsonb,
    p_salt bigint, p_entry uuid, p_body text)
RETURNS TABLE (created boolean,
               id uuid, external_id text, title text, metadata jsonb, version bigint,
               created_at timestamptz, updated_at timestamptz, last_activity_at timestamptz,
               state text, hold boolean, last_seq bigint, thread_salt bigint, database_salt bigint)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    at timestamptz := clock_timestamp();
    found_id uuid := p_id;
    is_new boolean;
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    INSERT INTO public.threads (tenant_id, id, owner, external_id, title, metadata, created_at,
                                updated_at, last_activity_at, changed_at)
    VALUES (p_tenant, p_id, p_owner, p_external, p_title, p_metadata, at, at, at, at)
    ON CONFLICT (tenant_id, owner, external_id) DO NOTHING;
    is_new := FOUND;
    IF is_new THEN
        INSERT INTO public.heads (tenant_id, thread_id, owner, last_seq, last_at, salt)
        VALUES (p_tenant, p_id, p_owner, 1, at, p_salt);
        INSERT INTO public.entries (tenant_id, thread_id, seq, id, created_at, owner, kind, body)
        VALUES (p_tenant, p_id, 1, p_entry, at, p_owner, 'thread_created', p_body);
    ELSE
        SELECT t.id INTO found_id FROM public.threads t
         WHERE t.tenant_id = p_tenant AND t.owner = p_owner AND t.external_id = p_external;
    END IF;
    RETURN QUERY SELECT is_new, r.* FROM public.thread_row(p_tenant, p_owner, found_id) r;
END $$;

-- JSON merge patch (RFC 7396).
CREATE FUNCTION merge_patch(p_target jsonb, p_patch jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    result jsonb := CASE WHEN jsonb_typeof(p_target) = 'object' THEN p_target ELSE '{}' END;
    name text;
    value jsonb;
BEGIN
    IF jsonb_typeof(p_patch) <> 'object' THEN RETURN p_patch; END IF;
    FOR name, value IN SELECT * FROM jsonb_each(p_patch) LOOP
        IF value = 'null' THEN
            result := result - name;
        ELSE
            result := jsonb_set(result, ARRAY[name], public.merge_patch(result -> name, value));
        END IF;
    END LOOP;
    RETURN result;
END $$;

-- Up to p_limit threads beside (p_at, p_id), newest activity first, or oldest first when
-- p_backward. The query's words, if any, are looked up once and bound how many threads are
-- looked at; everything else filters the caller's own threads along threads_activity.
CREATE FUNCTION list_threads(
    p_tenant uuid, p_owner text, p_states text[], p_external text, p_metadata jsonb,
    p_since timestamptz, p_words text, p_at timestamptz, p_id uuid, p_backward boolean,
    p_limit int)
RETURNS TABLE (id uuid, external_id text, title text, metadata jsonb, version bigint,
               created_at timestamptz, updated_at timestamptz, last_activity_at timestamptz,
               state text, hold boolean, last_seq bigint, thread_salt bigint, database_salt bigint)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    named uuid[];
    way text := CASE WHEN p_backward THEN 'ASC' ELSE 'DESC' END;
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    IF p_words IS NOT NULL THEN
        named := public.search_threads(p_tenant, p_owner, p_words::tsquery);
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT t.id, t.external_id, t.title, t.metadata, t.version, t.created_at, t.updated_at,
                t.last_activity_at, h.state, h.hold, h.last_seq, h.salt, i.salt
           FROM %s
           JOIN public.heads h
             ON h.tenant_id = $1 AND h.thread_id = t.id AND h.owner = $2
          CROSS JOIN public.installation i
          WHERE t.tenant_id = $1 AND t.owner = $2
            AND (t.last_activity_at, t.id) %s ($7, $8)
            AND h.state = ANY ($3)
            AND ($4 IS NULL OR t.external_id = $4)
            AND ($5 IS NULL OR t.metadata @> $5)
            AND ($6 IS NULL OR t.updated_at >= $6 OR t.last_activity_at >= $6)
          ORDER BY t.tenant_id %s, t.owner %s, t.last_activity_at %s, t.id %s LIMIT $9',
        CASE WHEN named IS NULL THEN 'public.threads t'
             ELSE 'unnest($10) AS n (id) JOIN public.threads t ON t.id = n.id' END,
        CASE WHEN p_backward THEN '>' ELSE '<' END, way, way, way, way)
    USING p_tenant, p_owner, p_states, p_external, p_metadata, p_since, p_at, p_id, p_limit, named;
END $$;

-- Moves the caller's read marker, never back and never beyond the head; the thread counts as
-- changed then, so that the user's other lists learn it.
CREATE FUNCTION move_read_marker(p_tenant uuid, p_owner text, p_thread uuid, p_seq bigint)
RETURNS TABLE (state text, last_seq bigint, seq bigint)
LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM public.set_principal(p_tenant, p_owner);
    SELECT h.state, h.last_seq INTO state, last_seq FROM public.heads h
     WHERE h.tenant_id = p_tenant AND h.owner = p_owner AND h.thread_id = p_thread;
    IF NOT FOUND THEN RETURN; END IF;
    IF state <> 'deleted' AND p_seq <= last_seq THEN
        INSERT INTO public.read_markers AS m (tenant_id, owner, thread_id, seq)
        VALUES (p_tenant, p_owner, p_thread, p_seq)
        ON CONFLICT (tenant_id, owner, thread_id) DO UPDATE
           SET seq = excluded.seq, updated_at = clock_timestamp()
         WHERE m.seq < excluded.seq;
        IF FOUND THEN
            UPDATE public.threads t SET changed_at = clock_timestamp()
             WHERE t.tenant_id = p_tenant AND t.owner = p_owner AND t.id = p_thread;
        END IF;
    END IF;
    SELECT m.seq INTO seq FROM public.read_markers m
     WHERE m.tenant_id = p_tenant AND m.owner = p_owner AND m.thread_id = p_thread;
    RETURN NEXT;
END $$;
