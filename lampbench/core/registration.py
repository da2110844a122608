"""How the decorators of `lampbench.plugin` mark a class for the registry."""

MARK = "__lampbench_plugin__"


def mark(kind: type, what: str, name: str) -> None:
    """Register a class as the plugin `name`; `what` is method, task, metric or engine."""
    kind.name = name  # type: ignore[attr-defined]
    setattr(kind, MARK, (what, name))
