"""Datasets of users: the loaders, the choice of test users, and the search for leaks.

    from lampbench.data import DataOptions, load_dataset
    dataset = load_dataset(task, "lamp:LaMP_4", DataOptions(users=20))

The loaders are imported when `load_dataset` is called, so importing this package is cheap.
"""

from typing import TYPE_CHECKING

from lampbench.core.dataset import Dataset
from lampbench.data.options import DataOptions

if TYPE_CHECKING:
    from lampbench.core.task import Task

__all__ = ["DataOptions", "load_dataset"]


def load_dataset(task: "Task", data: str, options: DataOptions) -> Dataset:
    """Read a task's users from a source and choose the test users.

    Args:
        task: its `files` and `hub` describe the published files.
        data: `bundled`, `lamp:DIR`, `oppu:DIR`, `longlamp[:DIR_OR_REPOSITORY]`, `lampbench:DIR`,
            or a folder of one of these kinds, which is recognised by its files.
        options: which users are tested and which published splits are read.

    Raises:
        NoDataForTask: the source has nothing of this task.
        LampbenchError: the data is missing, malformed or belongs to another task; the message
            names the file and the record and says how to fix it.
    """
    from lampbench.data.sources import load_source

    return load_source(task, data, options)
