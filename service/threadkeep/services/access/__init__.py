"""Access: who is calling, and whether what he showed still holds.

To be read in this order: `credentials`, where keys, tokens, tickets and the platform key become
principals; `tokens`, the JWTs of users; `key_sets`, the public keys of their issuers; `sealing`,
secrets that are kept encrypted; `recent`, answers that hold for a second; and `watches`, which
closes sockets whose credential has ended. What a tenant configures of it is in `tenants`.
"""
