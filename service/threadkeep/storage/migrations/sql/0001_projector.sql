-- Search, and the projector that fills it. Row security would keep `@@` away from the index, as
-- that operator is not leakproof; therefore the searches are definer functions, and tenant and
-- owner stand in their own predicates. A row of seq 0 is the title of its thread.

-- Messages of one owner that hold the words, best first, below (p_rank, p_thread, p_seq).
-- p_words are single words, p_all asks for all of them. Looks at no more than p_bound candidates
-- of each sort. Where fewer than p_enough messages hold all words, those that hold some follow;
-- which words are rare enough to be looked up by themselves, a sample of the table decides.
-- Rank: rarity of the words that are there, among the candidates, over the length of the text;
-- in whole millionths, all words before some.
CREATE FUNCTION search_messages(
    p_tenant uuid, p_owner text, p_words tsquery[], p_all tsquery, p_rank bigint, p_thread uuid,
    p_seq bigint, p_limit int, p_enough int, p_bound int)
RETURNS TABLE (thread_id uuid, seq bigint, id uuid, body text, created_at timestamptz, rank bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_indexscan = off SET jit = off
AS $$
DECLARE
    any_rare tsquery;
    n_all int;
BEGIN
    IF cardinality(p_words) > 1 THEN
        SELECT count(*) INTO n_all FROM (
            SELECT FROM public.search s
             WHERE s.tenant_id = p_tenant AND s.owner = p_owner AND s.words @@ p_all AND s.seq > 0
             LIMIT p_enough) x;
        IF n_all < p_enough THEN
            any_rare := public.rare_words(p_tenant, p_owner, p_words, p_bound);
        END IF;
    END IF;
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT s.thread_id, s.seq, s.words
          FROM (SELECT x.thread_id, x.seq, x.words FROM public.search x
                 WHERE x.tenant_id = p_tenant AND x.owner = p_owner AND x.words @@ p_all
                   AND x.seq > 0 LIMIT p_bound) s
        UNION ALL
        SELECT s.thread_id, s.seq, s.words
          FROM (SELECT x.thread_id, x.seq, x.words FROM public.search x
                 WHERE any_rare IS NOT NULL AND x.tenant_id = p_tenant AND x.owner = p_owner
                   AND x.words @@ any_rare AND NOT x.words @@ p_all AND x.seq > 0 LIMIT p_bound) s),
    held AS (
        SELECT f.thread_id, f.seq, f.words @@ p_all AS has_all, length(f.words) AS size, w.ord
          FROM found f JOIN unnest(p_words) WITH ORDINALITY AS w (word, ord) ON f.words @@ w.word),
    weights AS (
        SELECT h.ord, ln(1.5 + (SELECT count(*) FROM found)::float8 / count(*)) AS weight
          FROM held h GROUP BY h.ord),
    ranked AS (
        SELECT h.thread_id, h.seq,
               CASE WHEN h.has_all THEN 1000000000 ELSE 0 END
               + (1000000 * sum(w.weight) / (1 + ln(1 + h.size / 16.0)))::bigint AS rank
          FROM held h JOIN weights w USING (ord)
         GROUP BY h.thread_id, h.seq, h.has_all, h.size),
    best AS (
        SELECT r.* FROM ranked r
          JOIN public.heads g
            ON g.tenant_id = p_tenant AND g.thread_id = r.thread_id AND g.owner = p_owner
           AND g.state <> 'deleted'
         WHERE (r.rank, r.thread_id, r.seq) < (p_rank, p_thread, p_seq)
         ORDER BY r.rank DESC, r.thread_id DESC, r.seq DESC LIMIT p_limit)
    SELECT b.thread_id, b.seq, e.id, e.body, e.created_at, b.rank
      FROM best b
      JOIN public.entries e
        ON e.tenant_id = p_tenant AND e.thread_id = b.thread_id AND e.seq = b.seq
     ORDER BY b.rank DESC, b.thread_id DESC, b.seq DESC;
END $$;

-- The words of which an owner's messages hold few enough to be looked at, joined by OR: the
-- rarest one always, then others while about p_bound * 4 messages hold them in all. Judged by the
-- owner's rows in up to 64 pages; where the sample has none, the owner has few messages.
CREATE FUNCTION rare_words(p_tenant uuid, p_owner text, p_words tsquery[], p_bound int)
RETURNS tsquery
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    share float8 := least(100.0, 6400.0 / greatest(
        pg_relation_size('public.search') / current_setting('block_size')::int, 1));
    word tsquery;
    n float8;
    total float8 := 0;
    result tsquery;
