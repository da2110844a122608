"""lampbench: an evaluation harness for personalized text generation.

    import lampbench

    run = lampbench.run("cope", "news_headline", users=8)
    run.scores["rougeL"], run.frame()
    lampbench.runs()
    lampbench.table("main")

Plugin authors import from `lampbench.plugin`. Importing this package loads no torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lampbench.util.version import VERSION as __version__

if TYPE_CHECKING:
    from lampbench.api import (
        RunSettings,
        compare,
        diagnose,
        leaderboard,
        plan,
        reproduce,
        run,
        run_all,
        runs,
        sweep,
        table,
    )

__all__ = [
    "RunSettings",
    "__version__",
    "compare",
    "diagnose",
    "leaderboard",
    "plan",
    "reproduce",
    "run",
    "run_all",
    "runs",
    "sweep",
    "table",
]

# In a checkout `methods/` and `tasks/` stand beside this package; an installed wheel maps them
# to `lampbench.methods` and `lampbench.tasks` itself (see pyproject.toml).
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "methods").is_dir():
    __path__.append(str(_root))


def __getattr__(name: str) -> Any:
    """The functions of `lampbench.api`, imported when first used: `import lampbench` is quick."""
    if name in __all__:
        from lampbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'lampbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
