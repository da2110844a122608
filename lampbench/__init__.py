"""lampbench: an evaluation harness for personalized text generation.

Plugin authors import from `lampbench.plugin`; everything else is the harness.
"""

from pathlib import Path

from lampbench.util.version import VERSION as __version__

__all__ = ["__version__"]

# In a checkout `methods/` and `tasks/` stand beside this package; an installed wheel maps them
# to `lampbench.methods` and `lampbench.tasks` itself (see pyproject.toml).
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "methods").is_dir():
    __path__.append(str(_root))
