"""Peak memory of `run --method base` for more and more users, with an engine that computes nothing.

    python -m benchmarks.many_users --users 5000 20000 80000
    python -m benchmarks.many_users --users 6000 100000 --read leaderboard compare
    python -m benchmarks.many_users --users 200000 --records 25 --characters 400

Every user has a few past records and one query, and is answered at once: what is measured is the
harness, which reads, asks, journals, scores and records. `--read` measures commands that read the
recorded run, too, beside a copy of it under another method's name. Each command is a process of
its own. Seconds are those of the processor, of the process and those that it starts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TASK = "news_headline"
READ = ("again", "list", "leaderboard", "compare", "export", "submit", "verify", "score")
"""Commands that read a recorded run; `again` is the same run, and verify needs submit."""
ENGINE = '''
from lampbench.plugin import Completion, EnginePlugin, register_engine
from lampbench.plugin import EVERYTHING


@register_engine("constant")
class Constant(EnginePlugin):
    """Computes nothing."""

    summary = "the same answer to everything"
    capabilities = EVERYTHING
    batch_invariant = True

    def open(self, setup):
        return self

    def generate(self, requests):
        for request in requests:
            yield Completion(request.id, 0, "a headline", (1, 2, 3), 7, (0, 5), 0, False)
'''
_CHILD = """
import resource, sys
from lampbench.cli.main import main
code = 1
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code or 0
own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
seconds = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
print("PEAK", own.ru_maxrss * 1024, round(seconds, 1))
sys.exit(code)
"""


_OTHER = """
import sys
from dataclasses import replace
from pathlib import Path
from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
root = Path(sys.argv[1])
((run,), _) = load_runs(root)
other = replace(run.manifest, method="rag", method_title="rag", key="0" * 16)
write_run(root, other, run.predictions, run.scores)
print(run.manifest.key)
"""


def write_users(folder: Path, users: int, records: int = 1, characters: int = 0) -> None:
    """A dataset of users with one query and so many past records, and one training user.

    Texts are a few words, with letters behind them until a record's target has `characters`.
    """
    place = folder / TASK
    place.mkdir(parents=True)
    head = {"task": TASK, "source": "made", "licence": "-", "attribution": "-", "description": "-",
            "synthetic": True}  # fmt: skip
    (place / "dataset.json").write_text(json.dumps(head), encoding="utf-8")
    for name, count in (("test", users), ("train", 1)):
        with (place / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
            for number in range(count):
                user = _user(f"{name}{number}", records, characters)
                stream.write(json.dumps(user) + "\n")


def _user(name: str, records: int, characters: int) -> dict[str, object]:
    def item(of: str) -> dict[str, object]:
        return {"id": f"{name}-{of}", "fields": {"text": f"what {name} wrote of {of}"},
                "target": f"{of} by {name}".ljust(characters, "a")}  # fmt: skip

    past = ["past", *(f"past{number}" for number in range(1, records))]
    return {"id": name, "history": [item(of) for of in past], "queries": [item("news")]}


def measured(
    folder: Path, users: int, records: int, characters: int, read: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Peak bytes of memory and seconds of the processor of `run` and the commands to `read`."""
    write_users(folder / "data", users, records, characters)
    (folder / "constant.py").write_text(ENGINE, encoding="utf-8")
    data, results = f"lampbench:{folder / 'data'}", str(folder / "results")
    run = ["run", "--method", "base", "--task", TASK, "--data", data, "--engine", "constant",
           "--plugins", str(folder / "constant.py"), "--cache-dir", str(folder / "cache"),
           "--results", results]  # fmt: skip
    yield {"users": users, **_measured("run", run, folder)}
    recorded = [file for file in (folder / "results").rglob("*.gz") if file.is_file()]
    yield {"files": len(recorded), "bytes": sum(file.stat().st_size for file in recorded)}
    if read:
        key = _process([sys.executable, "-c", _OTHER, results], folder).split()[-1]
        for name, command in _commands(folder, key, run, data, results).items():
            if name in read:
                yield {"users": users, **_measured(name, command, folder)}


def _commands(
    folder: Path, key: str, run: list[str], data: str, results: str
) -> dict[str, list[str]]:
    at, sent = ["--results", results], str(folder / "sent")
    return {
        "again": run,
        "list": ["list", "runs", *at],
        "leaderboard": ["leaderboard", *at, "--output", str(folder / "leaderboard.md")],
        "compare": ["compare", key, "0" * 16, *at],
        "export": ["export", key, str(folder / "answers.json"), *at],
        "submit": ["submit", key, "--name", "X", "--with-texts", "--output", sent, *at],
        "verify": ["verify", sent, "--data", data, "--results", str(folder / "none")],
        "score": ["score", "--run", key, *at],
    }


def _measured(name: str, command: Sequence[str], folder: Path) -> dict[str, Any]:
    out = _process([sys.executable, "-c", _CHILD, *command], folder)
    peak, seconds = out.rpartition("PEAK")[2].split()
    return {"command": name, "peak_bytes": int(peak), "processor_seconds": float(seconds)}


def _process(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command[-1]}: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Measure, and print one JSON object per command and number of users."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[5_000, 20_000, 80_000])
    parser.add_argument("--records", type=int, default=1, help="past records of each user")
    parser.add_argument("--characters", type=int, default=0, help="of each past record, at least")
    parser.add_argument(
        "--read", nargs="*", choices=READ, default=[], help="commands that read, measured too"
    )
    given = parser.parse_args()
    first: dict[str, dict[str, Any]] = {}
    for users in given.users:
        with tempfile.TemporaryDirectory() as folder:
            for found in measured(Path(folder), users, given.records, given.characters, given.read):
                before = first.setdefault(found.get("command", ""), found)
                if before is not found and "peak_bytes" in found:
                    grown = found["peak_bytes"] - before["peak_bytes"]
                    found["bytes_per_further_user"] = round(grown / (users - before["users"]), 1)
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
