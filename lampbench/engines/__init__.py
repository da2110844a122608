"""The built-in engines, one file each: what an engine is and how it is opened.

Plugins: reached through the registry alone. What they open is in `lampbench.engine`.
"""
