"""Datasets of users: their types, and the loaders that read them.

    from lampbench.data import DataOptions, load
    dataset = load(task, "lamp:LaMP_4", DataOptions(users=20))

The loaders are imported when `load` is called, so that importing this package stays cheap.
"""

from typing import TYPE_CHECKING

from lampbench.core.dataset import Dataset
from lampbench.data.options import DataOptions

if TYPE_CHECKING:
    from lampbench.core.task import Task

__all__ = ["DataOptions", "load"]


def load(task: "Task", data: str, options: DataOptions) -> Dataset:
    """Read a task's users from `bundled`, `KIND:PATH` or a path whose kind is recognised.

    Args:
        task: what is asked; its `files` and `hub` say how published files look.
        data: `bundled`, `lamp:DIR`, `oppu:DIR`, `longlamp[:DIR_OR_REPOSITORY]`, `lampbench:DIR`,
            or a folder of one of these kinds.
        options: how users are chosen.

    Raises:
        LampbenchError: the data is missing, malformed or another task's; the message names the
            file, the record and the mend.
    """
    from lampbench.data.sources import load_source

    return load_source(task, data, options)
