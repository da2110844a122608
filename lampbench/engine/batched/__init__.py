"""The batched engine: many users in every forward pass."""
