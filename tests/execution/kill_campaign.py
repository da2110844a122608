"""Kill commands at every change of the file system, give the next command, and compare.

    python -m tests.execution.kill_campaign --output docs/kills.json

Each trial prepares a folder, and gives a command there once to its end. Then it gives the command
in a fresh copy of the folder, in a process that dies just before the first change, in another just
before the second, and so on; what follows in the same copy must end with exit code 0 and leave the
files of the undisturbed command: the same names, and the same bytes of answers, scores, queries and
histories. The model is tiny and the data are made up, but the engine is the real one, which leaves
a checkpoint after every training step (`--fake`: an engine that computes nothing).
"""

import argparse
import contextlib
import gzip
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lampbench.cli.main import main as lampbench
from lampbench.contract.tiny_model import save_tiny_model
from lampbench.contract.trial_data import trial_dataset
from lampbench.data.write_dataset import write_dataset
from lampbench.engine.pool import EnginePool
from lampbench.registry import Registry
from tests.record.kills import changes_of, killed_at
from tests.shared.fake_runs import RecordingEngine

TASK = "news_headline"
AGE = 7200.0
"""Seconds that pass, for the files, between a kill and the next command."""

Command = tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """A command to be killed, what is there before, and what is given afterwards.

    Afterwards the command is given again, unless `after` says otherwise.
    """

    command: Command
    before: tuple[Command, ...] = ()
    after: tuple[Command, ...] = ()


def _run(method: str, *more: str) -> Command:
    return ("run", "--method", method, "--task", TASK, "--data", "lampbench:data", "--model",
            "tiny", "--dtype", "float32", "--device", "cpu", *more)  # fmt: skip


IMPORT: Command = ("import", "predictions", "answers.json", "--method", "theirs", "--task", TASK,
                   "--model", "tiny", "--data", "lampbench:data")  # fmt: skip
GONE = "bob"
FORGET: Command = ("forget", GONE)
METRIC = """
from lampbench.plugin import Metric, register_metric

@register_metric("letters")
class Letters(Metric):
    \"\"\"Letters of the answer.\"\"\"

    title = "Letters"
    better = "neither"
    high = None

    def score(self, answer):
        return len(answer.text)
"""
GC: Command = ("cache", "gc", "--older-than", "0", "--yes")
OTHER = _run("oppu", "--set", "user_sft.rank=2", "--results", "other")

TRIALS = {
    "run": Trial(_run("cope")),
    "run with profiles": Trial(_run("pag", "--force")),
    "run --force": Trial(_run("oppu", "--force"), (_run("oppu"),)),
    "run --private over texts": Trial(_run("base", "--private", "--force"), (_run("base"),)),
    "score": Trial(("score", "--metric", "letters", "--plugins", "letters.py"), (_run("base"),)),
    "import": Trial(IMPORT),
    "forget": Trial(FORGET, (_run("cope"), _run("base"))),
    "forget after a killed run": Trial(_run("oppu"), (), (FORGET,)),
    "cache gc": Trial(GC, (_run("oppu"), OTHER)),
    "leaderboard": Trial(("leaderboard",), (_run("base"),)),
}


@dataclass
class Outcome:
    """How many changes a command made, at how many it was killed, and what was wrong."""

    changes: int
    kills: int
    findings: list[str]


