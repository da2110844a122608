"""The reference engine: one user, one query, one token at a time. Slow; for checking."""
