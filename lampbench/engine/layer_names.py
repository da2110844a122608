"""The names of a model's linear layers, on which adapters are."""

from collections.abc import Collection, Iterable

from lampbench.util.errors import LampbenchError


def require_layers(model: str, targets: Iterable[str], layers: Collection[str]) -> None:
    """Make sure that a model's linear layers include those that an adapter is to be on.

    Raises:
        LampbenchError: one is not among them.
    """
    if missing := sorted(set(targets) - set(layers)):
        raise LampbenchError(
            f"model {model} has no linear layers called {missing[0]}; it has "
            f"{', '.join(sorted(layers))}"
        )
