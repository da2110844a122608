"""Processes that carry out shards for one driver: on this machine, or on a Ray cluster."""
