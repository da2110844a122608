"""How the decorators of `lampbench.plugin` mark a class, so that the registry knows it again."""

MARK = "__lampbench_plugin__"


def mark(kind: type, what: str, name: str) -> None:
    """Make a class the plugin called `name`; `what` is method, task or metric."""
    kind.name = name  # type: ignore[attr-defined]
    setattr(kind, MARK, (what, name))
