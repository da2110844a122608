"""Datasets of users: their types, and the loaders that read them."""
