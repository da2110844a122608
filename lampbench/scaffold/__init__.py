"""Files to begin a plugin with, made from templates."""
