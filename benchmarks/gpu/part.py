"""One part of the run: a few commands in processes of their own, with a time limit for all of them.

A crash or a hang costs its own part only. What a part has found before it ended is kept: its
commands write it to a file as they go.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from lampbench.record.versions import versions
from lampbench.util.machine import hardware

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = "packages"
"""Folder, below that of the results, in which what was missing is installed."""
_LAST_LINES = 12
_GRACE = 2.0  # seconds between asking a process to end and ending it


@dataclass(frozen=True)
class Part:
    """A part: the arguments of Python for each of its commands.

    Attributes:
        name: also the name of its files.
        device: where its commands compute.
        share: of the time that is left, relative to those of the other parts that are left.
        commands: run one after the other, until one fails.
        found: file to which the commands write what they find, as JSON.
    """

    name: str
    device: str
    share: float
    commands: Sequence[Sequence[str]]
    found: Path


@dataclass(frozen=True)
class Outcome:
    """What a part's JSON file says."""

    part: str
    state: str  # passed, failed, timed out or not run
    device: str
    seconds: float
    limit: float
    commands: Sequence[Sequence[str]]
    exit_code: int | None
    error: str | None
    results: Any
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=versions)

    @classmethod
    def of(
        cls, part: Part, state: str, seconds: float, limit: float,
        code: int | None = None, error: str | None = None,
    ) -> "Outcome":  # fmt: skip
        """The outcome of a part, with what it has found."""
        machine = asdict(replace(hardware(), accelerator=_accelerator(part.device)))
        return cls(part.name, state, part.device, round(seconds, 3), round(limit, 1),
                   part.commands, code, error, _read(part.found), machine)  # fmt: skip

    def write(self, folder: Path) -> None:
        """Write it as `folder`/PART.json."""
        text = json.dumps(asdict(self), indent=1)
        (folder / f"{self.part}.json").write_text(text + "\n", encoding="utf-8")


def run_part(part: Part, limit: float, folder: Path) -> Outcome:
    """Run a part for at most `limit` seconds and write its outcome; its output goes to PART.log."""
    began = time.monotonic()
    part.found.unlink(missing_ok=True)
    log = folder / f"{part.name}.log"
    state = "passed"
    code: int | None = 0
    with log.open("wb") as output:
        for command in part.commands:
            left = limit - (time.monotonic() - began)
            code = _run(command, left, folder, output) if left > 0 else None
            if code != 0:
                state = "timed out" if code is None else "failed"
                break
    error = None if state == "passed" else _last_lines(log) or f"{state}, without any output"
    outcome = Outcome.of(part, state, time.monotonic() - began, limit, code, error)
    outcome.write(folder)
    return outcome


def environment(folder: Path, limit: float = 0.0) -> dict[str, str]:
    """Variables of a part's processes: this checkout and the installed packages can be imported."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")]), str(folder / PACKAGES)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "HF_HUB_OFFLINE": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # the one setting with which cuBLAS is deterministic
        "NVIDIA_TF32_OVERRIDE": "0",
        "PYTHONUNBUFFERED": "1",
        "GPU_PART_SECONDS": f"{limit:.1f}",
    }


@cache
def _accelerator(device: str) -> str | None:
    """What a device is called, asked in a process of its own: it takes memory of the device."""
    if not device.startswith("cuda"):
        return None
    ask = f"import torch; print(torch.cuda.get_device_name({device!r}))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _run(command: Sequence[str], limit: float, folder: Path, output: Any) -> int | None:
    """The exit code; None if the time was up. The command and its children are ended then."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment(folder, limit), stdout=output,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-_LAST_LINES:])
