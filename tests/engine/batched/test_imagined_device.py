"""On a device that is not the CPU no operation mixes devices, and a step waits for nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.mark.skipif(not hasattr(torch._C, "_acc"), reason="this torch cannot imagine a device")
@pytest.mark.parametrize(("name", "dtype"), [("gemma", "bfloat16"), ("llama", "float32")])
def test_every_operation_is_on_the_device(name, dtype):
    """What can be known of a GPU without one; numbers and CUDA graphs cannot."""
    command = [sys.executable, "-m", "tests.engine.batched.imagined_device", name, dtype]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "every operation was on the device" in done.stdout
