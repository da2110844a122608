"""From options to a recorded run: plan, keys, cache, execution."""
