"""What a manifest says of the machine."""

import sys
from types import SimpleNamespace

import pytest

from lampbench.util.machine import hardware


@pytest.mark.parametrize(("device", "named"), [("auto", "H200"), ("cuda:1", "L4"), ("cpu", None)])
def test_a_gpu_is_named_unless_the_run_was_told_to_use_the_cpu(monkeypatch, device, named):
    cuda = SimpleNamespace(is_available=lambda: True, get_device_name=["H200", "L4"].__getitem__)
    torch = SimpleNamespace(cuda=cuda, get_num_threads=lambda: 2)
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = hardware(device)
    assert (found.accelerator, found.threads) == (named, 2)
