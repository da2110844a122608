"""What tests of every kind share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

pytest_plugins = [
    "lampbench.testing",
    "tests.shared.api_server",
    "tests.shared.fake_runs",
    "tests.shared.lamp_folder",
    "tests.shared.recorded_fixtures",
    "tests.shared.s3_server",
]

ROOT = Path(__file__).resolve().parent.parent

Python = Callable[..., subprocess.CompletedProcess[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="Device of the engines that are compared with PEFT."
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Engines treat them as zeros in the thread that they run in; hypothesis needs them."""
    yield
    if "torch" in sys.modules:
        import torch

        torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer has set."""
    for name in [name for name in os.environ if name.startswith("LAMPBENCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def python() -> Python:
    """Runs arguments in a fresh interpreter, with the checkout on its path after `path`."""

    def run(
        *arguments: str, path: Sequence[Path] = (), cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LAMPBENCH_")}
        clean["PYTHONPATH"] = os.pathsep.join(map(str, [*path, ROOT]))
        return subprocess.run(
            [sys.executable, *arguments],
            env=clean | env,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=900,  # for what hangs; a busy machine takes minutes
            check=False,
        )

    return run
