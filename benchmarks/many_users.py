"""Peak memory of `run --method base` for more and more users, with an engine that computes nothing.

    python -m benchmarks.many_users --users 5000 20000 80000

Every user has one short past record and one query, and is answered at once: what is measured is
the harness, which reads, asks, journals, scores and records. Each run is a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASK = "news_headline"
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
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(code)
"""


def write_users(folder: Path, users: int) -> None:
    """A dataset of users with one past record and one query each, and one training user."""
    place = folder / TASK
    place.mkdir(parents=True)
    head = {"task": TASK, "source": "made", "licence": "-", "attribution": "-", "description": "-",
            "synthetic": True}  # fmt: skip
    (place / "dataset.json").write_text(json.dumps(head), encoding="utf-8")
    for name, count in (("test", users), ("train", 1)):
        with (place / f"{name}.jsonl").open("w", encoding="utf-8") as stream:
            for number in range(count):
                stream.write(json.dumps(_user(f"{name}{number}")) + "\n")


def _user(name: str) -> dict[str, object]:
    def item(of: str) -> dict[str, object]:
        return {"id": f"{name}-{of}", "fields": {"text": f"what {name} wrote of {of}"},
                "target": f"{of} by {name}"}  # fmt: skip

    return {"id": name, "history": [item("past")], "queries": [item("news")]}


def measured(folder: Path, users: int) -> dict[str, float]:
    """Peak bytes of memory, and seconds of the processor, of a run of its own process."""
    write_users(folder / "data", users)
    (folder / "constant.py").write_text(ENGINE, encoding="utf-8")
    command = [sys.executable, "-c", _CHILD, "run", "--method", "base", "--task", TASK,
               "--data", f"lampbench:{folder / 'data'}", "--engine", "constant",
               "--plugins", str(folder / "constant.py"), "--cache-dir", str(folder / "cache"),
               "--results", str(folder / "results")]  # fmt: skip
    before = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    peak = int(done.stdout.rpartition("PEAK")[2])
    return {"users": users, "peak_bytes": peak, "seconds": round(time.monotonic() - before, 1)}


def main() -> None:
    """Measure, and print one JSON object per number of users."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[5_000, 20_000, 80_000])
    first: dict[str, float] = {}
    for users in parser.parse_args().users:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(Path(folder), users)
        first = first or found
        more = found["users"] - first["users"]
        if more:
            grown = found["peak_bytes"] - first["peak_bytes"]
            found["bytes_per_further_user"] = round(grown / more, 1)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
