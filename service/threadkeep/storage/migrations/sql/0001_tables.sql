-- Tables of the first release. tenant_id leads every key; owner is opaque text given by the caller.

CREATE TABLE installation (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    salt bigint NOT NULL,
    system_identifier bigint,
    timeline integer,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);

CREATE TABLE policies (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    tier text NOT NULL DEFAULT 'free',
    limits jsonb NOT NULL DEFAULT '{}',
    retention jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_keys_id ON api_keys (id);

CREATE TABLE token_issuers (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    issuer text NOT NULL,
    key_id text NOT NULL,
    algorithm text NOT NULL CHECK (algorithm IN ('HS256', 'RS256', 'ES256')),
    audience text NOT NULL,
    jwks_url text,
    public_key text,
    sealed_secret bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX token_issuers_key ON token_issuers (issuer, key_id) WHERE revoked_at IS NULL;

CREATE TABLE revoked_users (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    owner text NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, owner)
);

CREATE TABLE agents (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    kind text NOT NULL CHECK (kind IN ('librarian', 'scripted', 'openai', 'worker')),
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX agents_name ON agents (tenant_id, name);

CREATE TABLE threads (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    owner text NOT NULL CHECK (length(owner) BETWEEN 1 AND 255),
    external_id text CHECK (length(external_id) BETWEEN 1 AND 255),
    title text,
    metadata jsonb NOT NULL DEFAULT '{}',
    version bigint NOT NULL DEFAULT 1,
    former_state text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    last_seq_seen bigint NOT NULL DEFAULT 0,
    last_activity_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX threads_external ON threads (tenant_id, owner, external_id);
CREATE INDEX threads_activity ON threads (tenant_id, owner, last_activity_at, id);
-- Without the tenant: the audit of refusals asks whose thread a foreign id names.
CREATE INDEX threads_id ON threads (id);
CREATE INDEX threads_changed ON threads (tenant_id, owner, changed_at);

-- The one row that every write to a thread locks. Fill factor 40 keeps its updates in the page.
CREATE TABLE heads (
    tenant_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    owner text NOT NULL,
    state text NOT NULL DEFAULT 'active'
        CHECK (state IN ('active', 'paused', 'completed', 'archived', 'deleted')),
    last_seq bigint NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL,
    salt bigint NOT NULL,
    hold boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, thread_id)
) WITH (fillfactor = 40);

CREATE TABLE entries (
    tenant_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    occurred_at timestamptz,
    run_id uuid,
    idem_count integer,
    owner text NOT NULL,
    kind text NOT NULL,
    body text NOT NULL,
    idem bytea,
    digest bytea,
    PRIMARY KEY (tenant_id, thread_id, seq)
);
CREATE UNIQUE INDEX entries_idem ON entries (tenant_id, thread_id, idem) WHERE idem IS NOT NULL;

CREATE TABLE runs (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    thread_id uuid NOT NULL,
    owner text NOT NULL,
    agent_id uuid NOT NULL,
    agent text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'requires_action', 'recovering',
                                           'completed', 'failed', 'cancelled', 'interrupted')),
    attempt integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    worker text,
    cancel_requested boolean NOT NULL DEFAULT false,
    concurrent boolean NOT NULL DEFAULT false,
    settings jsonb NOT NULL DEFAULT '{}',
    input jsonb NOT NULL DEFAULT '{}',
    asked_seq bigint NOT NULL DEFAULT 0,
    message_id uuid,
    message_seq bigint,
    started boolean NOT NULL DEFAULT false,
    open_calls jsonb NOT NULL DEFAULT '{}',
    reason text,
    usage jsonb,
    error text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX runs_id ON runs (id);
CREATE INDEX runs_thread ON runs (tenant_id, thread_id, id);
CREATE INDEX runs_open ON runs (tenant_id, thread_id)
    WHERE status IN ('queued', 'running', 'requires_action', 'recovering');
CREATE INDEX runs_waiting ON runs (created_at) WHERE status IN ('queued', 'recovering');
CREATE INDEX runs_leased ON runs (lease_until) WHERE status = 'running';

CREATE TABLE partials (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    message_id uuid NOT NULL,
    "offset" bigint NOT NULL,
    thread_id uuid NOT NULL,
    owner text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, message_id, "offset")
);
CREATE INDEX partials_thread ON partials (tenant_id, thread_id);

CREATE TABLE dirty (
    tenant_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, thread_id)
);

-- Read model of messages for search, rebuilt from entries by the projector: which words stand
-- where. What a message says, and who says it, stays in its entry alone.
CREATE TABLE search (
    tenant_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    seq bigint NOT NULL,
    owner text NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (tenant_id, thread_id, seq)
);
-- Words begin with a mark of their owner, so that nobody's search reads what others wrote.
CREATE INDEX search_words ON search USING gin (words);

CREATE TABLE tickets (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    hash bytea NOT NULL,
    owner text NOT NULL,
    origin text,
    actor text NOT NULL,
    scopes text[] NOT NULL,
    key_id uuid,
    issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_expires_at timestamptz,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, hash)
);
CREATE INDEX tickets_hash ON tickets (hash);
CREATE INDEX tickets_expiry ON tickets (expires_at);

CREATE TABLE audit (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    owner text,
    action text NOT NULL,
    target text,
    count bigint NOT NULL DEFAULT 1,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE read_markers (
    tenant_id uuid NOT NULL,
    owner text NOT NULL,
    thread_id uuid NOT NULL,
    seq bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, owner, thread_id)
);

CREATE TABLE heartbeat (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
