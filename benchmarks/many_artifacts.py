"""Peak memory of `cache list`, `cache verify` and the work of `cache gc` for many artifacts.

    python -m benchmarks.many_artifacts --artifacts 20000 200000

Half of the artifacts are needed by recorded runs, the others by nothing. An artifact is a folder
with two small files. Every command is a process of its own. Making and removing the files takes
most of the time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lampbench.execution.artifact_files import write_meta
from lampbench.execution.cache import LOCKS

_END = "import resource; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
_COMMAND = f"""
import sys
from lampbench.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
{_END}
"""
# planning the runs again would measure the memory of their data
_COLLECT = f"""
import os
import sys
from pathlib import Path
from lampbench.study.unused_artifacts import Needed, remove, unused
keep = Needed()
for number in range(int(sys.argv[2]) // 2):
    keep.artifacts.add(f"user_sft/{{2 * number:016x}}")
removed = sum(1 for _ in remove(unused(Path(sys.argv[1]), keep, 0)))
assert removed == int(sys.argv[2]) // 2, removed
left = sum(1 for _ in os.scandir(Path(sys.argv[1], "user_sft")))
assert left == (int(sys.argv[2]) + 1) // 2, left
assert all(Path(sys.argv[1], one).is_dir() for one in
           (f"user_sft/{{2 * number:016x}}" for number in range(int(sys.argv[2]) // 2)))
{_END}
"""


def make_artifacts(root: Path, count: int) -> None:
    """Fill a cache with adapters of a few bytes."""
    (root / LOCKS).mkdir(parents=True)
    for number in range(count):
        key = f"{number:016x}"
        folder = root / "user_sft" / key
        folder.mkdir(parents=True)
        (folder / "adapter.bin").write_bytes(key.encode())
        meta = {"task": "news_headline", "model": "m", "owner": f"user{number}", "recipe": "r",
                "seed": 0}  # fmt: skip
        write_meta(folder, "user_sft", key, meta)


def peak(code: str, *arguments: str) -> tuple[int, float]:
    """Peak bytes of memory, and seconds, of a program in a process of its own."""
    began = time.monotonic()
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return int(done.stdout.rpartition("PEAK")[2]), round(time.monotonic() - began, 1)


def main() -> None:
    """Measure, and print one JSON object per number of artifacts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, nargs="+", default=[20_000, 200_000])
    for count in parser.parse_args().artifacts:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "cache")
            make_artifacts(root, count)
            found: dict[str, object] = {"artifacts": count}
            for name in ("list", "verify"):
                found[name] = peak(_COMMAND, "cache", name, "--cache-dir", str(root))
            found["gc"] = peak(_COLLECT, str(root), str(count))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
