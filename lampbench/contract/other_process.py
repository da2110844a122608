"""Trials in another process, in which hashes, and so the order of sets, are other ones."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lampbench.contract.subject import Subject, find_subject
from lampbench.contract.trial import Answers, echo_trial
from lampbench.contract.trial_answers import trial_values
from lampbench.contract.trial_data import TrialTask, trial_dataset
from lampbench.core.task import Task
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError

_HASH_SEED = "4151"


class OtherProcess:
    """A Python process that carries out echo trials; started when first asked, ended by `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any]) -> Any:
        """The answer to a question of this module's `_reply`.

        Raises:
            LampbenchError: the trial failed there, or the process ended.
        """
        process = self._started()
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise LampbenchError("the process that repeats trials ended; run the check again")
        reply = json.loads(line)
        if "error" in reply:
            raise LampbenchError(reply["error"])
        return reply["found"]

    def answers(self, subject: Subject, task: str | None, model: Path) -> Answers:
        """The answers of an echo trial of a method or part that was found by name."""
        found = self.ask({
            "kind": subject.kind, "name": subject.name, "plugins": subject.plugins, "task": task,
            "model": str(model),
        })  # fmt: skip
        return {(user, query): text for user, query, text in found}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait(timeout=30)
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            path = os.pathsep.join(filter(None, sys.path))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lampbench.contract.other_process"],
                env={**os.environ, "PYTHONHASHSEED": _HASH_SEED, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process


def trial_task(name: str | None, plugins: tuple[str, ...]) -> Task:
    """The task of that name, or the one made up for trials."""
    return Registry([Path(path) for path in plugins]).task(name) if name else TrialTask()


def _reply(asked: dict[str, Any]) -> Any:
    plugins = tuple(asked["plugins"])
    subject = find_subject(asked["kind"], asked["name"], plugins)
    if subject.kind == "metric":
        return trial_values(subject.found())
    task = trial_task(asked["task"], plugins)
    method = subject.method()
    data = trial_dataset(task, min_history=method.min_history)
    outcome = echo_trial(method, task, data, asked["model"])
    return [[user, query, text] for (user, query), text in sorted(outcome.answers.items())]


def _main() -> None:
    """Answer questions, one JSON document a line, until there are no more."""
    channel, sys.stdout = sys.stdout, sys.stderr  # a plugin may print
    for line in sys.stdin:
        try:
            reply = {"found": _reply(json.loads(line))}
        except Exception as error:  # whatever a plugin raises is told to the process that asked
            reply = {"error": f"{type(error).__name__}: {error}"}
        channel.write(json.dumps(reply) + "\n")
        channel.flush()


if __name__ == "__main__":
    _main()