BEGIN
    FOR word, n IN EXECUTE
        'WITH part AS MATERIALIZED (
             SELECT x.words FROM public.search x TABLESAMPLE SYSTEM ($1) REPEATABLE (0)
              WHERE x.tenant_id = $2 AND x.owner = $3)
         SELECT w.word, (SELECT count(*) FROM part p WHERE p.words @@ w.word) * 100.0 / $1
           FROM unnest($4) AS w (word) ORDER BY 2'
        USING share, p_tenant, p_owner, p_words
    LOOP
        total := total + n;
        EXIT WHEN result IS NOT NULL AND total > 4 * p_bound;
        result := CASE WHEN result IS NULL THEN word ELSE result || word END;
    END LOOP;
    RETURN result;
END $$;

-- Threads of one owner whose title or one message holds all words, from up to 20,000 matches.
CREATE FUNCTION search_threads(p_tenant uuid, p_owner text, p_all tsquery) RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_indexscan = off SET jit = off
AS $$
BEGIN
    RETURN ARRAY (
        SELECT DISTINCT x.thread_id FROM (
            SELECT s.thread_id FROM public.search s
             WHERE s.tenant_id = p_tenant AND s.owner = p_owner AND s.words @@ p_all
             LIMIT 20000) x);
END $$;

-- Hints that these threads have grown. A hint that is there already is left alone: its time is
-- the lag, and it is not waited for where the projector has locked it.
CREATE FUNCTION mark_dirty(p_tenant uuid[], p_thread uuid[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    INSERT INTO public.dirty (tenant_id, thread_id)
    SELECT DISTINCT m.tenant, m.thread FROM unnest(p_tenant, p_thread) AS m (tenant, thread)
     ORDER BY 1, 2
    ON CONFLICT (tenant_id, thread_id) DO NOTHING
$$;

-- Hints for what the projector has not seen although nobody said so, because a process died
-- before it could. Looks at p_limit heads after (p_tenant, p_thread); returns the last one.
CREATE FUNCTION sweep_heads(p_tenant uuid, p_thread uuid, p_limit int)
RETURNS TABLE (tenant_id uuid, thread_id uuid, looked bigint, marked bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    WITH part AS MATERIALIZED (
        SELECT h.tenant_id, h.thread_id, h.last_seq FROM public.heads h
         WHERE (h.tenant_id, h.thread_id) > (p_tenant, p_thread)
         ORDER BY h.tenant_id, h.thread_id LIMIT p_limit),
    behind AS (
        INSERT INTO public.dirty (tenant_id, thread_id)
        SELECT p.tenant_id, p.thread_id FROM part p
          JOIN public.threads t ON t.tenant_id = p.tenant_id AND t.id = p.thread_id
         WHERE t.last_seq_seen < p.last_seq
        ON CONFLICT (tenant_id, thread_id) DO NOTHING RETURNING 1)
    SELECT e.tenant_id, e.thread_id, (SELECT count(*) FROM part), (SELECT count(*) FROM behind)
      INTO tenant_id, thread_id, looked, marked
      FROM part e ORDER BY e.tenant_id DESC, e.thread_id DESC LIMIT 1;
    IF FOUND THEN RETURN NEXT; END IF;
END $$;

-- Locks up to p_threads hints that nobody else works on, the oldest first, and returns what their
-- threads have grown by: about p_entries entries in all, of one thread no more than p_bytes. A
-- thread that has nothing new is one row with a null seq; what does not fit waits for the next
-- call. Bodies only of what the projector reads.
CREATE FUNCTION take_dirty(p_threads int, p_entries int, p_bytes bigint)
RETURNS TABLE (tenant_id uuid, thread_id uuid, owner text, lag float8, seq bigint, id uuid,
               kind text, body text, created_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    hint record;
    room bigint := p_entries;
    got bigint;
BEGIN
    FOR hint IN
        SELECT d.tenant_id, d.thread_id, t.owner AS owner, t.last_seq_seen,
               extract(epoch FROM clock_timestamp() - d.marked_at)::float8 AS lag
          FROM public.dirty d
          LEFT JOIN public.threads t ON t.tenant_id = d.tenant_id AND t.id = d.thread_id
         ORDER BY d.marked_at LIMIT p_threads FOR UPDATE OF d SKIP LOCKED
    LOOP
        RETURN QUERY
        SELECT hint.tenant_id, hint.thread_id, hint.owner, hint.lag, e.seq, e.id, e.kind,
               CASE WHEN e.kind IN ('message', 'thread_created', 'thread_updated',
                                    'run_rolled_back') THEN e.body END,
               e.created_at
          FROM (SELECT x.*, row_number() OVER so_far AS n,
                       sum(octet_length(x.body) + 300) OVER so_far AS size
                  FROM (SELECT y.* FROM public.entries y
                         WHERE y.tenant_id = hint.tenant_id AND y.thread_id = hint.thread_id
                           AND y.seq > hint.last_seq_seen
                         ORDER BY y.tenant_id, y.thread_id, y.seq LIMIT room) x
                WINDOW so_far AS (ORDER BY x.seq ROWS UNBOUNDED PRECEDING)) e
         WHERE e.n = 1 OR e.size <= p_bytes
         ORDER BY e.seq;
        GET DIAGNOSTICS got = ROW_COUNT;
        IF got = 0 THEN
            RETURN QUERY SELECT hint.tenant_id, hint.thread_id, hint.owner, hint.lag,
                                NULL::bigint, NULL::uuid, NULL::text, NULL::text, NULL::timestamptz;
        END IF;
        room := room - got;
        EXIT WHEN room <= 0;
    END LOOP;
END $$;

-- Writes what take_dirty's entries mean, in the same transaction: rows of search (arrays s_…; a
-- row of seq 0 replaces the title), runs that were rolled back (r_…), and per thread (t_…) what
-- was seen and when it was last active. A hint goes only when its thread has nothing newer.
CREATE FUNCTION project(
    t_tenant uuid[], t_thread uuid[], t_seq bigint[], t_active timestamptz[],
    s_tenant uuid[], s_thread uuid[], s_seq bigint[], s_owner text[], s_words text[],
    r_tenant uuid[], r_thread uuid[], r_run uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    INSERT INTO public.search AS o (tenant_id, thread_id, seq, owner, words)
    SELECT n.tenant, n.thread, n.seq, n.owner, n.words::tsvector
      FROM unnest(s_tenant, s_thread, s_seq, s_owner, s_words)
           AS n (tenant, thread, seq, owner, words)
    ON CONFLICT (tenant_id, thread_id, seq) DO UPDATE
       SET words = excluded.words WHERE o.seq = 0;
    IF cardinality(r_run) > 0 THEN
        DELETE FROM public.search s
         USING unnest(r_tenant, r_thread, r_run) AS r (tenant, thread, run)
          JOIN public.entries e
            ON e.tenant_id = r.tenant AND e.thread_id = r.thread AND e.run_id = r.run
         WHERE s.tenant_id = e.tenant_id AND s.thread_id = e.thread_id AND s.seq = e.seq;
    END IF;
    -- In the order in which appends lock them.
    PERFORM FROM public.threads t
      JOIN unnest(t_tenant, t_thread) AS n (tenant, thread)
        ON t.tenant_id = n.tenant AND t.id = n.thread
     ORDER BY t.tenant_id, t.id FOR NO KEY UPDATE OF t;
    UPDATE public.threads t
       SET last_seq_seen = greatest(t.last_seq_seen, n.seq),
           last_activity_at = greatest(t.last_activity_at, n.active),
           changed_at = clock_timestamp()
      FROM unnest(t_tenant, t_thread, t_seq, t_active) AS n (tenant, thread, seq, active)
     WHERE t.tenant_id = n.tenant AND t.id = n.thread AND n.seq IS NOT NULL;
    DELETE FROM public.dirty d
     USING unnest(t_tenant, t_thread) AS n (tenant, thread)
     WHERE d.tenant_id = n.tenant AND d.thread_id = n.thread
       AND NOT EXISTS (SELECT FROM public.heads h
                         JOIN public.threads t ON t.tenant_id = h.tenant_id AND t.id = h.thread_id
                        WHERE h.tenant_id = n.tenant AND h.thread_id = n.thread
                          AND h.last_seq > t.last_seq_seen);
    UPDATE public.dirty d SET marked_at = clock_timestamp()
      FROM unnest(t_tenant, t_thread) AS n (tenant, thread)
     WHERE d.tenant_id = n.tenant AND d.thread_id = n.thread;
END $$;
