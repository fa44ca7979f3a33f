"""Use cases: one public method is one use case and one transaction.

What one user does with his threads: `threads`, `messages`, `search`, on the `journal` that writes
to a thread, and the `projector` that keeps what is derived from it. In packages of their own:
`delivery` to subscribers, `runs` of agents, `access` of callers, and what `tenants` configure.
Beside them: `rates`, `audit` and `audit_log`, `probes`, `windows` for lists; `catalog` names all.
"""
