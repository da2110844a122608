"""lampbench: an evaluation harness for personalized text generation.

    import lampbench

    run = lampbench.run("cope", "news_headline", users=8)
    run.manifest.mean("rougeL"), run.frame()
    lampbench.runs()
    lampbench.table("main")

Plugin authors import from `lampbench.plugin`. Importing this package loads no torch.
"""

# Nothing but what the interpreter has imported already: until this package is imported, no command
# can catch Ctrl-C. `typing` alone would take longer than all of it; `__future__` is a file, too.
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
        show_prompt,
        sweep,
        table,
    )
    from lampbench.util.errors import LampbenchError
    from lampbench.util.version import VERSION as __version__

__all__ = [
    "LampbenchError",
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
    "show_prompt",
    "sweep",
    "table",
]

# In a checkout `methods/` and `tasks/` stand beside this package; an installed wheel maps them
# to `lampbench.methods` and `lampbench.tasks` itself (see pyproject.toml).
_root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
if os.path.isfile(f"{_root}/pyproject.toml") and os.path.isdir(f"{_root}/methods"):  # noqa: PTH112, PTH113
    __path__.append(_root)


def __getattr__(name: str) -> "Any":
    """The functions of `lampbench.api`, imported when first used: `import lampbench` is quick."""
    if name == "__version__":
        from lampbench.util.version import VERSION

        return VERSION
    if name == "LampbenchError":
        from lampbench.util.errors import LampbenchError

        return LampbenchError
    if name in __all__:
        from lampbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'lampbench' has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
