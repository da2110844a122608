"""Fields that a part was given after runs had been recorded with it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from lampbench.plugin.hyperparameter import Part, child_parts

_ADDED = "added"


def added(default: Any) -> Any:
    """Declare a field that has no place in keys while it is `default`.

    So a part may be given a new choice and keep the keys of the runs that never had it. A default
    that is a part must have no hyper-parameters.
    """
    return dataclasses.field(default=default, metadata={_ADDED: True})


def keyed_parts(part: Part) -> Iterator[tuple[str, Part]]:
    """As `child_parts`, without the added fields that have their default."""
    unchanged = unchanged_fields(part)
    yield from ((name, child) for name, child in child_parts(part) if name not in unchanged)


def unchanged_fields(part: Part) -> set[str]:
    """The names of a part's added fields that have their default."""
    return {
        field.name
        for field in dataclasses.fields(part)  # type: ignore[arg-type]
        if field.metadata.get(_ADDED) and getattr(part, field.name) == field.default
    }
