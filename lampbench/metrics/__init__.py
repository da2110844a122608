"""The built-in metrics, one file per metric or family. Plugins: reached through the registry."""
