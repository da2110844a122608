"""The nouns that every room shares: records, users, datasets, tasks, prompts."""