def attack(trial: Trial, place: Path, points: int, *, fake: bool) -> Outcome:
    """Kill a trial's command at evenly spaced changes, the last among them, and compare.

    Args:
        trial: what is given.
        place: an empty folder.
        points: how many kills; 0: one at each change.
        fake: whether the engine computes nothing.
    """
    prepared, whole = place / "prepared", place / "whole"
    prepare(prepared)
    for command in trial.before:
        give(prepared, command, fake=fake)
    import_what_is_used(prepared, trial.command, fake=fake)
    after = trial.after or (trial.command,)
    shutil.copytree(prepared, whole)
    changes = changes_of(lambda: call(whole, trial.command, fake=fake))
    for command in trial.after:
        give(whole, command, fake=fake)
    expected = left_in(whole)
    print(f"{' '.join(trial.command[:3])}: {changes} changes", file=sys.stderr, flush=True)
    outcome = Outcome(changes, 0, [])
    count = min(points, changes) if points else changes
    for step in sorted({changes - 1 - index * changes // count for index in range(count)}):
        here = place / "killed"
        shutil.copytree(prepared, here)
        outcome.kills += killed_at(partial(call, here, trial.command, fake=fake), step)
        age(here)
        try:
            for command in after:
                give(here, command, fake=fake)
            # after another command, how far the killed one came decides what else is there
            found = traces(here, GONE) if trial.after else differences(left_in(here), expected)
        except AssertionError as error:
            found = [str(error)]
        outcome.findings += [f"change {step}: {one}" for one in found]
        shutil.rmtree(here)
    return outcome


def prepare(folder: Path) -> None:
    """Data, a model, a metric and a file of predictions."""
    task = Registry().task(TASK)
    data = trial_dataset(task)
    write_dataset(data, folder / "data")
    save_tiny_model(folder / "tiny")
    (folder / "letters.py").write_text(METRIC)
    golds = [{"id": query.id, "output": f"answer to {query.id}"}
             for user in data.test_users for query in user.queries]  # fmt: skip
    (folder / "answers.json").write_text(json.dumps({"task": "LaMP_4", "golds": golds}))


def call(folder: Path, command: Command, *, fake: bool) -> None:
    """Give a command in this process, which then has another folder and says nothing any more.

    Raises:
        AssertionError: it did not end with exit code 0.
    """
    os.chdir(folder)
    if fake:
        EnginePool._load = _recording_engine  # type: ignore[method-assign, assignment]
    else:
        from lampbench.engine.batched.engine import BatchedEngine

        defaults = BatchedEngine.__init__.__kwdefaults__
        assert defaults is not None
        defaults["checkpoint_seconds"] = 0.0
    sys.argv = ["lampbench", *command]
    said = Path("said").open("a", encoding="utf-8")  # noqa: SIM115 (the process ends)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            lampbench(list(command))
        except SystemExit as ended:
            assert ended.code == 0, f"ended with {ended.code}"
        finally:
            said.flush()


def _recording_engine(pool: EnginePool, engine: str, model: str) -> RecordingEngine:
    return RecordingEngine()


def give(folder: Path, command: Command, *, fake: bool) -> None:
    """Give a command in a process of its own, to its end.

    Raises:
        AssertionError: it did not end with exit code 0.
    """
    try:
        changes_of(lambda: call(folder, command, fake=fake))
    except AssertionError:
        last = (folder / "said").read_text(encoding="utf-8").splitlines()[-1]
        if not last.endswith("nothing is left to do"):  # as an import says of a recorded run
            raise AssertionError(f"{' '.join(command[:2])} failed: {last}") from None


def import_what_is_used(folder: Path, command: Command, *, fake: bool) -> None:
    """Import here what a command imports, so that no process after this one has to."""
    trial = folder.with_name("imports")
    shutil.copytree(folder, trial)

    def noted() -> None:
        call(trial, command, fake=fake)
        Path("modules").write_text("\n".join(sys.modules), encoding="utf-8")

    try:
        changes_of(noted)
    except AssertionError:
        raise AssertionError((trial / "said").read_text(encoding="utf-8")) from None
    for name in (trial / "modules").read_text(encoding="utf-8").split():
        if name.startswith(("lampbench.", "torch", "transformers", "rouge_score", "nltk", "scipy")):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    shutil.rmtree(trial)


def age(folder: Path) -> None:
    """Make all files look as if the kill was a while ago."""
    then = time.time() - AGE
    for file in folder.rglob("*"):
        os.utime(file, (then, then), follow_symlinks=False)


def left_in(folder: Path) -> dict[str, bytes]:
    """The files of results, cache and pages, with the bytes of those that must be the same."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        used = name.parts[0] in ("results", ".lampbench") or name.name == "leaderboard.md"
        if file.is_file() and used and not {"locks", ".locks"} & set(name.parts):
            found[str(name)] = file.read_bytes() if file.suffix == ".gz" else b""
    return found


def differences(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """What is missing, left over or changed."""
    changed = [name for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    return [
        *(f"{name} is missing" for name in sorted(wanted.keys() - found.keys())),
        *(f"{name} is left over" for name in sorted(found.keys() - wanted.keys())),
        *(f"{name} differs" for name in sorted(changed)),
    ]


def traces(folder: Path, user: str) -> list[str]:
    """The files of results and cache in which a user's id or texts are."""
    words = [f'"{user}"'.encode(), f"{user}-".encode()]
    found = []
    for name, content in left_in(folder).items():
        file = folder / name
        data = gzip.decompress(content) if file.suffix == ".gz" else file.read_bytes()
        if any(word in data for word in words):
            found.append(f"{name} holds user {user}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Attack every command, and print or write what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", choices=[*TRIALS], action="append", help="only these")
    parser.add_argument("--points", type=int, default=0, help="kills per command; 0: all")
    parser.add_argument("--fake", action="store_true")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    for name in given.trial or TRIALS:
        with tempfile.TemporaryDirectory() as place:
            outcome = attack(TRIALS[name], Path(place), given.points, fake=given.fake)
        found[name] = {"changes": outcome.changes, "kills": outcome.kills,
                       "findings": outcome.findings}  # fmt: skip
        print(name, json.dumps(found[name], indent=1), flush=True)
        if given.output:
            given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
