"""Helpers without a subject of their own: errors, hashing, atomic writes, progress, machine."""
