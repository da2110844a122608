"""Denormal numbers are zeros wherever an engine computes on the CPU."""

import subprocess
import sys

import pytest

CODE = """
import threading
import torch
from lampbench.engine.flush_denormals import flush_denormals

torch.set_num_threads(4)
SIZE = 1 << 20  # each of the threads gets a part

def share_of_zeros():
    small = torch.full((SIZE,), 1e-30, requires_grad=True)
    product = small * 1e-12
    product.backward(torch.full((SIZE,), 1e-30))
    return [float((found == 0).double().mean()) for found in (product.detach(), small.grad)]

def show():
    flush_denormals()
    print(*share_of_zeros())

if {before}:
    print(*share_of_zeros())
show()
thread = threading.Thread(target=show)  # has workers of its own
thread.start()
thread.join()
print(*share_of_zeros())
"""


@pytest.mark.parametrize("before", [False, True])
def test_all_threads_compute_zeros(before):
    """Also threads that torch had started before, with denormal numbers."""
    code = CODE.format(before=before)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = ["1.0 1.0"] * 3
    assert run.stdout.splitlines() == ["0.0 0.0"] * before + expected
