"""What a driver asks of its workers, and how it deals with those that end badly."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.util.progress import Progress

SHARD_OF_WORKER = "LAMPBENCH_SHARD_OF_WORKER"
"""The environment variable that tells a command that it is a worker, and its shard."""
RETRIES = 2
"""How often a shard is begun again whose worker died."""

Event = Mapping[str, Any]
"""What a worker reports: a JSON object. `kind` is start, update, finish, say or ending."""
Emit = Callable[[Event], None]
Work = Callable[[list[str], Shard, Emit], "Ending"]
"""Runs a command, given by its arguments, for one shard."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker's command ended: its exit code, and the error in one line."""

    code: int
    error: str = ""


class Crew(Protocol):
    """Carries out a command as several shards."""

    def carry_out(self, progress: Progress) -> list[str]:
        """Let workers do every shard; shows their progress as one.

        Returns:
            One line for each shard that failed.

        Raises:
            LampbenchError: no worker can be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Processes:
    """Which processes work on plans.

    `shard` is the part of the users that this one works on. A `worker` stores its answers, and its
    driver records the runs. With a `crew`, this process is a driver.
    """

    shard: Shard = ALL_USERS
    worker: bool = False
    crew: Crew | None = None


def death(code: int) -> str:
    """What to say of a process that ended with this code and without a word."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
